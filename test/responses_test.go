package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const responsesPath = "/v1/responses"

// response is the body of a request for a response; more are members such as `"stream":true`.
func response(model, directive string, more ...string) string {
	members := append([]string{`"model":"` + model + `"`, `"user":"mock:` + directive + `"`, `"input":"Please say hello."`}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// withSearch adds prices of hosted tools to the table.
func withSearch(s *settings) {
	s.prices += "  - tools: [web_search]\n    rates: {search: 0.01}\n  - tools: [file_search]\n    rates: {tool_call: 0.002}\n"
}

// A response is charged as its usage says, whole or streamed, under both prefixes.
func TestResponsesAreCharged(t *testing.T) {
	w, p, key := acme(t, withSearch)
	for _, path := range []string{responsesPath, "/api/paas/v4/responses"} {
		for _, more := range []string{`"stream":false`, streamed} {
			r := p.post(path, key, response("gpt-4o", "usage=100,50;cached=40;reasoning=20", more))
			r.requireStatus(t, 200)
			told := r.header
			if more == streamed {
				told = r.trailer
			}
			requireHeaders(t, told, "x-tollgate-cost", "0.0023", "x-tollgate-usage-input", "100",
				"x-tollgate-usage-cached-input", "40", "x-tollgate-usage-output", "50", "x-tollgate-usage-source", "upstream")
		}
	}
	for _, charge := range w.entries("acme", "charge") {
		equal(t, "endpoint", charge.Get("endpoint").String(), "responses")
		equal(t, "usage", charge.Get("usage").Raw, `{"cached_input":40,"input":60,"output":30,"reasoning":20}`)
	}
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "9.9908")
}

// P7: the bytes of a response are the upstream's own.
func TestResponsesBytesAreTheUpstreams(t *testing.T) {
	w, p, key := acme(t, withSearch)
	for _, directive := range []string{
		"chunks=20", "chunks=20;crlf", "chunks=20;comments;no-space", "chunks=20;no-blank", "usage=100,50;chunks=1;bytes=1000000", "chunks=20;gzip",
		"reasoning=5;tool-results=2", "tool-call=search", "finish=content_filter", "finish=failed", "chunks=20;error-event", "null-usage", "float-usage",
	} {
		for _, more := range []string{`"stream":false`, streamed} {
			r := p.send("POST", responsesPath, key, response("gpt-4o", directive, more))
			equal(t, directive+": error", r.err, nil)
			if sent := string(w.up.lastSent()); r.body != sent && !strings.Contains(directive, "gzip") {
				t.Errorf("%s %s: the client got\n%s\nthe upstream sent\n%s", directive, more, tail(r.body), tail(sent))
			}
			body := w.up.Requests()[len(w.up.Requests())-1].Body
			equal(t, directive+": sent upstream", string(body), response("gpt-4o", directive, more))
		}
	}
	w.requireSettled("acme")
}

// P3: the last event of a response, and a whole one, are not delivered before the charge is booked.
func TestResponsesEndIsWithheldUntilBooked(t *testing.T) {
	for _, c := range []struct{ last, more string }{{"response.completed", ""}, {"response.incomplete", `,"max_output_tokens":8`}} {
		t.Run(c.last, func(t *testing.T) {
			w, p, key := acme(t)
			charge := requireEndWithheld(t, w, p, key, stalled{
				before: 5, path: responsesPath, body: response("gpt-4o", "usage=100,50", streamed+c.more),
				here: `"type":"response.output_item.done"`, end: c.last, early: []string{c.last},
			})
			equal(t, "fee", charge.Get("fee").String(), "0.0025")
		})
	}
}

// What an upstream does not count is estimated, once, though every event of a stream repeats it.
func TestResponsesWithoutUsage(t *testing.T) {
	w, p, key := acme(t)
	for _, more := range []string{`"stream":false`, streamed} {
		for _, directive := range []string{"null-usage;bytes=4000;chunks=10", "null-usage;bytes=4000;chunks=10;finish=content_filter", "null-usage;bytes=4000;chunks=1000"} {
			p.post(responsesPath, key, response("gpt-4o", directive, more)).requireStatus(t, 200)
		}
	}
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), 6)
	for _, charge := range charges {
		equal(t, "source", charge.Get("usage_source").String(), "estimated")
		if n := charge.Get("usage.output").Int(); n < 600 || n > 1000 {
			t.Errorf("%d tokens of output for 4000 letters", n)
		}
		if n := charge.Get("usage.input").Int(); n < 4 || n > 20 {
			t.Errorf("%d tokens of input for a few words", n)
		}
	}
}

