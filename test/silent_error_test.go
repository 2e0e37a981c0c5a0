package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// An upstream that falls silent within an answer that is kept, or within its own
// error, has timed out, and the log says so.
func TestUpstreamIsSilentWithinItsAnswer(t *testing.T) {
	for _, status := range []int{200, 404} {
		w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"x":`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, ", timeout: 300ms")
		r := p.post(chatPath, key, chat("gpt-4o", "usage=1,1"))
		refusal{status: 504, code: "upstream_timeout"}.require(t, r)
		if line := p.logLine(r.header.Get("x-request-id")); !strings.Contains(line, "odd: the upstream was silent for too long") {
			t.Errorf("%d: the log does not say why: %s", status, line)
		}
		w.requireNoCharge("acme")
	}
}
