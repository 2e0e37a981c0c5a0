package e2e

import "testing"

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
