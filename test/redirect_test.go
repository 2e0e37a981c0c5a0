package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// SDKs follow a redirection with the request's body and headers, the client's key
// among them. An upstream's must not lead them past the meter.
func TestUpstreamRedirectsNobody(t *testing.T) {
	var leaked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("X-Api-Key"))
		_, _ = io.WriteString(w, "{}")
	}))
	defer elsewhere.Close()
	moved := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)+r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	defer moved.Close()
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("moved", moved.URL, ""))
	r := w.serve().post(chatPath, "", chat("gpt-4o", "x"), "X-Api-Key", key) // by Go's client, which follows
	if got := leaked.Load(); got != nil {
		t.Errorf("the client went past the meter and was answered %d; its key there: %v", r.status, got == key)
	}
	w.requireNoCharge("acme")
}