// P4: a response that failed before there was anything costs nothing; one of which the upstream tells usage does.
func TestResponsesThatFail(t *testing.T) {
	for directive, fee := range map[string]string{"finish=failed": "0", "finish=failed;usage=100,0": "0.001"} {
		for _, more := range []string{`"stream":false`, streamed} {
			w, p, key := acme(t)
			p.post(responsesPath, key, response("gpt-4o", directive, more)).requireStatus(t, 200)
			charge := w.onlyCharge("acme")
			equal(t, directive+": fee", charge.Get("fee").String(), fee)
		}
	}
	w, p, key := acme(t)
	r := p.post(responsesPath, key, response("gpt-4o", "status=500"))
	r.requireStatus(t, 500)
	w.requireNoCharge("acme")
}

// A client that leaves in the middle pays what the upstream says was used; by the
// cancel policy what was delivered.
func TestLeaveAResponse(t *testing.T) {
	for _, mode := range []string{"drain", "cancel"} {
		t.Run(mode, func(t *testing.T) {
			w, p, key := acme(t, policy("on_disconnect: "+mode))
			reached, release := w.up.stallBefore(20)
			defer release()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			answer, err := p.call(ctx, http.MethodPost, responsesPath, key, response("gpt-4o", "usage=100,50;bytes=4000;chunks=40", streamed))
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			<-reached
			readSome(t, answer.Body)
			leave()
			if mode == "drain" {
				release()
				charge := w.onlyCharge("acme")
				equal(t, "fee", charge.Get("fee").String(), "0.0025")
				equal(t, "source", charge.Get("usage_source").String(), "upstream")
				return
			}
			charge := w.onlyCharge("acme")
			equal(t, "source", charge.Get("usage_source").String(), "estimated")
			if output := charge.Get("usage.output").Int(); output <= 0 || output > 600 {
				t.Errorf("%d tokens of output charged for less than half of a reply of 1000", output)
			}
		})
	}
}

// A stream that breaks off is cut for the client too, and pays for what it got.
func TestResponsesBrokenOff(t *testing.T) {
	w, p, key := acme(t)
	r := p.send("POST", responsesPath, key, response("gpt-4o", "bytes=4000;chunks=40;cut=mid-frame", streamed))
	if r.err == nil || strings.Contains(r.body, "response.completed") {
		t.Errorf("the client could take the part for the whole: %v %s", r.err, tail(r.body))
	}
	charge := w.onlyCharge("acme")
	if output := charge.Get("usage.output").Int(); output <= 0 || output > 1000 {
		t.Errorf("%d tokens of output", output)
	}
}

// How the connection ends after the last event is no matter of the answer's.
func TestResponsesEndAtTheirLastEvent(t *testing.T) {
	var whole string
	w, p, key := behind(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, whole)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	whole = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":100,\"output_tokens\":50,\"total_tokens\":150}}}\n\n"
	r := p.post(responsesPath, key, response("gpt-4o", "x", streamed))
	equal(t, "body", r.body, whole)
	equal(t, "cost", r.trailer.Get("x-tollgate-cost"), "0.0025")
	w.requireSettled("acme")
}

// Who asks for it finds the cost in the usage object, of a whole response and of the last event.
func TestResponsesCostInTheBody(t *testing.T) {
	w, p, key := acme(t)
	r := p.post(responsesPath, key, response("gpt-4o", "usage=100,50"), "x-tollgate-receipt", "body")
	equal(t, "cost", r.get("usage.cost").String(), "0.0025")
	if !r.get("usage.cost_details").IsObject() || r.get("usage.total_tokens").Int() != 150 {
		t.Errorf("usage %s", r.get("usage").Raw)
	}
	r = p.post(responsesPath, key, response("gpt-4o", "usage=100,50", streamed), "x-tollgate-receipt", "body")
	_, last, _ := strings.Cut(r.body, "event: response.completed\ndata: ")
	r.body = last
	equal(t, "cost in the stream", r.get("response.usage.cost").String(), "0.0025")
	if !strings.HasSuffix(last, "\n\n") {
		t.Errorf("the last event does not end: %q", tail(last))
	}
	w.requireSettled("acme")
}

