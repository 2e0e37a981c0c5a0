package e2e

import "testing"

// P1: BigModel does not know max_completion_tokens, and /v1/completions nowhere does. A balance for two answers of the
// default length, fifty at once that say they want one token.
func TestNoOverspendByALimitThatTheUpstreamIgnores(t *testing.T) {
	for name, c := range map[string]struct{ path, kind, prompt string }{
		"BigModel":    {chatPath, ", kind: bigmodel", `"messages":[{"role":"user","content":"Please say hello."}]`},
		"completions": {"/v1/completions", "", `"prompt":"Please say hello."`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) {
				s.prices = "currency: CNY\nprices:\n  - {models: [glm-4.6], rates: {input: 0, output: 0.001}}\n"
			})
			w.withUpstreams(w.upstreamItem("only", w.up.url, c.kind))
			w.account("acme", "8.192")
			key, _ := w.key("acme")
			body := `{"model":"glm-4.6","user":"mock:usage=10,4096","max_completion_tokens":1,` + c.prompt + `}`
			replies := stampede(t, w, []*process{w.serve()}, key, c.path, body)
			requireOutcome(t, w, replies, 2, "in_flight_quota_exhausted", "insufficient_quota")
			equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "0")
		})
	}
}
