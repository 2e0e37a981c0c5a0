package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Upstreams that are busy keep a stream open with comments. One that gives up
// then has answered nothing, and costs nothing (P4).
func TestCommentsAreNoAnswer(t *testing.T) {
	for name, silent := range map[string]bool{"breaks off": false, "falls silent": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream")
				for range 3 {
					_, _ = io.WriteString(w, ": keep-alive\n\n")
					_ = http.NewResponseController(w).Flush()
				}
				if silent {
					<-r.Context().Done()
				}
				panic(http.ErrAbortHandler)
			}))
			defer server.Close()
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			w.withUpstreams(w.upstreamItem("busy", server.URL, ", timeout: 300ms"))
			if r := w.serve().send("POST", chatPath, key, chat("gpt-4o", "x", streamed)); r.err == nil {
				t.Errorf("the client was told that %q is the whole", r.body)
			}
			w.requireNoCharge("acme")
		})
	}
}
