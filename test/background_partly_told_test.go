package e2e

import (
	"net/http"
	"sync"
	"testing"
)

// What is told of a response before its end, be it with usage or with a part of the output, is not its end: that is charged as
// its last usage says.
func TestResponseInTheBackgroundIsToldInParts(t *testing.T) {
	for name, part := range map[string]string{
		"output":           saysHi,
		"usage":            `,"usage":{"input_tokens":1,"output_tokens":0,"total_tokens":1}`,
		"output and usage": saysHi + `,"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key, up := behindOddUpstream(t)
			up.made.Store(anOddResponse("resp_1", "queued", part))
			p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
			for _, status := range []string{"queued", "in_progress", "In_Progress"} {
				up.tells(status, part)
				r := p.get(responsesPath+"/resp_1", key)
				r.requireStatus(t, 200)
				requireHeaders(t, r.header, "x-tollgate-cost", "0")
			}
			up.tells("completed", saysHi+usage150)
			requireHeaders(t, p.get(responsesPath+"/resp_1", key).header, "x-tollgate-cost", "0.0025")
			equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
		})
	}
}

// Who has been told a part, and asks no more, is charged for that.
func TestResponseInTheBackgroundIsLeftInTheMiddle(t *testing.T) {
	w, p, key, up := behindOddUpstream(t, func(s *settings) { s.ledger = "hold_ttl: 1s\n  task_ttl: 4s" })
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	for _, part := range []string{saysHi + usage150, saysHi} { // the more counts
		up.tells("in_progress", part)
		p.get(responsesPath+"/resp_1", key).requireStatus(t, 200)
	}
	eventually(t, "it is swept", func() bool { return len(w.entries("acme", "abandon")) == 1 })
	equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
}

// Nor is a part told that cannot be put down, as Redis is away: who asks no more would have it for nothing.
func TestPartOfAResponseThatCannotBeBooked(t *testing.T) {
	w, p, key, up := behindOddUpstream(t, synced)
	p.post(responsesPath, key, says("gpt-4o", background)).requireStatus(t, 200)
	up.tells("in_progress", saysHi+usage150)
	lose := sync.OnceFunc(func() { w.loseBooks(p) })
	up.ends.Store(func(*http.Request) { lose() })
	r := p.get(responsesPath+"/resp_1", key)
	r.requireStatus(t, 503)
	equal(t, "code", r.get("error.code").String(), "metering_unavailable")
	w.redis.Start()
	p.kill() // its log is gone: it admits nothing any more
	w.serve().get(responsesPath+"/resp_1", key).requireStatus(t, 200)
	equal(t, "delivered", w.verb("hold", "list", "acme").Get("0.delivered").String(), "0.0025")
}
