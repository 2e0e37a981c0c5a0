package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Where an upstream's objects are anybody's, a response that nobody here has made is asked for there, and at no other upstream;
// by who has a key alone.
func TestForeignResponsesAreAskedForWhereTheyAreShared(t *testing.T) {
	w := newWorld(t)
	others := make([]*upstream, 3)
	for i := range others {
		others[i] = startUpstream(t, w.made.mock)
	}
	w.withUpstreams(fmt.Sprintf("  - {name: own, base_url: \"%[1]s/v1\", api_key: %[4]q, models: [\"*\"]}\n"+
		"  - {name: other, kind: anthropic, base_url: \"%[1]s/v1\", api_key: %[4]q, models: [\"*\"], shared_objects: true}\n"+
		"  - {name: first, base_url: \"%[2]s/v1\", api_key: %[4]q, models: [\"*\"], shared_objects: true}\n"+
		"  - {name: second, base_url: \"%[3]s/v1\", api_key: %[4]q, models: [\"*\"], shared_objects: true}\n"+
		"  - {name: third, base_url: \"%[5]s/v1\", api_key: %[4]q, models: [\"*\"], shared_objects: true}\n", others[0].url, others[1].url, w.up.url, upstreamKey, others[2].url))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	past := &process{t: t, url: w.up.url}
	made := past.post(responsesPath, upstreamKey, says("gpt-4o"))
	made.requireStatus(t, 200)
	path := responsesPath + "/" + made.get("id").String()
	for range 2 {
		r := p.get(path, key)
		r.requireStatus(t, 200)
		equal(t, "told", r.body, made.body)
		requireHeaders(t, r.header, "x-tollgate-cost", "0")
	}
	equal(t, "asked behind the one that has it", others[2].Stats().Requests, 0)
	asked := w.up.Stats().Requests
	for _, stranger := range []string{"tg-acme-" + strings.Repeat("x", 40), ""} {
		p.get(path, stranger).requireStatus(t, 401)
	}
	equal(t, "asked for strangers", w.up.Stats().Requests, asked)
	r := p.get(responsesPath+"/resp_nobodys", key)
	r.requireStatus(t, 404)
	equal(t, "the upstream's own words", r.body, string(others[2].lastSent()))
	equal(t, "asked first", others[1].Stats().Requests, 3)
	equal(t, "asked where nothing is shared, or no responses are", others[0].Stats().Requests, 0)
	p.send(http.MethodDelete, path, key, "").requireStatus(t, 200)
	p.get(path, key).requireStatus(t, 404)
	w.requireNoCharge("acme")
}

// A kept answer is no task, though both are found by their ids.
func TestAKeptAnswerIsNoTask(t *testing.T) {
	w, p, key := acme(t)
	id, _ := p.keptResponse(key)
	refusal{status: 404, code: "object_not_found", final: true}.require(t, p.get("/v1/async-result/"+id, key))
	equal(t, "asked upstream", w.up.Stats().ByRoute["async-result"], int64(0))
}
