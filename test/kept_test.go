package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// goesOn is the member of a request that goes on from a response.
func goesOn(id string) string { return `"previous_response_id":"` + id + `"` }

// says is a request for a response of which the upstream is told nothing else.
func says(model string, more ...string) string {
	return "{" + strings.Join(append([]string{`"model":"` + model + `"`, `"input":"Please say hello."`}, more...), ",") + "}"
}

// keptResponse makes a response, and returns its id, and how many tokens it came to.
func (p *process) keptResponse(key string, more ...string) (id string, tokens int64) {
	p.t.Helper()
	r := p.post(responsesPath, key, says("gpt-4o", more...))
	r.requireStatus(p.t, 200)
	return r.get("id").String(), r.get("usage.total_tokens").Int()
}

// A conversation goes on by the id of its last response, whole or streamed, at any proxy, and what was said before is held for.
func TestConversationGoesOn(t *testing.T) {
	w, p, key := acme(t)
	second := w.serve()
	long := strings.Repeat("A long story. ", 500)
	first := p.post(responsesPath, key, `{"model":"gpt-4o","input":"`+long+`"}`)
	first.requireStatus(t, 200)
	id, said := first.get("id").String(), first.get("usage.total_tokens").Int()
	for i, at := range []*process{p, second, p} {
		more := []string{goesOn(id)}
		if i == 1 {
			more = append(more, streamed)
		}
		r := at.post(responsesPath, key, says("gpt-4o", more...))
		r.requireStatus(t, 200)
		told := r.header
		if i == 1 {
			told = r.trailer
			last := strings.Split(r.body, `"response":`)
			r.body = last[len(last)-1]
		}
		in := r.get("usage.input_tokens").Int()
		if in < said || told.Get("x-tollgate-usage-input") != fmt.Sprint(in) {
			t.Errorf("%d tokens in, after %d; told %v", in, said, told)
		}
		id, said = r.get("id").String(), r.get("usage.total_tokens").Int()
	}
	for _, charge := range w.entries("acme", "charge") {
		if over := charge.Get("overrun"); over.Exists() {
			t.Errorf("charged above the hold: %s", charge)
		}
	}
	if quote := p.post("/v1/quote", key, says("gpt-4o", goesOn(id))); quote.status != 200 || quote.get(`lines.#(dimension=="input").quantity`).Int() < said {
		t.Errorf("quoted %s, after %d tokens", quote.body, said)
	}
	for _, proxy := range []*process{p, second} { // each of what had not passed through it
		equal(t, "questions to the ledger", proxy.metric(`tollgate_ledger_seconds_count{op="object",outcome="ok"}`), 1.0)
	}
	w.requireSettled("acme")
}

// Some clients name the items of earlier answers in place of the last response. Those are known, too, by any proxy.
func TestConversationGoesOnByItems(t *testing.T) {
	w, p, key := acme(t)
	w.account("other", "10")
	others, _ := w.key("other")
	second := w.serve()
	var items []string
	for i, at := range []*process{p, second, p, p} {
		input := append(slices.Clone(items), `{"role":"user","content":"Go on."}`)
		body := `{"model":"gpt-4o","user":"mock:reasoning=5","input":[` + strings.Join(input, ",") + `]}`
		if i > 0 {
			foreign := p.post(responsesPath, others, body)
			foreign.requireStatus(t, 404)
			equal(t, "another's items", foreign.get("error.param").String(), "input.id")
		}
		r := at.post(responsesPath, key, body)
		r.requireStatus(t, 200)
		for _, item := range r.get("output").Array() {
			items = append(items, `{"type":"item_reference","id":"`+item.Get("id").String()+`"}`)
		}
	}
	equal(t, "items", len(items), 8)
	// Each proxy asks the ledger once, for what the other has made; and p for what is another's, three times.
	for proxy, asked := range map[*process]float64{p: 1 + 3, second: 1} {
		equal(t, "questions to the ledger", proxy.metric(`tollgate_ledger_seconds_count{op="object",outcome="ok"}`), asked)
	}
	for _, charge := range w.entries("acme", "charge") {
		if over := charge.Get("overrun"); over.Exists() {
			t.Errorf("charged above the hold: %s", charge)
		}
	}
	w.requireSettled("acme")
	w.requireNoCharge("other")
}

