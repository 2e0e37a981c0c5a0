package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const messagesPath = "/v1/messages"

// claudePrices are round: of claude-sonnet-4-5, 100 in and 50 out cost 0.0035.
const claudePrices = testPrices + `  - models: [claude-sonnet-4-5]
    endpoints: [tokenizer]
    rates: {call: 0}
  - models: [claude-sonnet-4-5]
    endpoints: [chat]
    rates: {input: 10/1M, cached_input: 1/1M, cache_write_5m: 12.5/1M, cache_write_1h: 20/1M, output: 50/1M}
  - tools: [web_search]
    rates: {search: 0.1}
`

// withClaude serves claude-* by an upstream of kind anthropic, beside those of OpenAI and BigModel.
func withClaude(more string) func(*settings) {
	return func(s *settings) {
		s.prices = claudePrices
		s.upstreams = `  - {name: sim, base_url: "UPSTREAM/v1", api_key: "` + upstreamKey + `", models: ["gpt-*", "glm-*"]}
  - {name: claude, kind: anthropic, base_url: "UPSTREAM/v1", api_key: "` + upstreamKey + `", models: ["claude-*"]` + more + `}
`
	}
}

// claude is acme with an upstream for messages.
func claude(t *testing.T, more string, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	return acmeAt(t, append([]func(*settings){withClaude(more)}, change...)...)
}

// acmeAt is acme in a world whose upstreams are named UPSTREAM in its settings.
func acmeAt(t *testing.T, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	w = newWorld(t, change...)
	w.made.upstreams = strings.ReplaceAll(w.made.upstreams, "UPSTREAM", w.up.url)
	w.writeConfig()
	w.account("acme", "10")
	key, _ = w.key("acme")
	p = w.serve()
	return w, p, key
}

