package e2e

import (
	"testing"

	"github.com/tidwall/gjson"
)

// Azure's clients name the model in the path. It is the one that is admitted, charged and told upstream, whatever the body says.
func TestModelInAzuresPath(t *testing.T) {
	w, p, key := acme(t)
	const path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"
	for i, model := range []string{``, `"model":"gpt-4o",`, `"model":"glm-4.6",`, `"model":"unknown",`} {
		r := p.post(path, key, `{`+model+`"user":"mock:usage=100,50","messages":[{"role":"user","content":"Hello"}]}`)
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", "0.0025")
		sent := w.up.Requests()[i]
		equal(t, "asked upstream", sent.URL, "/v1/chat/completions")
		equal(t, "model told upstream", gjson.GetBytes(sent.Body, "model").String(), "gpt-4o")
		equal(t, "model charged", w.entries("acme", "charge")[i].Get("model").String(), "gpt-4o")
	}
	hello := `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}]}`
	refusal{status: 404, code: "model_not_found", final: true}.require(t, p.post("/openai/deployments/unknown/chat/completions", key, hello))
	only, _ := w.key("acme", "--models", "glm-*")
	refusal{status: 403, code: "model_not_allowed", final: true}.require(t, p.post(path, only, `{"model":"glm-4.6","messages":[]}`))
	quote := p.post("/v1/quote?endpoint=/openai/deployments/gpt-4o/chat/completions", key, `{"max_tokens":10,"messages":[]}`)
	equal(t, "rate quoted", quote.get(`lines.#(dimension=="output").rate`).String(), "30/1M")
	equal(t, "requests upstream", w.up.Stats().Requests, 4)
	w.requireSettled("acme")
}
