package e2e

import "testing"

// A usage is quoted by the prices of the upstreams that may serve the model, at the dearest of them, and never for nothing
// because all of its prices are somebody's.
func TestQuoteOfUsageWherePricesDependOnTheUpstream(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [theirs], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [cheaper], rates: {input: 20/1M, output: 80/1M}}
  - {models: [cheaper], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [either], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [either], upstreams: [two], rates: {input: 3/1M, output: 9/1M}}
  - {models: [or], upstreams: [one], rates: {input: 3/1M, output: 9/1M}}
  - {models: [or], upstreams: [two], rates: {input: 2/1M, output: 8/1M}}
`
	})
	w.withUpstreams(w.upstreamFor("one", "[theirs, cheaper, either, or]"), w.upstreamFor("two", "[either, or]"))
	w.account("acme", "100")
	key, _ := w.key("acme")
	p := w.serve()
	for model, fee := range map[string]string{"theirs": "10", "cheaper": "10", "either": "12", "or": "12"} {
		quoted := p.post("/v1/quote", key, `{"model":"`+model+`","usage":{"input":1000000,"output":1000000}}`)
		equal(t, "quote of "+model+", "+quoted.body, quoted.get("fee").String(), fee)
	}
	served := p.post(chatPath, key, chat("theirs", "usage=1000000,1000000"))
	equal(t, "charged", served.header.Get("x-tollgate-cost"), "10")
}
