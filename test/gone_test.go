package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A client that leaves has left, whatever it said before that nobody has read:
// old clients send a line end after a body, others the next request at once.
func TestLeaveWithSomethingUnread(t *testing.T) {
	for name, more := range map[string]string{
		"nothing":      "",
		"a line end":   "\r\n",
		"next request": "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := acme(t, policy("on_disconnect: cancel"))
			body := chat("gpt-4o", "hang", fmt.Sprintf(`"x":"%s"`, strings.Repeat("x", 20000)), `"max_tokens":10`)
			conn := p.dial()
			say(t, conn, raw(key, body))
			eventually(t, "the request is upstream", func() bool { return w.up.Stats().InFlight == 1 })
			say(t, conn, more)
			_ = conn.Close()
			began := time.Now()
			for w.up.Stats().AbortedByClient == 0 {
				if time.Sleep(20 * time.Millisecond); time.Since(began) > 5*time.Second {
					t.Fatal("the client left 5 s ago, and the upstream still works for it")
				}
			}
			w.onlyCharge("acme")
		})
	}
}
