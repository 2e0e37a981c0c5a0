package e2e

import (
	"net/http"
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

// A kept answer that breaks off while it is read, or falls silent, must not look whole.
func TestKeptAnswerComesToNoEnd(t *testing.T) {
	for name, end := range map[string]func(*http.Request){"broken off": breakOff, "silent": fallSilent} {
		w, p, key, up := behindOddUpstream(t)
		w.made.upstreams = strings.Replace(w.made.upstreams, "name: odd,", "name: odd, timeout: 500ms,", 1)
		w.writeConfig()
		p.reloads()
		up.made.Store(anOddResponse("resp_1", "completed", saysHi+usage150))
		p.post(responsesPath, key, says("gpt-4o")).requireStatus(t, 200)
		up.tells("completed", saysHi+usage150)
		up.ends.Store(end)
		r := p.send(http.MethodGet, responsesPath+"/resp_1", key, "")
		if told := up.told.Load().(string); r.err == nil || !strings.HasPrefix(told, r.body) {
			t.Errorf("%s: the part looks whole: %d %s", name, r.status, r.body)
		}
	}
}
