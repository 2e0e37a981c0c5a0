package e2e

import "testing"

// Every request that an upstream got is counted, the one too whose stream_options
// it refused.
func TestAttemptsAreCounted(t *testing.T) {
	w, p, key := acme(t)
	if err := w.up.SetFault("reject-stream-options", 0); err != nil {
		t.Fatal(err)
	}
	p.post(chatPath, key, chat("gpt-4o", "bytes=400", streamed)).requireStatus(t, 200)
	equal(t, "requests upstream", w.up.Stats().Requests, 2)
	for _, outcome := range []string{"4xx", "2xx"} {
		equal(t, outcome, p.metric(`tollgate_upstream_attempts_total{outcome="`+outcome+`",upstream="sim"}`), 1)
	}
}
