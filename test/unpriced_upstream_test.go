package e2e

import (
	"strings"
	"testing"
)

// A call may go to any of the upstreams that serve its model: where one of them has no price for it, it is refused. So the
// model is not offered either, and a start says why.
func TestModelThatOneOfItsUpstreamsDoesNotPrice(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [half], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [whole], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [whole], upstreams: [two], rates: {input: 3/1M, output: 9/1M}}
`
	})
	w.withUpstreams(w.upstreamFor("one", "[half, whole]"), w.upstreamFor("two", "[half, whole]"))
	w.account("acme", "100")
	key, _ := w.key("acme")
	p := w.serve()
	for model, status := range map[string]int{"half": 404, "whole": 200} {
		equal(t, "status of a call of "+model, p.post(chatPath, key, chat(model, "usage=1,1")).status, status)
		equal(t, "status of "+model, p.get("/v1/models/"+model, key).status, status)
		equal(t, model+" is listed", strings.Contains(p.get("/v1/models", key).body, `"`+model+`"`), status == 200)
	}
}