// message is the body of a messages request; more are members such as `"stream":true`.
func message(directive string, more ...string) string {
	members := append([]string{
		`"model":"claude-sonnet-4-5"`, `"max_tokens":200`, `"metadata":{"user_id":"mock:` + directive + `"}`,
		`"messages":[{"role":"user","content":"Please say hello."}]`,
	}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// send asks as Anthropic's SDK does.
func (p *process) message(key, body string, headers ...string) reply {
	p.t.Helper()
	return p.post(messagesPath, "", body, append([]string{"x-api-key", key}, headers...)...)
}

func TestMessages(t *testing.T) {
	w, p, key := claude(t, "")
	r := p.message(key, message("usage=1000,50;cached=400;cache-write=100;cache-write-1h=50"), "anthropic-beta", "some-beta-2026-01-01")
	r.requireStatus(t, 200)
	equal(t, "body", r.body, string(w.up.lastSent()))
	// 450 × 10 + 400 × 1 + 100 × 12.5 + 50 × 20 + 50 × 50, by the million.
	requireHeaders(t, r.header, "x-tollgate-cost", "0.00965", "x-tollgate-usage-source", "upstream",
		"x-tollgate-usage-input", "1000", "x-tollgate-usage-cached-input", "400", "x-tollgate-usage-output", "50", "x-tollgate-usage-total", "1050",
		"x-tollgate-balance-recharge", "9.99035", "anthropic-organization-id", "")
	equal(t, "request-id", r.header.Get("request-id"), r.header.Get("x-request-id"))
	if !strings.HasPrefix(r.header.Get("x-request-id"), "req_") || !strings.HasPrefix(r.header.Get("x-upstream-request-id"), "req_mock") {
		t.Errorf("ids %v", r.header)
	}
	sent := w.up.Requests()[0]
	equal(t, "path upstream", sent.URL, "/v1/messages")
	requireHeaders(t, sent.Header, "x-api-key", upstreamKey, "authorization", "", "anthropic-version", "2023-06-01", "anthropic-beta", "some-beta-2026-01-01")
	equal(t, "body upstream", string(sent.Body), message("usage=1000,50;cached=400;cache-write=100;cache-write-1h=50"))

	r = p.post(messagesPath+"?beta=true", key, message("usage=100,50"), "anthropic-version", "2099-01-01") // as a bearer
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0035")
	sent = w.up.Requests()[1]
	equal(t, "path upstream", sent.URL, "/v1/messages?beta=true")
	requireHeaders(t, sent.Header, "x-api-key", upstreamKey, "authorization", "", "anthropic-version", "2099-01-01")

	entry := w.entries("acme", "charge")[0]
	for path, want := range map[string]string{
		"endpoint": "messages", "usage.input": "450", "usage.cached_input": "400", "usage.cache_write_5m": "100", "usage.cache_write_1h": "50", "usage.output": "50",
		"answer_attributes.service_tier": "standard", "usage_source": "upstream",
	} {
		equal(t, path, entry.Get(path).String(), want)
	}
	w.requireSettled("acme")
}

// Hosted searches cost by the call, and what they find is input, of which the beginning of a stream knows nothing.
func TestMessagesWithSearch(t *testing.T) {
	w, p, key := claude(t, "")
	const tool = `"tools":[{"type":"web_search_20250305","name":"web_search","max_uses":2}]`
	r := p.message(key, message("usage=2000,50", tool))
	requireHeaders(t, r.header, "x-tollgate-cost", "0.1225")
	r = p.message(key, message("usage=2000,50", tool, streamed))
	requireHeaders(t, r.trailer, "x-tollgate-cost", "0.1225", "x-tollgate-usage-input", "2000")
	p.message(key, message("usage=1,1", `"tools":[{"type":"code_execution_20250825","name":"code_execution"}]`)).requireStatus(t, 404)
	w.requireSettled("acme")
}

// Tools that are declared many times over are one line of the quote: a line for each could not be booked.
func TestMessagesWithManyTools(t *testing.T) {
	w, p, key := claude(t, "")
	w.verb("topup", "acme", "100")
	tools := strings.Repeat(`,{"type":"web_search_20250305","name":"web_search","max_uses":1}`, 70)
	r := p.message(key, message("usage=100,50", `"tools":[`+tools[1:]+`]`))
	requireHeaders(t, r.header, "x-tollgate-cost", "0.1035")
	quote := p.post("/v1/quote?endpoint="+messagesPath, key, message("usage=100,50", `"tools":[`+tools[1:]+`]`))
	equal(t, "searches held", quote.get(`lines.#(dimension=="search").quantity`).Int(), 70)
	w.requireSettled("acme")
}

// P7, and P6: the bytes of a stream are the upstream's, and its last word is billed.
func TestMessageStreams(t *testing.T) {
	w, p, key := claude(t, "")
	for _, directive := range []string{
		"chunks=20", "chunks=20;crlf", "chunks=20;comments;no-space", "chunks=20;no-done", "chunks=20;no-blank", "chunks=300",
		"chunks=3;tool-call=f", "chunks=2;reasoning=20", "chunks=2;finish=refusal", "chunks=0;bytes=0",
	} {
		r := p.send("POST", messagesPath, key, message("usage=100,50;"+directive, streamed))
		equal(t, directive+": error", r.err, nil)
		if sent := string(w.up.lastSent()); r.body != sent {
			t.Errorf("%s: the client got\n%s\nthe upstream sent\n%s", directive, tail(r.body), tail(sent))
		}
		requireHeaders(t, r.trailer, "x-tollgate-cost", "0.0035", "x-tollgate-usage-source", "upstream")
		equal(t, "request-id", r.header.Get("request-id"), r.header.Get("x-request-id"))
	}
	w.requireSettled("acme")
}

// The cost is put into the usage object, where the client asks for it.
func TestMessagesTellTheirCost(t *testing.T) {
	w, p, key := claude(t, "")
	r := p.message(key, message("usage=100,50"), "x-tollgate-receipt", "body")
	equal(t, "cost", r.get("usage.cost").String(), "0.0035")
	r = p.message(key, message("usage=100,50;chunks=3", streamed), "x-tollgate-receipt", "body")
	told := ""
	for line := range strings.Lines(r.body) {
		if cost := gjson.Get(strings.TrimPrefix(line, "data: "), "usage.cost"); cost.Exists() {
			told += gjson.Get(strings.TrimPrefix(line, "data: "), "type").Str + " " + cost.Str
		}
	}
	equal(t, "cost", told, "message_delta 0.0035")
	w.requireSettled("acme")
}

// P3: the end of a message is not delivered before its charge is booked, though a ping comes within it.
func TestEndOfAMessageIsWithheldUntilBooked(t *testing.T) {
	w, p, key := claude(t, "")
	requireEndWithheld(t, w, p, key, stalled{
		before: 5, path: messagesPath, body: message("usage=100,50;chunks=5", streamed),
		here: "content_block_stop", end: "message_stop", early: []string{`message_delta"`, "message_stop"},
	})
}

// A message tells its usage at its beginning: one that is cut is charged for what was delivered after that, and
// the client cannot take it for whole, though the connection ended well.
func TestMessageThatIsCut(t *testing.T) {
	for _, directive := range []string{"cut=mid-body", "cut=mid-frame", "cut=clean", "error-event"} {
		t.Run(directive, func(t *testing.T) {
			w, p, key := claude(t, "")
			r := p.send("POST", messagesPath, key, message("usage=100,200;bytes=800;chunks=40;"+directive, streamed))
			if whole := strings.Contains(directive, "error"); (r.err == nil) != whole || strings.Contains(r.body, "message_stop") {
				t.Errorf("error %v after %s", r.err, tail(r.body))
			}
			charge := w.onlyCharge("acme")
			if output := charge.Get("usage.output").Int(); output < 40 || output > 150 || charge.Get("usage.input").Int() != 100 {
				t.Errorf("charged for %s", charge.Get("usage").Raw)
			}
			equal(t, "source", charge.Get("usage_source").String(), "estimated")
		})
	}
}

// A message without usage is estimated, and never free.
func TestMessageWithoutUsage(t *testing.T) {
	w, p, key := claude(t, "")
	for _, more := range []string{`"top_k":1`, streamed} {
		for _, directive := range []string{"no-usage", "null-usage"} {
			p.message(key, message(directive, more)).requireStatus(t, 200)
		}
	}
	w.requireSettled("acme")
	for _, charge := range w.entries("acme", "charge") {
		if charge.Get("usage_source").String() != "estimated" || charge.Get("usage.input").Int() < 4 || charge.Get("usage.output").Int() < 8 {
			t.Errorf("charged %s", charge.Raw)
		}
	}
	equal(t, "charges", len(w.entries("acme", "charge")), 4)
}

// Refusals have Anthropic's shape on its route, with the statuses, codes and headers of all others.
func TestMessagesRefusals(t *testing.T) {
	w, p, key := claude(t, "", func(s *settings) { s.policy = "max_body: 1MiB" })
	w.account("broke", "0.0001")
	broke, _ := w.key("broke")
	picky, _ := w.key("acme", "--models", "gpt-*")
	slow, _ := w.key("acme", "--rpm", "1")
	body := message("usage=1,1")
	p.message(slow, body).requireStatus(t, 200)
	for name, c := range map[string]struct {
		r          reply
		status     int
		kind, code string
		final      bool
	}{
		"no key":            {p.message("", body), 401, "authentication_error", "invalid_api_key", true},
		"a bad key":         {p.message(wrongKey(key), body), 401, "authentication_error", "invalid_api_key", true},
		"a model not to be": {p.message(picky, body), 403, "permission_error", "model_not_allowed", true},
		"no such model":     {p.message(key, strings.Replace(body, "claude-sonnet-4-5", "claude-1", 1)), 404, "not_found_error", "model_not_found", true},
		"another's model":   {p.message(key, strings.Replace(body, "claude-sonnet-4-5", "gpt-4o", 1)), 404, "not_found_error", "model_not_found", true},
		"no JSON":           {p.message(key, "{"), 400, "invalid_request_error", "invalid_request", true},
		"too large":         {p.message(key, message(strings.Repeat("x", 2<<20))), 413, "request_too_large", "request_too_large", true},
		"no money":          {p.message(broke, body), 429, "billing_error", "insufficient_quota", true},
		"too often":         {p.message(slow, body), 429, "rate_limit_error", "rate_limit_exceeded", false},
		"the wrong method":  {p.send(http.MethodGet, messagesPath, key, ""), 405, "invalid_request_error", "method_not_allowed", true},
		"/v1 twice":         {p.post("/v1"+messagesPath, "", body, "x-api-key", key), 404, "not_found_error", "unknown_url", true},
		"another's file":    {p.message(key, strings.Replace(body, `"Please say hello."`, `[{"type":"document","source":{"type":"file","file_id":"file_1"}}]`, 1)), 404, "not_found_error", "object_not_found", true},
		"another's place":   {p.message(key, message("usage=1,1", `"container":"container_1"`)), 404, "not_found_error", "object_not_found", true},
		"a thread":          {p.message(key, message("usage=1,1", `"thread":{"type":"create"}`)), 400, "invalid_request_error", "invalid_request", true},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "status", c.r.status, c.status)
			for path, want := range map[string]string{"type": "error", "error.type": c.kind, "error.code": c.code, "request_id": c.r.header.Get("x-request-id")} {
				if got := c.r.get(path).String(); got != want || got == "" {
					t.Errorf("%s is %q, want %q in %s", path, got, want, c.r.body)
				}
			}
			equal(t, "request-id", c.r.header.Get("request-id"), c.r.header.Get("x-request-id"))
			equal(t, "cost", c.r.header.Get("x-tollgate-cost"), "0")
			equal(t, "x-should-retry: false", c.r.header.Get("x-should-retry") == "false", c.final)
			equal(t, "Retry-After", c.r.header.Get("Retry-After") != "", !c.final)
			if c.r.get("error.message").String() == "" || c.code == "insufficient_quota" != c.r.get("error.metadata.required").Exists() {
				t.Errorf("it says %s", c.r.body)
			}
		})
	}
	equal(t, "requests upstream", w.up.Stats().Requests, 1)
	r := p.message(key, message("status=529"))
	equal(t, "status", r.status, 529)
	equal(t, "the upstream's own error", r.body, string(w.up.lastSent()))
	w.requireSettled("acme")
}

