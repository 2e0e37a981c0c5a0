package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The log says of a connection that was reset that it was, and not that what
// came over it was no HTTP: nothing did.
func TestLogTellsAReset(t *testing.T) {
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	})
	r := p.post(chatPath, key, chat("gpt-4o", "usage=1,1"))
	refusal{status: 502, code: "upstream_unavailable"}.require(t, r)
	if line := p.logLine(r.header.Get("x-request-id")); !strings.Contains(line, "odd: read: connection reset by peer") {
		t.Errorf("the log does not say why: %s", line)
	}
	w.requireNoCharge("acme")
}
