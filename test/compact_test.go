package e2e

import "testing"

const compactPath = responsesPath + "/compact"

// A conversation, of the account's own, is made one item, and charged like a response. Another response takes the item.
func TestConversationIsCompacted(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	w.account("other", "10")
	others, _ := w.key("other")
	id, said := p.keptResponse(key)
	r := p.post(compactPath, key, says("gpt-4o", goesOn(id)))
	r.requireStatus(t, 200)
	equal(t, "body", r.body, string(w.up.lastSent()))
	equal(t, "object", r.get("object").String(), "response.compaction")
	requireHeaders(t, r.header, "x-tollgate-usage-input", r.get("usage.input_tokens").String(), "x-tollgate-usage-output", r.get("usage.output_tokens").String(), "x-tollgate-usage-source", "upstream")
	if in := r.get("usage.input_tokens").Int(); in <= said {
		t.Errorf("%d tokens in, after %d", in, said)
	}
	charge := w.entries("acme", "charge")[1]
	equal(t, "endpoint", charge.Get("endpoint").String(), "responses")
	equal(t, "overrun", charge.Get("overrun").Exists(), false)
	p.post(responsesPath, key, `{"model":"gpt-4o","input":`+r.get("output").Raw+`}`).requireStatus(t, 200)

	for name, c := range map[string]struct {
		key, body string
		want      refusal
	}{
		"somebody else's":      {others, says("gpt-4o", goesOn(id)), refusal{status: 404, code: "object_not_found", final: true}},
		"what was compacted":   {key, says("gpt-4o", goesOn(r.get("id").String())), refusal{status: 404, code: "object_not_found", final: true}},
		"a model that has not": {key, says("glm-4.6-unknown"), refusal{status: 404, code: "model_not_found", final: true}},
	} {
		t.Run(name, func(t *testing.T) { c.want.require(t, p.post(compactPath, c.key, c.body)) })
	}
	p.post(compactPath, key, `{"model":"gpt-4o","user":"mock:status=400","input":"Hello"}`).requireStatus(t, 400)
	equal(t, "charges", len(w.entries("acme", "charge")), 3)
	w.requireSettled("acme")
	w.requireSettled("other")
}

// Counting what a response would take in is free, and nothing that it may do is paid for.
func TestCountingTokensOfAResponse(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += morePrices })
	id, said := p.keptResponse(key)
	r := p.post(responsesPath+"/input_tokens", key, says("gpt-4o", goesOn(id), `"tools":[{"type":"web_search"}]`))
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-usage-input", "0")
	if r.get("input_tokens").Int() <= said {
		t.Errorf("counted %s, after %d", r.body, said)
	}
	equal(t, "charged as", w.entries("acme", "charge")[1].Get("endpoint").String(), "input_tokens")
	only, _ := w.key("acme", "--endpoints", "responses")
	equal(t, "for a key of responses alone", p.post(responsesPath+"/input_tokens", only, says("gpt-4o")).status, 403)
	equal(t, "of a model without such a price", p.post(responsesPath+"/input_tokens", key, says("gpt-4o-mini")).status, 404)
	w.requireSettled("acme")
}