// Counting tokens is free: by a row of its own, and for whoever may do it.
func TestCountingTokens(t *testing.T) {
	w, p, key := claude(t, "")
	body := `{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Please say hello."}],"tools":[{"type":"code_execution_20250825","name":"code_execution"}]}`
	r := p.message(key, body)
	r.requireStatus(t, 404) // code execution has no price, and is not free
	r = p.post(messagesPath+"/count_tokens", key, body)
	r.requireStatus(t, 200)
	equal(t, "body", r.body, string(w.up.lastSent()))
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-usage-input", "0", "x-tollgate-balance-recharge", "10")
	equal(t, "path upstream", w.up.Requests()[0].URL, "/v1/messages/count_tokens")
	only, _ := w.key("acme", "--endpoints", "messages")
	equal(t, "for a key of messages alone", p.post(messagesPath+"/count_tokens", only, body).get("error.type").String(), "permission_error")
	equal(t, "what another made", p.post(messagesPath+"/count_tokens", key, strings.Replace(body, `"Please say hello."`, `[{"type":"document","source":{"type":"file","file_id":"file_1"}}]`, 1)).status, 404)
	equal(t, "charged", w.onlyCharge("acme").Get("endpoint").String(), "count_tokens")
}

// An upstream that says so shares what is kept there.
func TestMessagesOfSharedObjects(t *testing.T) {
	w, p, key := claude(t, ", shared_objects: true")
	body := strings.Replace(message("usage=100,50"), `"Please say hello."`, `[{"type":"document","source":{"type":"file","file_id":"file_1"}}]`, 1)
	p.message(key, body).requireStatus(t, 200)
	w.requireSettled("acme")
}

