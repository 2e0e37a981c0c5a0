package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw is a chat request as it goes over a connection.
func raw(key, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		chatPath, key, len(body), body)
}

// A client that has closed its side may have left, or may have said that it has
// no more to say. It gets its answer, as long as the upstream is read for it; and
// if that is cut, it must not take the part for the whole.
func TestHalfClosed(t *testing.T) {
	for name, c := range map[string]struct {
		policy, mode string
		before       int // the writes of the upstream when it happens
		whole        bool
	}{
		"JSON, drain":                    {"on_disconnect: drain", `"n":1`, 0, true},
		"stream, drain":                  {"on_disconnect: drain", streamed, 10, true},
		"stream before its head, drain":  {"on_disconnect: drain", streamed, 0, true},
		"JSON, cancel":                   {"on_disconnect: cancel", `"n":1`, 0, false},
		"stream, cancel":                 {"on_disconnect: cancel", streamed, 10, false},
		"stream before its head, cancel": {"on_disconnect: cancel", streamed, 0, false},
		"stream, drained for too long":   {"drain: 200ms", streamed, 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := acme(t, policy(c.policy))
			reached, release := w.up.stallBefore(c.before)
			defer release()
			conn := p.dial()
			say(t, conn, raw(key, chat("gpt-4o", "usage=100,50;chunks=20", c.mode)))
			<-reached
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if c.whole {
				time.Sleep(300 * time.Millisecond) // the proxy looks every 100 ms; had it not seen it, that would be well, too
				release()
			}
			var body []byte
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				body, err = io.ReadAll(response.Body)
			}
			charge := w.onlyCharge("acme")
			if !c.whole {
				if err == nil {
					t.Errorf("the part looks whole: %s %s", response.Status, tail(string(body)))
				}
				equal(t, "source", charge.Get("usage_source").String(), "estimated")
				return
			}
			if err != nil || c.mode == streamed && !strings.Contains(string(body), "[DONE]") {
				t.Fatalf("the answer is not whole: %v, %s", err, tail(string(body)))
			}
			cost := response.Header.Get("x-tollgate-cost") + response.Trailer.Get("x-tollgate-cost")
			equal(t, "cost", cost, "0.0025")
			equal(t, "fee", charge.Get("fee").String(), "0.0025")
		})
	}
}
