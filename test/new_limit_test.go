package e2e

import (
	"strings"
	"testing"
)

// P1: BigModel does not know max_completion_tokens, others do not either, and /v1/completions nowhere does. A balance for two answers of the
// default length, fifty at once that say they want one token.
func TestNoOverspendByALimitThatTheUpstreamIgnores(t *testing.T) {
	for name, c := range map[string]struct{ path, settings, prompt string }{
		"BigModel":    {chatPath, ", kind: bigmodel", `"messages":[{"role":"user","content":"Please say hello."}]`},
		"by settings": {chatPath, ", ignores_max_completion_tokens: true", `"messages":[{"role":"user","content":"Please say hello."}]`},
		"completions": {"/v1/completions", "", `"prompt":"Please say hello."`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) {
				s.prices = "currency: CNY\nprices:\n  - {models: [glm-4.6], rates: {input: 0, output: 0.001}}\n"
			})
			w.withUpstreams(w.upstreamItem("only", w.up.url, c.settings))
			w.account("acme", "8.192")
			key, _ := w.key("acme")
			body := `{"model":"glm-4.6","user":"mock:usage=10,4096","max_completion_tokens":1,` + c.prompt + `}`
			replies := stampede(t, w, []*process{w.serve()}, key, c.path, body)
			requireOutcome(t, w, replies, 2, "in_flight_quota_exhausted", "insufficient_quota")
			equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "0")
		})
	}
}

// An upstream that nobody knew to pass over max_completion_tokens is found out by its first answer.
func TestUpstreamThatExceedsTheNewLimitIsFoundOut(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = "currency: CNY\nprices:\n  - {models: [glm-4.6], rates: {input: 0, output: 0.001}}\n"
	})
	w.withUpstreams(w.upstreamItem("only", w.up.url, ""))
	w.account("acme", "100")
	key, _ := w.key("acme")
	p := w.serve()
	ask := func(used string) string {
		r := p.post(chatPath, key, `{"model":"glm-4.6","stream":true,"user":"mock:usage=10,`+used+`","max_completion_tokens":5,"messages":[{"role":"user","content":"hi"}]}`)
		return r.header.Get("x-tollgate-hold")
	}
	equal(t, "hold at first", ask("5"), "0.005")
	equal(t, "hold while it keeps to the limit", ask("6"), "0.005")
	equal(t, "hold after it has exceeded it", ask("5"), "4.096")
	p.stop()
	if !strings.Contains(p.stderr.String(), "ignores_max_completion_tokens") {
		t.Error("the log does not say what to do")
	}
}
