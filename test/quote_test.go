package e2e

import (
	"strings"
	"testing"
	"time"
)

// quotePrices has what a quote can go by: a class, a tool, conditions and dates.
const quotePrices = testPrices + `  - {models: [glm-search], endpoints: [chat], rates: {input: 2/1M, output: 8/1M}}
  - {tools: [web_search], when: {engine: search_std}, rates: {search: 0.01}}
  - {tools: [web_search], when: {engine: search_pro}, rates: {search: 0.03}}
  - {models: [draw], endpoints: [images], when: {quality: hd}, rates: {image: 0.12}}
  - {models: [draw], endpoints: [images], rates: {image: 0.06}}
  - {models: [dated], rates: {input: 1/1M}, until: 2026-01-01T00:00:00+08:00}
  - {models: [dated], rates: {input: 2/1M}, from: 2026-01-01T00:00:00+08:00}
  - {models: [cogvideox-3], endpoints: [videos], rates: {video: 1}}
`

func quoteWorld(t *testing.T) (p *process, key string) {
	t.Helper()
	_, p, key = acme(t, func(s *settings) { s.prices, s.policy = quotePrices, "timezone: Asia/Shanghai" })
	return p, key
}

// A usage is priced as the quote verb prices it.
func TestQuoteOfUsage(t *testing.T) {
	p, key := quoteWorld(t)
	for body, fee := range map[string]string{
		`{"model":"gpt-4o","usage":{"input":100,"output":50}}`:                                                "0.0025",
		`{"model":"embedding-3","usage":{"input":1000000}}`:                                                   "0.5", // at the class that prices it
		`{"model":"cogview-4","usage":{"image":3}}`:                                                           "0.18",
		`{"model":"cogview-4","usage":{"image":3},"endpoint":"/v1/images/edits"}`:                             "0.18",
		`{"model":"glm-search","usage":{"input":1000,"output":50,"search":1},"when":{"engine":"search_pro"}}`: "0.0324",
		`{"model":"draw","usage":{"image":1},"when":{"quality":"hd"}}`:                                        "0.12",
		`{"model":"draw","usage":{"image":1},"when":{"quality":"low","batch":true}}`:                          "0.06",
		`{"model":"draw","usage":{"image":1},"when":null,"at":null}`:                                          "0.06",
		`{"model":"dated","usage":{"input":1000000},"at":"2025-12-31"}`:                                       "1", // the end of that day in the policy's time zone
		`{"model":"dated","usage":{"input":1000000},"at":"2025-12-31T17:00:00Z"}`:                             "2",
		`{"model":"dated","usage":{"input":1000000},"at":"2026-01-01"}`:                                       "2",
	} {
		r := p.post("/v1/quote", key, body)
		if r.status != 200 || r.get("fee").String() != fee || r.get("ceiling").Bool() {
			t.Errorf("%s: %d %s, want fee %s", body, r.status, r.body, fee)
		}
	}
}

