package e2e

import (
	"strings"
	"testing"
)

const bigModelPrices = testPrices + `  - {models: [glm-4.6], endpoints: [tokenizer], rates: {call: 0, input: 0}}
  - {models: ["search_*"], endpoints: [web_search], when: {engine: search_std}, rates: {search: 0.01}}
  - {models: [search_pro], endpoints: [web_search], rates: {search: 0.03}}
`

// bigModel is acme with an upstream of kind bigmodel, and what more its entry in the configuration says.
func bigModel(t *testing.T, more string, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	w = newWorld(t, append([]func(*settings){func(s *settings) { s.prices = bigModelPrices }}, change...)...)
	w.made.upstreams = `  - {name: bigmodel, kind: bigmodel, base_url: "` + w.up.url + `/api/paas/v4", api_key: "` + upstreamKey + `", models: ["*"]` + more + "}\n"
	w.writeConfig()
	w.account("acme", "10")
	key, _ = w.key("acme")
	p = w.serve()
	return w, p, key
}

// A search is priced by its engine, which is what keys, packs and upstreams know as its model.
func TestWebSearch(t *testing.T) {
	w, p, key := bigModel(t, "")
	const path = "/api/paas/v4/web_search"
	search := func(engine, query string) string {
		return `{"search_query":"` + query + `","search_engine":"` + engine + `","count":10}`
	}
	r := p.post(path, key, search("search_std", "prepaid"))
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-cost", "0.01", "x-tollgate-usage-source", "derived", "x-tollgate-usage-total", "1")
	equal(t, "results", r.get("search_result.#").Int(), 3)
	equal(t, "path upstream", w.up.Requests()[0].URL, path)
	charge := w.onlyCharge("acme")
	for field, want := range map[string]string{"model": "search_std", "endpoint": "web_search", "lines.0.dimension": "search", "attributes.engine": "search_std"} {
		equal(t, field, charge.Get(field).String(), want)
	}
	equal(t, "quoted", p.post("/v1/quote?endpoint=/web_search", key, search("search_pro", "prepaid")).get("fee").String(), "0.03")

	w.verb("pack", "grant", "acme", "--unit", "search", "--quantity", "1", "--models", "search_pro")
	for _, paid := range []string{"1", "0"} {
		requireHeaders(t, p.post("/v1/web_search", key, search("search_pro", "prepaid")).header, "x-tollgate-paid-pack", paid)
	}
	equal(t, "balance", w.balance("acme"), "9.96")

	refused := p.post(path, key, search("search_std", "mock:status=429 x"))
	refused.requireStatus(t, 429)
	requireHeaders(t, refused.header, "x-tollgate-cost", "0")
	sent := len(w.up.Requests())
	only, _ := w.key("acme", "--models", "search_std")
	for _, c := range []struct {
		key, body, code string
	}{
		{key, search("search_pro_quark", "x"), "model_not_found"}, // it has no price
		{only, search("search_pro", "x"), "model_not_allowed"},
		{key, `{"search_query":"x"}`, "invalid_request"},
		{key, `{"search_query":"x","search_engine":"search_std","Search_Engine":"search_pro"}`, "invalid_request"},
		{key, `{"search_query":"x","search_engine":"search_std","search_engine":"search_pro"}`, "invalid_request"},
	} {
		equal(t, c.body, p.post(path, c.key, c.body).get("error.code").String(), c.code)
	}
	equal(t, "requests that reached the upstream", len(w.up.Requests()), sent)
	equal(t, "balance", w.balance("acme"), "9.96")
	w.requireSettled("acme")
}

// Counting tokens is free where a price says so, and refused where none does.
func TestTokenizer(t *testing.T) {
	w, p, key := bigModel(t, "")
	body := strings.Replace(chat("glm-4.6", "usage=23,0"), `"stream":false,`, "", 1)
	r := p.post("/v1/tokenizer", key, body)
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-usage-input", "23", "x-tollgate-usage-source", "upstream")
	equal(t, "counted", r.get("usage.prompt_tokens").Int(), 23)
	equal(t, "charged", w.onlyCharge("acme").Get("endpoint").String(), "tokenizer")
	equal(t, "without a price", p.post("/v1/tokenizer", key, chat("gpt-4o", "usage=23,0")).get("error.code").String(), "model_not_found")
	w.requireSettled("acme")
}

// What BigModel alone has goes to no upstream of another kind.
func TestBigModelsOwnIsNotAskedOfOthers(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices = bigModelPrices })
	for path, body := range map[string]string{
		"/v1/tokenizer": chat("glm-4.6", "usage=23,0"), "/v1/web_search": `{"search_query":"x","search_engine":"search_std"}`,
	} {
		r := p.post(path, key, body)
		r.requireStatus(t, 404)
		equal(t, path, r.get("error.code").String(), "model_not_found")
	}
	equal(t, "requests that reached the upstream", len(w.up.Requests()), 0)
	w.requireNoCharge("acme")
}
