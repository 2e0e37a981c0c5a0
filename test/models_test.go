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
