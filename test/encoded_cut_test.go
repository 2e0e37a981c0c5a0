package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// Undoing an encoding waits for the first bytes of the body. What ends the call
// meanwhile is what it would be without the encoding.
func TestCutBeforeAnEncodedBody(t *testing.T) {
	start := func(t *testing.T, settings, more string) (w *world, p *process, key string, headIsOut *atomic.Bool) {
		headIsOut = new(atomic.Bool)
		url := startGzipHead(t, headIsOut)
		w = newWorld(t, policy(settings))
		w.account("acme", "10")
		key, _ = w.key("acme")
		w.withUpstreams(w.upstreamItem("odd", url, more))
		p = w.serve()
		return w, p, key, headIsOut
	}
	for _, settings := range []string{"on_disconnect: cancel", "drain: 300ms"} {
		t.Run("the client leaves, "+settings, func(t *testing.T) {
			w, p, key, headIsOut := start(t, settings, "")
			begin(t, p, key, chat("gpt-4o", "x", streamed), headIsOut.Load).leave()
			charge := w.onlyCharge("acme")
			equal(t, "source", charge.Get("usage_source").String(), "estimated")
			if charge.Get("usage.input").Int() <= 0 || charge.Get("usage.output").Int() != 0 {
				t.Errorf("usage %s, want the prompt alone", charge.Get("usage").Raw)
			}
		})
	}
	t.Run("the upstream is silent", func(t *testing.T) {
		w, p, key, _ := start(t, "", ", timeout: 300ms")
		r := p.post(chatPath, key, chat("gpt-4o", "x", streamed))
		r.requireStatus(t, http.StatusGatewayTimeout)
		equal(t, "code", r.get("error.code").String(), "upstream_timeout")
		if strings.Contains(r.body, "decompressed") {
			t.Errorf("the encoding is blamed: %s", r.body)
		}
		w.requireNoCharge("acme")
	})
}

// startGzipHead is an upstream that sends the head of a gzipped stream, and no more.
func startGzipHead(t *testing.T, isOut *atomic.Bool) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Content-Encoding", "gzip")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		isOut.Store(true)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	return server.URL
}