// A conversation for which the money does not reach is refused before the call: what was said before is read again.
func TestConversationIsHeldFor(t *testing.T) {
	w, p, _ := acme(t)
	w.account("poor", "0.06")
	key, _ := w.key("poor")
	limit := `"max_output_tokens":10`
	first := p.post(responsesPath, key, `{"model":"gpt-4o","user":"mock:usage=4000,10","input":"`+strings.Repeat("A long story. ", 300)+`",`+limit+`}`)
	first.requireStatus(t, 200)
	served := w.up.Stats().Requests
	refusal{status: 429, code: "insufficient_quota", final: true}.require(t, p.post(responsesPath, key, says("gpt-4o", limit, goesOn(first.get("id").String()))))
	equal(t, "requests upstream", w.up.Stats().Requests, served)
	p.post(responsesPath, key, says("gpt-4o", limit)).requireStatus(t, 200) // what begins anew, it reaches for
	w.requireSettled("poor")
}

// What another account has made does not exist, and the upstream is not asked; nor for what nobody has made, or what was not kept.
func TestKeptAnswersAreTheirAccounts(t *testing.T) {
	w, p, key := acme(t)
	w.account("other", "10")
	others, _ := w.key("other")
	second, _ := w.key("acme", "--models", "gpt-4o*")
	id, _ := p.keptResponse(key)
	unkept, _ := p.keptResponse(key, `"store":false`)
	asked := w.up.Stats().Requests
	one, another := p.get(responsesPath+"/"+id, others), p.get(responsesPath+"/resp_nobodys", others)
	equal(t, "the same words", another.body, one.body)
	for _, c := range []struct{ key, id string }{{others, id}, {key, id + "0"}, {key, "resp_nobodys"}, {key, unkept}, {key, strings.Repeat("x", 300)}, {key, "a%20b"}} {
		for _, r := range []reply{
			p.get(responsesPath+"/"+c.id, c.key), p.get(responsesPath+"/"+c.id+"/input_items", c.key),
			p.send(http.MethodDelete, responsesPath+"/"+c.id, c.key, ""),
			p.post(responsesPath, c.key, says("gpt-4o", goesOn(c.id))), p.post("/v1/quote", c.key, says("gpt-4o", goesOn(c.id))),
		} {
			r.requireStatus(t, 404)
			equal(t, c.id, r.get("error.code").String(), "object_not_found")
			requireHeaders(t, r.header, "x-should-retry", "false", "x-tollgate-cost", "0")
		}
	}
	for _, stranger := range []string{"tg-acme-" + strings.Repeat("x", 40), ""} {
		equal(t, "a stranger reads", p.get(responsesPath+"/"+id, stranger).status, 401)
		equal(t, "a stranger goes on", p.post(responsesPath, stranger, says("gpt-4o", goesOn(id))).status, 401)
		equal(t, "a stranger goes on from nothing", p.post(responsesPath, stranger, says("gpt-4o", goesOn("resp_x"))).status, 401)
	}
	equal(t, "posted to", p.post(responsesPath+"/"+id, key, "{}").status, 404)
	equal(t, "asked the upstream", w.up.Stats().Requests, asked)
	p.post(responsesPath, second, says("gpt-4o", goesOn(id))).requireStatus(t, 200) // any key of the account
	w.requireNoCharge("other")
}

// A kept answer is read and deleted as the upstream has it, for nothing.
func TestKeptAnswersAreReadAndDeleted(t *testing.T) {
	w, p, key := acme(t)
	made := p.post(responsesPath, key, says("gpt-4o"))
	id := made.get("id").String()
	for _, prefix := range []string{"/v1/responses/", "/api/paas/v4/responses/"} {
		r := p.get(prefix+id, key)
		r.requireStatus(t, 200)
		equal(t, "the response", r.body, made.body)
		requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", w.balance("acme"), "content-type", "application/json")
		if r.header.Get("x-request-id") == "" || r.header.Get("x-request-id") == r.header.Get("x-upstream-request-id") {
			t.Errorf("headers %v", r.header)
		}
	}
	items := p.send(http.MethodGet, responsesPath+"/"+id+"/input_items?limit=5&key=x&model=y", key, "", "OpenAI-Beta", "items", "Cookie", "theirs")
	equal(t, "items", items.get("data.0.content.0.text").String(), "Please say hello.")
	sent := w.up.Requests()[len(w.up.Requests())-1]
	equal(t, "asked for", sent.URL, "/v1/responses/"+id+"/input_items?limit=5")
	equal(t, "credential", sent.Header.Get("Authorization"), "Bearer "+upstreamKey)
	equal(t, "the client's headers", sent.Header.Get("OpenAI-Beta")+sent.Header.Get("Cookie"), "items")
	equal(t, "deleted", p.send(http.MethodDelete, responsesPath+"/"+id, key, "").get("deleted").Bool(), true)
	gone := p.get(responsesPath+"/"+id, key)
	gone.requireStatus(t, 404)
	equal(t, "the upstream's own words", gone.get("error.message").String(), "Response with id '"+id+"' not found.")
	after := p.post(responsesPath, key, says("gpt-4o", goesOn(id)))
	equal(t, "the upstream's own error", after.get("error.code").String(), "previous_response_not_found")
	equal(t, "charges", len(w.entries("acme", "charge")), 1)
	w.requireSettled("acme")
}

