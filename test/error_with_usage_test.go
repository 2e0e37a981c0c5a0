package e2e

import (
	"io"
	"net/http"
	"testing"
)

// An upstream's error that says what was used costs that, and passes as it is.
func TestAnErrorWithUsageIsCharged(t *testing.T) {
	const answer = `{"error":{"message":"The answer was filtered.","code":"1301"},"usage":{"prompt_tokens":100,"completion_tokens":50}}`
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, answer)
	})
	r := p.post(chatPath, key, chat("gpt-4o", "x"))
	r.requireStatus(t, http.StatusBadRequest)
	equal(t, "body", r.body, answer)
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0025", "x-tollgate-usage-total", "150", "x-tollgate-usage-source", "upstream",
		"x-tollgate-balance-recharge", "9.9975")
	equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
}
