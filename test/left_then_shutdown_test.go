package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// A client that left before any answer pays for its prompt when the call is cut,
// though it is a shutdown that cuts it.
func TestShutdownCutsACallThatWasLeft(t *testing.T) {
	w, p, key := acme(t)
	begin(t, p, key, chat("gpt-4o", "hang"), func() bool { return w.up.Stats().InFlight == 1 }).leave()
	p.cutShort()
	charge := w.onlyCharge("acme")
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	if charge.Get("usage.input").Int() <= 0 || charge.Get("usage.output").Int() != 0 {
		t.Errorf("usage %s, want the prompt alone", charge.Get("usage").Raw)
	}
}

// Nor does it pay for an error of the upstream's that is cut, by whomever.
func TestAnErrorThatWasLeftAndCutCostsNothing(t *testing.T) {
	for name, settings := range map[string]string{"shutdown": "", "cancel": "on_disconnect: cancel", "drain": "drain: 300ms"} {
		t.Run(name, func(t *testing.T) {
			var halfOut atomic.Bool
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Length", "100")
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error":`)
				_ = http.NewResponseController(w).Flush()
				halfOut.Store(true)
				<-r.Context().Done()
			}))
			defer server.Close()
			w := newWorld(t, policy(settings))
			w.account("acme", "10")
			key, _ := w.key("acme")
			w.withUpstreams(w.upstreamItem("odd", server.URL, ""))
			p := w.serve()
			begin(t, p, key, chat("gpt-4o", "x"), halfOut.Load).leave()
			if name == "shutdown" {
				p.cutShort()
			}
			w.requireNoCharge("acme")
		})
	}
}

// cutShort ends the process by a second signal while it drains.
func (p *process) cutShort() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	eventually(p.t, "it drains", func() bool { return strings.Contains(p.stderr.String(), `"draining: `) })
	p.signal(syscall.SIGTERM)
	equal(p.t, "exit code", p.wait(), 0)
}