// A search is charged by the call, beside what it finds, which is in the input.
func TestResponsesSearch(t *testing.T) {
	w, p, key := acme(t, withSearch)
	search := `"tools":[{"type":"web_search"},{"type":"function","name":"f","parameters":{}}],"max_output_tokens":100`
	for _, more := range []string{`"stream":false`, streamed} {
		r := p.post(responsesPath, key, response("gpt-4o", "usage=100,50;tool-results=3", search, more))
		r.requireStatus(t, 200)
	}
	w.requireSettled("acme")
	for _, charge := range w.entries("acme", "charge") {
		equal(t, "fee", charge.Get("fee").String(), "0.0325")
		equal(t, "searches", charge.Get(`lines.#(tool=="web_search").quantity`).Int(), 3)
	}
	quoted := p.post("/v1/quote", key, response("gpt-4o", "x", search, `"max_tool_calls":2`))
	equal(t, "searches held: "+quoted.body, quoted.get(`lines.#(tool=="web_search").quantity`).Int(), 2)
	// P8: what has no price is refused before the call, by its name.
	sent := w.up.Stats().Requests
	for _, tool := range []string{"mcp", "code_interpreter", "image_generation", "computer_use_preview", "local_shell"} {
		r := p.post(responsesPath, key, response("gpt-4o", "x", `"tools":[{"type":"`+tool+`"}]`))
		r.requireStatus(t, 404)
		if m := r.get("error.message").String(); !strings.Contains(m, "no price here for responses") || !strings.Contains(m, "the hosted tools "+tool) {
			t.Errorf("%s: %s", tool, m)
		}
	}
	r := p.post(responsesPath, key, response("gpt-4o", "x", `"tools":[{"type":"teleport"}]`))
	r.requireStatus(t, 400)
	equal(t, "requests upstream", w.up.Stats().Requests-sent, 0)
}

// stored are requests that name what is kept upstream.
var stored = map[string]string{
	`"previous_response_id":"resp_1"`:                              "previous_response_id",
	`"conversation":"conv_1"`:                                      "conversation",
	`"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`: "tools",
	`"prompt":{"id":"pmpt_1"},"metadata":{"a":"b"}`:                "prompt",
}

// An object upstream of which nobody knows whose it is, or that nobody has made here, is answered like one that does not exist.
func TestStoredObjectsAreRefused(t *testing.T) {
	w, p, key := acme(t, withSearch)
	for members, param := range stored {
		r := p.post(responsesPath, key, response("gpt-4o", "x", members))
		r.requireStatus(t, 404)
		equal(t, members+": param", r.get("error.param").String(), param)
		equal(t, members+": code", r.get("error.code").String(), "object_not_found")
		requireHeaders(t, r.header, "x-should-retry", "false", "x-tollgate-cost", "0")
		equal(t, members+": quote", p.post("/v1/quote", key, response("gpt-4o", "x", members)).status, 404)
	}
	message := p.post(responsesPath, key, response("gpt-4o", "x", `"previous_response_id":"resp_1"`)).get("error.message").String()
	if !strings.Contains(message, "store: false") || !strings.Contains(message, "encrypted_content") {
		t.Errorf("it does not say what to do instead: %s", message)
	}
	equal(t, "background, streamed", p.post(responsesPath, key, response("gpt-4o", "x", `"background":true`, streamed)).status, 400)
	for _, path := range []string{"/v1/responses/resp_1/cancel/x", "/v1/conversations"} {
		equal(t, path, p.post(path, key, `{"model":"gpt-4o"}`).get("error.code").String(), "unknown_url")
	}
	equal(t, "requests upstream", w.up.Stats().Requests, 0)
	w.requireNoCharge("acme")
}

