package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A stream in which the upstream says nothing but that it failed costs nothing,
// however its connection ends.
func TestStreamOfAnErrorThatIsCutCostsNothing(t *testing.T) {
	for name, cut := range map[string]bool{"ended": false, "cut": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, ": keep-alive\n\n", `data: {"error":{"message":"overloaded","type":"server_error"}}`, "\n\n")
				_ = http.NewResponseController(w).Flush()
				if cut {
					panic(http.ErrAbortHandler)
				}
			}))
			defer server.Close()
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			w.withUpstreams(w.upstreamItem("odd", server.URL, ""))
			w.serve().send("POST", chatPath, key, chat("gpt-4o", "x", streamed))
			equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0")
		})
	}
}