// Upstreams serve the routes of their kind, and no others; all that speaks of models goes by it.
func TestRoutesOfUpstreamKinds(t *testing.T) {
	w, p, key := claude(t, "")
	want := refusal{status: 404, code: "model_not_found", kind: "invalid_request_error", final: true}
	want.require(t, p.post(chatPath, key, chat("claude-sonnet-4-5", "usage=1,1")))
	equal(t, "requests upstream", w.up.Stats().Requests, 0)
	models := p.get("/v1/models", key)
	for model, owner := range map[string]string{"claude-sonnet-4-5": "claude", "gpt-4o": "sim"} {
		equal(t, "owner of "+model, models.get(`data.#(id=="`+model+`").owned_by`).String(), owner)
	}
	theirs := p.send(http.MethodGet, "/v1/models?limit=1", key, "", "anthropic-version", "2023-06-01") // at the same path as OpenAI's
	equal(t, "models in Anthropic's form", theirs.body,
		`{"data":[{"type":"model","id":"claude-sonnet-4-5","display_name":"claude-sonnet-4-5","created_at":"1970-01-01T00:00:00Z"}],"first_id":"claude-sonnet-4-5","has_more":false,"last_id":"claude-sonnet-4-5"}`+"\n")
	equal(t, "request id", theirs.header.Get("request-id"), theirs.header.Get("x-request-id"))
	one := p.send(http.MethodGet, "/v1/models/claude-sonnet-4-5", key, "", "anthropic-version", "2023-06-01")
	equal(t, "one of them", one.get("type").String(), "model")
	none := p.send(http.MethodGet, "/v1/models/gpt-4o", key, "", "anthropic-version", "2023-06-01")
	none.requireStatus(t, 404)
	equal(t, "error in Anthropic's form", none.get("error.type").String(), "not_found_error")
	only, _ := w.key("acme", "--endpoints", "chat")
	if r := p.send(http.MethodGet, "/v1/models", only, "", "anthropic-version", "2023-06-01"); r.get("data").Raw != "[]" || r.get("first_id").Raw != "null" {
		t.Errorf("a key for chat alone is shown %s", r.body)
	}
	if r := p.get("/v1/models/claude-sonnet-4-5", only); r.status != 404 {
		t.Errorf("a key for chat alone is shown %s", r.body)
	}
	quote := p.post("/v1/quote", key, message("usage=1,1"))
	quote.requireStatus(t, 200)
	equal(t, "a ceiling", quote.get("ceiling").Bool(), true)
	quote = p.post("/v1/quote", key, `{"model":"claude-sonnet-4-5","usage":{"input":100,"output":50}}`)
	equal(t, "fee", quote.get("fee").String(), "0.0035")
	p.post("/v1/quote", key, `{"model":"claude-sonnet-4-5","endpoint":"chat","usage":{"input":100}}`).requireStatus(t, 404)
	p.post("/v1/quote", key, `{"model":"gpt-4o","endpoint":"messages","usage":{"input":100}}`).requireStatus(t, 404)
	p.post("/v1/quote", only, message("usage=1,1")).requireStatus(t, 403)
	equal(t, "the verb's fee", w.verb("quote", "claude-sonnet-4-5", "--endpoint", "messages", "--input", "100", "--output", "50").Get("fee").String(), "0.0035")
	w.requireSettled("acme")
}
