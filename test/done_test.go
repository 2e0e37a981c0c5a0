package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A stream that has said [DONE] is whole, whatever becomes of its connection:
// SDKs read no further. Who is charged for all of it gets all of it.
func TestStreamIsWholeOnceItIsDone(t *testing.T) {
	const stream = `data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}` + "\n\n" +
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}}` + "\n\ndata: [DONE]\n\n"
	for name, after := range map[string]func(*net.TCPConn){
		"closed without the last chunk": func(*net.TCPConn) {},
		"reset":                         func(c *net.TCPConn) { time.Sleep(time.Second); _ = c.SetLinger(0) }, // what is not read by then is lost
		"silent":                        func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) },
		"trailers that are too long":    func(c *net.TCPConn) { fmt.Fprintf(c, "0\r\nX: %s\r\n\r\n", strings.Repeat("x", 5000)) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(stream), stream)
				after(conn.(*net.TCPConn))
				_ = conn.Close()
			}))
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			w.withUpstreams(w.upstreamItem("odd", server.URL, ", timeout: 20s"))
			began := time.Now()
			r := w.serve().send("POST", chatPath, key, chat("gpt-4o", "x", streamed, askedUsage))
			if r.err != nil || r.body != stream || time.Since(began) > 10*time.Second {
				t.Errorf("after %s: %v, %s", time.Since(began), r.err, r.body)
			}
			equal(t, "cost", r.trailer.Get("x-tollgate-cost"), "0.0025")
			charge := w.onlyCharge("acme")
			equal(t, "fee", charge.Get("fee").String(), "0.0025")
			equal(t, "anomalies", charge.Get("anomalies").Raw, "")
			server.Close()
		})
	}
}
