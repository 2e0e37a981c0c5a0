package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
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

// So is one whose answers are asked for later.
func TestModelOfTasksThatExceedsLimitsIsFoundOut(t *testing.T) {
	_, p, key := bigModel(t, "")
	submit := func(used string) reply {
		return p.post("/v1/async/chat/completions", key, `{"model":"glm-4.6","user":"mock:usage=10,`+used+`","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`)
	}
	first := submit("20")
	for _, used := range []string{"21", "22"} { // 16 more may be those that end it
		r := submit(used)
		equal(t, "hold before "+used, r.header.Get("x-tollgate-hold"), first.header.Get("x-tollgate-hold"))
		requireHeaders(t, p.get(pollPath+r.get("id").String(), key).header, "x-tollgate-usage-output", used)
	}
	if hold := submit("20").header.Get("x-tollgate-hold"); hold == first.header.Get("x-tollgate-hold") {
		t.Errorf("%s is held, as if it kept to its limit", hold)
	}
}

// A model that passes over its clients' limits is found out by its first answer, whichever limit that is, and no other is taken for it.
func TestModelThatExceedsLimitsIsFoundOut(t *testing.T) {
	for _, limit := range []string{"max_tokens", "max_completion_tokens"} {
		t.Run(limit, func(t *testing.T) {
			w := newWorld(t, func(s *settings) {
				s.prices = "currency: CNY\nprices:\n  - {models: [glm-4.6, glm-4.5], rates: {input: 0, output: 0.001}}\n"
			})
			w.withUpstreams(w.upstreamItem("only", w.up.url, ""))
			w.account("acme", "4")
			key, _ := w.key("acme")
			p := w.serve()
			ask := func(model, used string) reply {
				return p.post(chatPath, key, `{"model":"`+model+`","stream":true,"user":"mock:usage=10,`+used+`","`+limit+`":5,"messages":[{"role":"user","content":"hi"}]}`)
			}
			hold := func(model, used string) string { return ask(model, used).header.Get("x-tollgate-hold") }
			equal(t, "hold at first", hold("glm-4.6", "5"), "0.005")
			equal(t, "hold after it has kept to the limit", hold("glm-4.6", "500"), "0.005")
			r := ask("glm-4.6", "5")
			r.requireStatus(t, http.StatusTooManyRequests) // 4096 tokens are 4.096
			if hint := r.get("error.metadata.affordable_output_tokens"); hint.Type != gjson.Null || !hint.Exists() {
				t.Errorf("affordable_output_tokens is %s, where no limit helps", hint)
			}
			equal(t, "hold of another model", hold("glm-4.5", "5"), "0.005")
			p.stop()
			if !strings.Contains(p.stderr.String(), "ignores_max_completion_tokens") {
				t.Error("the log does not say what to do")
			}
		})
	}
}
