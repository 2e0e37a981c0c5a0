package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// P7: an upstream's error that is too large to be kept is not cut to what looks whole.
func TestALargeErrorIsNotCut(t *testing.T) {
	big := strings.Repeat("x", 9<<20)
	_, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(400)
		_, _ = io.WriteString(w, big)
	})
	r := p.send("POST", chatPath, key, chat("gpt-4o", "x"))
	if r.status == 400 && r.err == nil && len(r.body) != len(big) {
		t.Errorf("%d of %d bytes, said to be all (Content-Length %s)", len(r.body), len(big), r.header.Get("Content-Length"))
	}
}
