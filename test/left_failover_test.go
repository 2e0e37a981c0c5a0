package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// P4: a client that has left, and whose upstream refuses the call then, has
// used nothing: no other upstream begins to work for it.
func TestNoFailoverForAClientThatHasLeft(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"refused": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"closed":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			reached, release := make(chan struct{}), make(chan struct{})
			first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(reached)
				<-release
				answer(w)
			}))
			defer first.Close()
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			w.withUpstreams(w.upstreamItem("first", first.URL, ", priority: 1"), w.upstreamItem("second", w.up.url, ", priority: 2"))
			conn := w.serve().dial()
			say(t, conn, raw(key, chat("gpt-4o", "usage=100,50")))
			<-reached
			_ = conn.Close()
			time.Sleep(300 * time.Millisecond) // the proxy looks every 100 ms
			close(release)
			w.requireNoCharge("acme")
			equal(t, "requests to the second", w.up.Stats().Requests, 0)
		})
	}
}
