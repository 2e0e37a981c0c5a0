package e2e

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// What cannot be reached directly is reached by the egress proxy that the environment names: JSON answers, streams and
// refusals come whole, their connections are used again, and what is used is charged.
func TestUpstreamsByAnEgressProxy(t *testing.T) {
	var mu sync.Mutex
	asked := make(map[string]int) // by what the requests were for
	connections := 0
	var forward func(w http.ResponseWriter, r *http.Request)
	egress := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Scheme+"://"+r.URL.Host]++
		mu.Unlock()
		forward(w, r)
	}))
	egress.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			connections++
			mu.Unlock()
		}
	}
	egress.Start()
	t.Cleanup(egress.Close)
	w := newWorld(t, func(s *settings) { s.environment = []string{"HTTP_PROXY=" + egress.URL} })
	forward = func(to http.ResponseWriter, r *http.Request) {
		r.URL.Host, r.RequestURI = strings.TrimPrefix(w.up.url, "http://"), ""
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer answer.Body.Close()
		for name, values := range answer.Header {
			to.Header()[name] = values
		}
		to.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(to, answer.Body)
	}
	w.withUpstreams(w.upstreamItem("far", "http://models.invalid", ""))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	const calls = 3
	for range calls {
		r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50"))
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", "0.0025", "x-tollgate-usage-source", "upstream")
		r = p.post(chatPath, key, chat("gpt-4o", "usage=100,50", `"stream":true`))
		r.requireStatus(t, 200)
		equal(t, "the stream is whole", whole(r), true)
		equal(t, "cost of the stream", receiptOf(r, "x-tollgate-cost"), "0.0025")
		p.post(chatPath, key, chat("gpt-4o", "status=400")).requireStatus(t, 400)
	}
	mu.Lock()
	equal(t, "asked by the egress proxy", asked["http://models.invalid"], 3*calls)
	equal(t, "connections to it", connections, 1)
	mu.Unlock()
	equal(t, "charges", len(w.entries("acme", "charge")), 2*calls)
	w.requireSettled("acme")
}
