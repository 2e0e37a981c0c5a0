package e2e

import (
	"strings"
	"testing"
)

// The list has what an upstream names and the table prices, whichever of the
// two does so by a pattern. What both know by patterns alone has no name to list.
func TestModelsPricedByPattern(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [exact-1, unserved-1], rates: {input: 1/1M, output: 1/1M}}
  - {models: ["glm-*", "exact-*"], rates: {input: 2/1M, output: 2/1M}}
`
	})
	w.made.upstreams = `  - {name: sim, base_url: "` + w.up.url + `/v1", api_key: "` + upstreamKey + `", models: [glm-4.6, {glm-fast: glm-4.5-air}, unpriced, "exact-*"]}
  - {name: spare, base_url: "` + w.up.url + `/v1", api_key: "` + upstreamKey + `", models: [glm-4.6]}
`
	w.writeConfig()
	w.account("acme", "10")
	key, _ := w.key("acme")
	narrow, _ := w.key("acme", "--models", "glm-4*")
	p := w.serve()
	for secret, want := range map[string]string{key: "exact-1 glm-4.6 glm-fast", narrow: "glm-4.6"} {
		var names []string
		for _, model := range p.get("/v1/models", secret).get("data").Array() {
			names = append(names, model.Get("id").String())
		}
		equal(t, "models", strings.Join(names, " "), want)
	}
	for model, status := range map[string]int{"exact-1": 200, "unserved-1": 404} { // nor is there a quote of what nobody serves
		equal(t, "status of a quote of "+model, p.post("/v1/quote", key, `{"model":"`+model+`","usage":{"input":1}}`).status, status)
	}
}

// A row that names no endpoints prices a model at all of them that can do with its rates. Where a call
// would be refused for want of one, the list does not send anybody.
func TestModelsListedWhereTheyArePriced(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [embedding-3], rates: {input: 0.5/1M}}
  - {models: [cogview-4], rates: {image: 0.06}}
  - {models: [glm-4.6], rates: {input: 2/1M, output: 8/1M}}
`
	})
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	for model, want := range map[string]bool{"embedding-3": false, "cogview-4": false, "glm-4.6": true} {
		listed := false
		for _, path := range p.get("/v1/models/"+model, key).get("endpoints").Array() {
			listed = listed || path.String() == "/v1/chat/completions"
		}
		equal(t, model+" listed at chat", listed, want)
		status := p.post("/v1/chat/completions", key, `{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`).status
		equal(t, model+" served at chat", status == 200, want)
	}
}

// A key that may use some endpoints alone sees what those cost, and no other routes or prices.
func TestModelsAsAKeyMayUseThem(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [glm-4.6], endpoints: [chat], rates: {input: 1/1M, output: 2/1M}}
  - {models: [glm-4.6], endpoints: [embeddings], rates: {input: 3/1M}}
`
	})
	w.account("acme", "10")
	all, _ := w.key("acme")
	chats, _ := w.key("acme", "--endpoints", "chat")
	none, _ := w.key("acme", "--models", "gpt-*")
	p := w.serve()
	equal(t, "models of a key that may use none", p.get("/v1/models", none).get("data").Raw, "[]")
	for secret, want := range map[string]string{all: `["1/1M","3/1M"]`, chats: `["1/1M"]`} {
		model := p.get("/v1/models/glm-4.6", secret)
		equal(t, "prices", model.get("pricing.#.tiers.0.rates.input").Raw, want)
		equal(t, "embeddings are served", strings.Contains(model.get("endpoints").Raw, "embeddings"), secret == all)
	}
}
