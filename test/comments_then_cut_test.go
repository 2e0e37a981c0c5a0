package e2e

import (
	"net/http"
	"testing"
)

// Upstreams that are busy keep a stream open with comments. One that gives up
// then has answered nothing, and costs nothing (P4).
func TestCommentsAreNoAnswer(t *testing.T) {
	const comment = ": keep-alive\n\n"
	for name, end := range map[string]func(*http.Request){"breaks off": breakOff, "falls silent": fallSilent} {
		t.Run(name, func(t *testing.T) {
			w, p, key := behind(t, streams(end, comment, comment, comment), ", timeout: 300ms")
			if r := p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed)); r.err == nil {
				t.Errorf("the client was told that %q is the whole", r.body)
			}
			w.requireNoCharge("acme")
		})
	}
}
