package e2e

import (
	"strings"
	"testing"
)

// An answer that has not come to its end is nobody's, though it looks whole: the upstream may go on, and nobody has paid for that.
func TestWhatHasNotEndedIsNotKept(t *testing.T) {
	event := func(name, more string) string {
		return "event: " + name + "\ndata: {\"type\":\"" + name + "\"," + more + "}\n\n"
	}
	created := event("response.created", `"response":`+anOddResponse("resp_1", "in_progress", `,"output":[]`))
	for name, c := range map[string]struct{ contentType, body string }{
		"queued":      {"application/json", anOddResponse("resp_1", "queued", `,"output":[]`)},
		"in progress": {"application/json", anOddResponse("resp_1", "in_progress", saysHi+usage150)},
		"events":      {"text/event-stream", created + event("response.output_text.delta", `"delta":"Hi, "`)},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key, up := behindOddUpstream(t)
			up.made.Store(c.body)
			up.contentType.Store(c.contentType)
			more := []string{}
			if strings.HasPrefix(c.contentType, "text/") {
				more = append(more, streamed)
			}
			p.post(responsesPath, key, says("gpt-4o", more...)).requireStatus(t, 200)
			up.contentType.Store("application/json")
			up.tells("completed", saysHi+usage150)
			asked := up.asked.Load()
			equal(t, "read", p.get(responsesPath+"/resp_1", key).status, 404)
			equal(t, "gone on from", p.post(responsesPath, key, says("gpt-4o", goesOn("resp_1"))).status, 404)
			equal(t, "asked upstream", up.asked.Load(), asked)
			w.onlyCharge("acme")
		})
	}
}