// What cannot be quoted is refused by the table of docs/errors.md, and says which member is at fault.
func TestQuoteOfUsageRefused(t *testing.T) {
	p, key := quoteWorld(t)
	for _, tt := range []struct {
		body   string
		status int
		param  string
	}{
		{`{"usage":{"input":1}}`, 400, "model"},
		{`{"model":"","usage":{"input":1}}`, 400, "model"},
		{`{"model":5,"usage":{"input":1}}`, 400, "model"},
		{`{"model":5,"messages":[]}`, 400, "model"},
		{`{"model":"gpt-4o","usage":{}}`, 400, "usage"},
		{`{"model":"gpt-4o","usage":{"token":1}}`, 400, "usage.token"},
		{`{"model":"gpt-4o","usage":{"input":1.5}}`, 400, "usage.input"},
		{`{"model":"gpt-4o","usage":{"input":-1}}`, 400, "usage.input"},
		{`{"model":"gpt-4o","usage":{"input":9007199254740992}}`, 400, "usage"},
		{`{"model":"gpt-4o","usage":{"input":99999999999999999999}}`, 400, "usage.input"},
		{`{"model":"gpt-4o","usage":{"input":1},"when":"hd"}`, 400, "when"},
		{`{"model":"gpt-4o","usage":{"input":1},"when":{"size":5}}`, 400, "when.size"},
		{`{"model":"gpt-4o","usage":{"input":1},"when":{"siz":"5"}}`, 400, "when.siz"},
		{`{"model":"gpt-4o","usage":{"input":1},"at":"yesterday"}`, 400, "at"},
		{`{"model":"gpt-4o","usage":{"input":1},"at":2026}`, 400, "at"},
		{`{"model":"gpt-4o","usage":{"input":1},"endpoint":"/v1/nothing"}`, 400, "endpoint"},
		{`{"model":"none","usage":{"input":1}}`, 404, "model"},
		{`{"model":"cogvideox-3","usage":{"video":1}}`, 404, "model"}, // there is no route to it
		{`{"model":"embedding-3","usage":{"input":1},"endpoint":"/v1/chat/completions"}`, 404, "model"},
		{`{"model":"gpt-4o","usage":{"image":2}}`, 404, "usage.image"},
		{`{"model":"gpt-4o","usage":{"input":1,"tool_call":2}}`, 404, "usage.tool_call"}, // a part of it is priced
	} {
		r := p.post("/v1/quote", key, tt.body)
		code := "invalid_request"
		if tt.status == 404 {
			code = "model_not_found"
		}
		if r.status != tt.status || r.get("error.code").String() != code || r.get("error.param").String() != tt.param || strings.TrimSpace(r.get("error.message").String()) == "" {
			t.Errorf("%s: %d %s, want %d %s about %s", tt.body, r.status, r.body, tt.status, code, tt.param)
		}
		if strings.Contains(r.body, "max_tokens") {
			t.Errorf("%s: a usage has no max_tokens to lower: %s", tt.body, r.body)
		}
	}
}

// A quote is refused to a key where the call would be.
func TestQuoteOfWhatTheKeyMayNot(t *testing.T) {
	w, p, _ := acme(t)
	narrow, _ := w.key("acme", "--models", "glm-*", "--endpoints", "chat")
	forbidden := refusal{status: 403, code: "model_not_allowed", final: true}
	forbidden.require(t, p.post("/v1/quote", narrow, chat("gpt-4o", "usage=1,1")))
	forbidden.require(t, p.post("/v1/quote", narrow, `{"model":"gpt-4o","usage":{"input":1}}`))
	forbidden.require(t, p.post("/v1/quote", narrow, `{"model":"glm-4.6","prompt":"x","max_tokens":5}`))
	p.post("/v1/quote", narrow, chat("glm-4.6", "usage=1,1")).requireStatus(t, 200)
	p.post("/v1/quote", narrow, `{"model":"glm-4.6","usage":{"input":1}}`).requireStatus(t, 200)

	// A usage names no endpoint: it is priced where the key may use the model, if it may.
	embeds, _ := w.key("acme", "--endpoints", "embeddings")
	forbidden.require(t, p.post("/v1/quote", embeds, `{"model":"gpt-4o","usage":{"input":1}}`))
	completes, _ := w.key("acme", "--endpoints", "completions")
	p.post("/v1/quote", completes, `{"model":"gpt-4o","usage":{"input":1}}`).requireStatus(t, 200)
}

// A call is priced by the row that is in force when it comes, and its charge says when that was.
func TestCallIsPricedByItsTime(t *testing.T) {
	w, p, key := acme(t, func(s *settings) {
		s.prices += `  - {models: [dated], rates: {input: 1/1M, output: 1/1M}, until: 2026-01-01T00:00:00Z}
  - {models: [dated], rates: {input: 2/1M, output: 4/1M}, from: 2026-01-01T00:00:00Z, until: 2126-01-01T00:00:00Z}
  - {models: [dated], rates: {input: 8/1M, output: 8/1M}, from: 2126-01-01T00:00:00Z}
`
	})
	began := time.Now().Truncate(time.Millisecond)
	for _, more := range []string{`"n":1`, streamed} {
		p.post(chatPath, key, chat("dated", "usage=1000,500", more)).requireStatus(t, 200)
	}
	ended := time.Now()
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), 2)
	for _, charge := range charges {
		equal(t, "fee", charge.Get("fee").String(), "0.004")
		if at := charge.Get("at").Time(); at.Before(began) || at.After(ended) {
			t.Errorf("at %s, and the calls came from %s to %s", at, began, ended)
		}
	}
}