// A conversation goes on where it is kept, and nowhere else.
func TestConversationGoesOnWhereItIs(t *testing.T) {
	w := newWorld(t)
	other := startUpstream(t, w.made.mock)
	item := func(name, url, models, priority string) string {
		return fmt.Sprintf("  - {name: %s, base_url: \"%s/v1\", api_key: %q, models: [%s], priority: %s}\n", name, url, upstreamKey, models, priority)
	}
	w.withUpstreams(item("first", other.url, `"gpt-*"`, "1"), item("second", w.up.url, `"gpt-4o"`, "2"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	if err := other.SetFault("status=503", 1); err != nil {
		t.Fatal(err)
	}
	id, _ := p.keptResponse(key)
	served := w.up.Stats().Requests
	for range 3 {
		p.post(responsesPath, key, says("gpt-4o", goesOn(id))).requireStatus(t, 200)
	}
	p.get(responsesPath+"/"+id, key).requireStatus(t, 200)
	equal(t, "asked where it is", w.up.Stats().Requests, served+4)
	elsewhere := p.post(responsesPath, key, says("gpt-4o-mini", goesOn(id)))
	elsewhere.requireStatus(t, 404)
	if elsewhere.get("error.code").String() != "object_not_found" || !strings.Contains(elsewhere.get("error.message").String(), "another provider") {
		t.Errorf("with another's model: %s", elsewhere.body)
	}
	w.withUpstreams(item("first", other.url, `"gpt-*"`, "1"))
	p.reloads()
	p.post(responsesPath, key, says("gpt-4o", goesOn(id))).requireStatus(t, 404)
	equal(t, "gone", p.get(responsesPath+"/"+id, key).get("error.code").String(), "upstream_unavailable")
	equal(t, "asked of the first", other.Stats().Requests, int64(1))
	w.requireSettled("acme")
}

// Redis away when a response ends: it is kept with its charge, and known when that is booked.
func TestKeptWhileRedisIsAway(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.ledger = "durability: strict" })
	w.redis.Client().ConfigSet(t.Context(), "appendfsync", "always")
	second := w.serve()
	reached, release := w.up.stallBefore(0)
	answers := make(chan reply, 1)
	go func() { answers <- p.send(http.MethodPost, responsesPath, key, says("gpt-4o")) }()
	<-reached
	w.redis.Stop()
	release()
	r := <-answers
	r.requireStatus(t, 200)
	id := r.get("id").String()
	equal(t, "meanwhile", second.get(responsesPath+"/"+id, key).status, 503)
	equal(t, "going on", p.post(responsesPath, key, says("gpt-4o", goesOn(id))).status, 503)
	w.redis.Start()
	eventually(t, "it is known", func() bool {
		again := second.get(responsesPath+"/"+id, key)
		if again.status != 200 && again.status != 503 {
			t.Errorf("meanwhile: %d %s", again.status, again.body)
		}
		return again.status == 200
	})
	second.post(responsesPath, key, says("gpt-4o", goesOn(id))).requireStatus(t, 200)
	equal(t, "charges", len(w.entries("acme", "charge")), 2)
	w.requireSettled("acme")
}

// Of an answer that broke off the upstream may have made more than is on the books: nobody may read it.
func TestPartOfAnAnswerIsNotKept(t *testing.T) {
	for _, policy := range []string{"cancel", "drain"} {
		t.Run(policy, func(t *testing.T) {
			w, p, key := acme(t, func(s *settings) { s.policy = "on_disconnect: " + policy })
			reached, release := w.up.stallBefore(10)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			response, err := p.call(ctx, http.MethodPost, responsesPath, key, says("gpt-4o", streamed, `"user":"mock:chunks=20"`))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			<-reached
			begun := make([]byte, 200)
			if _, err := io.ReadFull(response.Body, begun); err != nil {
				t.Fatal(err)
			}
			_, id, _ := strings.Cut(string(begun), `"id":"`)
			id, _, _ = strings.Cut(id, `"`)
			leave()
			if policy == "drain" {
				release()
			} else {
				defer release()
			}
			eventually(t, "it is charged", func() bool { return len(w.entries("acme", "charge")) == 1 })
			want := map[string]int{"cancel": 404, "drain": 200}[policy]
			equal(t, "read", p.get(responsesPath+"/"+id, key).status, want)
			equal(t, "gone on from", p.post(responsesPath, key, says("gpt-4o", goesOn(id))).status, want)
			w.requireSettled("acme")
		})
	}
}