// An upstream whose objects are everybody's gets what names them, and it alone. What it reads
// of them is beyond the hold, and is booked whole.
func TestSharedObjects(t *testing.T) {
	w := newWorld(t, withSearch)
	w.withUpstreams(w.upstreamItem("closed", w.up.url, ", priority: 0"), w.upstreamItem("shared", w.up.url, ", priority: 1, shared_objects: true"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	elsewhere := &process{t: t, url: w.up.url}
	foreign, _ := elsewhere.keptResponse(upstreamKey)
	for members := range stored {
		members = strings.Replace(members, "resp_1", foreign, 1)
		p.post(responsesPath, key, response("gpt-4o", "usage=100000,50", members)).requireStatus(t, 200)
	}
	p.post(responsesPath, key, response("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), len(stored)+1)
	for i, charge := range charges {
		if i == len(stored) {
			equal(t, "upstream of what names nothing", charge.Get("upstream").String(), "closed")
			continue
		}
		equal(t, "upstream", charge.Get("upstream").String(), "shared")
		equal(t, "input", charge.Get("usage.input").Int(), 100000)
	}
}

// The row is a row like the others: for keys, quotes, and kinds of upstreams that do not have it.
func TestResponsesAsARow(t *testing.T) {
	w := newWorld(t)
	w.withUpstreams(
		fmt.Sprintf("  - {name: bm, kind: bigmodel, base_url: %q, api_key: %q, models: [\"glm-*\"]}\n", w.up.url+"/api/paas/v4", upstreamKey),
		fmt.Sprintf("  - {name: oa, base_url: %q, api_key: %q, models: [\"gpt-*\"]}\n", w.up.url+"/v1", upstreamKey),
	)
	w.account("acme", "10")
	key, _ := w.key("acme")
	only, _ := w.key("acme", "--endpoints", "responses")
	never, _ := w.key("acme", "--endpoints", "chat")
	p := w.serve()
	r := p.post(responsesPath, key, response("glm-4.6", "x"))
	r.requireStatus(t, 404)
	equal(t, "code", r.get("error.code").String(), "model_not_found")
	if m := r.get("error.message").String(); !strings.Contains(m, "not served at /v1/responses here: its provider has /v1/chat/completions") {
		t.Errorf("message %s", m)
	}
	p.post(responsesPath, only, response("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	p.post(chatPath, only, chat("gpt-4o", "usage=100,50")).requireStatus(t, 403)
	p.post(responsesPath, never, response("gpt-4o", "usage=100,50")).requireStatus(t, 403)
	models := p.get("/v1/models", only)
	if !strings.Contains(models.body, `"gpt-4o"`) || strings.Contains(models.body, `"glm-4.6"`) {
		t.Errorf("models of a key for responses alone: %s", models.body)
	}
	for _, body := range []string{
		response("gpt-4o", "x", `"max_output_tokens":100`), response("gpt-4o", "x", `"max_output_tokens":100,"endpoint":"responses"`),
	} {
		quoted := p.post("/v1/quote", key, body)
		equal(t, "output quoted: "+quoted.body, quoted.get(`lines.#(dimension=="output").quantity`).Int(), 100)
	}
	equal(t, "quoted by the verb", w.verb("quote", "gpt-4o", "--input", "100", "--output", "50", "--endpoint", "responses").Get("fee").String(), "0.0025")
	equal(t, "the wrong method", p.get(responsesPath, key).status, 405)
	w.account("poor", "0.01")
	poor, _ := w.key("poor")
	r = p.post(responsesPath, poor, response("gpt-4o", "usage=1,1", `"max_output_tokens":1000`))
	r.requireStatus(t, 429)
	if m := r.get("error.message").String(); !strings.Contains(m, "With max_output_tokens of at most ") {
		t.Errorf("message %s", m)
	}
	n := r.get("error.metadata.affordable_output_tokens").Int()
	p.post(responsesPath, poor, response("gpt-4o", "usage=1,1", fmt.Sprintf(`"max_output_tokens":%d`, n))).requireStatus(t, 200)
	w.requireSettled("acme")
}
