package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// The end of a response that was made in the background is booked before it goes out, wherever it is told: by an error that
// reports usage, by the answer to its deletion, among events.
func TestEndOfAResponseIsBookedWhereverItIsTold(t *testing.T) {
	end := anOddResponse("resp_1", "completed", saysHi+usage150)
	for name, c := range map[string]struct {
		method, path string
		status       int64
		contentType  string
		told         string
	}{
		"an error":  {http.MethodGet, "", 500, "application/json", end},
		"deleted":   {http.MethodDelete, "", 200, "application/json", end},
		"items":     {http.MethodGet, "/input_items", 200, "application/json", end},
		"cancelled": {http.MethodPost, "/cancel", 200, "application/json", end},
		"head":      {http.MethodHead, "", 200, "application/json", end},
		"events": {http.MethodGet, "?stream=true", 200, "text/event-stream", "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"response\":" +
			anOddResponse("resp_1", "in_progress", `,"output":[]`) + "}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + end + "}\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key, up := behindOddUpstream(t)
			p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
			up.told.Store(c.told)
			up.status.Store(c.status)
			up.contentType.Store(c.contentType)
			for range 2 {
				r := p.send(c.method, responsesPath+"/resp_1"+c.path, key, "", "X-Tollgate-Receipt", "body")
				r.requireStatus(t, int(c.status))
				requireHeaders(t, r.header, "x-tollgate-cost", "0.0025")
			}
			w.onlyCharge("acme")
		})
	}
}

// What says nothing of it is passed on.
func TestResponseInTheBackgroundIsDeleted(t *testing.T) {
	w, p, key, up := behindOddUpstream(t, func(s *settings) { s.ledger = "hold_ttl: 1s\n  task_ttl: 2s" })
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	up.told.Store(`{"id":"resp_1","object":"response.deleted","deleted":true}`)
	r := p.send(http.MethodDelete, responsesPath+"/resp_1", key, "")
	r.requireStatus(t, 200)
	equal(t, "told", r.body, up.told.Load().(string))
	up.told.Store(`{"object":"list","data":[{"id":"msg_0","type":"message"}],"first_id":"msg_0","last_id":"msg_0","has_more":false}`)
	p.get(responsesPath+"/resp_1/input_items", key).requireStatus(t, 200)
	up.told.Store(`<html>`)
	equal(t, "told nothing", p.get(responsesPath+"/resp_1", key).status, 502)
	equal(t, "type", w.onlyCharge("acme").Get("type").String(), "abandon")
}

// A list of what went in may be longer than any answer that is kept until it is booked.
func TestLongInputOfAResponseInTheBackground(t *testing.T) {
	_, p, key, up := behindOddUpstream(t, func(s *settings) { s.policy = "max_kept_answer: 64KiB" })
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	list := `{"object":"list","data":[{"id":"msg_0","content":"` + strings.Repeat("x", 300_000) + `"}]}`
	up.told.Store(list)
	r := p.get(responsesPath+"/resp_1/input_items", key)
	r.requireStatus(t, 200)
	equal(t, "whole", r.body == list, true)
	equal(t, "an answer of that length", p.get(responsesPath+"/resp_1", key).status, 502)
}

// An end that is told again, and otherwise, costs what it cost: the first receipt stands, and nobody is called for a charge that
// nothing could take.
func TestEndOfAResponseIsToldOtherwise(t *testing.T) {
	w, p, key, up := behindOddUpstream(t)
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	for _, usage := range []string{usage150, `,"usage":{"input_tokens":200,"output_tokens":70,"total_tokens":270}`, usage150} {
		up.tells("completed", saysHi+usage)
		r := p.get(responsesPath+"/resp_1", key)
		r.requireStatus(t, 200)
		equal(t, "told", r.body, up.told.Load().(string))
		requireHeaders(t, r.header, "x-tollgate-cost", "0.0025", "x-tollgate-usage-total", "150", "x-tollgate-balance-recharge", "9.9975")
	}
	up.tells("failed", `,"output":[],"usage":null`)
	r := p.get(responsesPath+"/resp_1", key)
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", "9.9975")
	equal(t, "charges that nothing could take", p.metric("tollgate_unbooked_total"), 0)
	equal(t, "told again", p.metric(`tollgate_requests_total{endpoint="responses",outcome="task_told_again"}`), 2)
	w.onlyCharge("acme")
}
