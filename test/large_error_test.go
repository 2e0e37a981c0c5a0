package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// P7: an upstream's error that is too large to be kept is not cut to what looks
// whole, and is no answer.
func TestALargeErrorIsNotCut(t *testing.T) {
	big := strings.Repeat("x", 9<<20)
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(400)
		_, _ = io.WriteString(w, big)
	})
	r := p.post(chatPath, key, chat("gpt-4o", "x"))
	refusal{status: 502, code: "upstream_unavailable"}.require(t, r)
	equal(t, "left, as what was held is given back", r.header.Get("x-tollgate-balance-recharge"), "10")
	w.requireNoCharge("acme")
}
