package e2e

import (
	"net/http"
	"strings"
	"testing"
)

const background = `"background":true`

// submitResponse makes a response in the background, and returns its path, and the call's id.
func (p *process) submitResponse(key, directive string, more ...string) (path, request string) {
	p.t.Helper()
	r := p.post(responsesPath, key, response("gpt-4o", directive, append(more, background)...))
	r.requireStatus(p.t, 200)
	if r.get("status").String() != "queued" || r.header.Get("x-tollgate-hold") == "" || r.header.Get("x-tollgate-cost") != "" {
		p.t.Errorf("submitted: %s, headers %v", r.body, r.header)
	}
	return responsesPath + "/" + r.get("id").String(), r.header.Get("x-request-id")
}

// twoAccounts share an upstream whose objects are anybody's.
func twoAccounts(t *testing.T) (w *world, p *process, key, others string) {
	t.Helper()
	w = newWorld(t)
	w.withUpstreams(w.upstreamItem("shared", w.up.url, ", shared_objects: true"))
	w.account("acme", "10")
	w.account("other", "10")
	key, _ = w.key("acme")
	others, _ = w.key("other")
	p = w.serve()
	return w, p, key, others
}

// A response in the background is held for from its submission on, and charged once, when its end is first told, by any proxy.
// Then it is as any that is kept.
func TestResponseInTheBackground(t *testing.T) {
	w, p, key := acme(t, withSearch)
	second := w.serve()
	path, request := p.submitResponse(key, "usage=100,50;cached=40;reasoning=20;polls=2;tool-results=2", `"tools":[{"type":"web_search"}]`)
	held := w.verb("hold", "list", "acme").Get("0")
	equal(t, "task", responsesPath+"/"+held.Get("task").String(), path)
	for range 2 {
		r := second.get(path, key)
		equal(t, "status", r.get("status").String(), "in_progress")
		requireHeaders(t, r.header, "x-tollgate-cost", "0")
		p.post(responsesPath, key, response("gpt-4o", "x", goesOn(strings.TrimPrefix(path, responsesPath+"/")))).requireStatus(t, 404) // it is not there yet
	}
	equal(t, "charges before its end", len(w.entries("acme", "charge")), 0)
	for _, at := range []*process{p, second, p} {
		r := at.get(path, key)
		r.requireStatus(t, 200)
		equal(t, "status", r.get("status").String(), "completed")
		equal(t, "bytes", r.body, string(w.up.lastSent()))
		requireHeaders(t, r.header, "x-tollgate-cost", "0.0223", "x-tollgate-usage-input", "100", "x-tollgate-usage-cached-input", "40", "x-tollgate-usage-output", "50")
	}
	charge := w.onlyCharge("acme")
	for field, want := range map[string]string{"request_id": request, "endpoint": "responses", "fee": "0.0223", "usage.search": "2", "usage.reasoning": "20"} {
		equal(t, field, charge.Get(field).String(), want)
	}
	equal(t, "receipt", p.get("/v1/receipts/"+request, key).get("fee").String(), "0.0223")
	goOn := second.post(responsesPath, key, says("gpt-4o", goesOn(strings.TrimPrefix(path, responsesPath+"/"))))
	goOn.requireStatus(t, 200)
	if in := goOn.get("usage.input_tokens").Int(); in < 150 {
		t.Errorf("%d tokens in, after 150", in)
	}
	equal(t, "items", p.get(path+"/input_items", key).get("data.#").Int(), 1)
	w.requireSettled("acme")
}

// It is its account's alone, and what is told before its end costs nothing.
func TestResponseInTheBackgroundIsItsAccounts(t *testing.T) {
	w, p, key, others := twoAccounts(t)
	path, _ := p.submitResponse(key, "usage=100,50;polls=0")
	for _, r := range []reply{
		p.get(path, others), p.get(path+"/input_items", others), p.send(http.MethodDelete, path, others, ""), p.post(path+"/cancel", others, ""),
	} {
		r.requireStatus(t, 404)
		equal(t, "code", r.get("error.code").String(), "object_not_found")
	}
	equal(t, "as another's task", p.get("/v1/async-result/"+strings.TrimPrefix(path, responsesPath+"/"), others).status, 404)
	p.get(path+"/input_items", key).requireStatus(t, 200)
	equal(t, "charges before it is told", len(w.entries("acme", "charge")), 0)
	requireHeaders(t, p.get(path, key).header, "x-tollgate-cost", "0.0025")
	w.onlyCharge("acme")
	w.requireNoCharge("other")
}

// How it can end otherwise.
func TestResponseInTheBackgroundEndsOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		directive string
		ask       func(p *process, path, key string) reply
		status    string
		cost      string
		charged   bool
	}{
		"incomplete":        {"usage=100,50;finish=length", (*process).getAs, "incomplete", "0.0025", true},
		"failed":            {"finish=failed", (*process).getAs, "failed", "0", false},
		"failed with usage": {"finish=failed;usage=100,50", (*process).getAs, "failed", "0.0025", true},
		"cancelled":         {"polls=9", func(p *process, path, key string) reply { return p.post(path+"/cancel", key, "{}") }, "cancelled", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := acme(t)
			path, _ := p.submitResponse(key, c.directive)
			for range 2 {
				r := c.ask(p, path, key)
				r.requireStatus(t, 200)
				equal(t, "status", r.get("status").String(), c.status)
				if cost := r.header.Get("x-tollgate-cost"); c.cost != "" && cost != c.cost || c.cost == "" && cost == "0" {
					t.Errorf("it cost %s", cost)
				}
				if name == "cancelled" {
					c.ask = (*process).getAs
				}
			}
			equal(t, "charges", len(w.entries("acme", "charge")) > 0, c.charged)
			w.requireSettled("acme")
		})
	}
}

func (p *process) getAs(path, key string) reply { return p.get(path, key) }

// Whose key asks for its receipts in the body gets that of a response in the background, too, with its end.
func TestEndOfAResponseHasItsCostInTheBody(t *testing.T) {
	w, p, key, up := behindOddUpstream(t)
	inBody, _ := w.key("acme", "--receipt-in-body")
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	up.tells("completed", saysHi+usage150)
	equal(t, "cost in the body", p.get(responsesPath+"/resp_1", inBody).get("usage.cost").String(), "0.0025")
	equal(t, "for a key that does not ask for it", p.get(responsesPath+"/resp_1", key).get("usage.cost").Exists(), false)
	w.onlyCharge("acme")
}
