package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// flushes is a client's side that tells what it has got with each flush.
type flushes struct {
	*httptest.ResponseRecorder
	seen chan string
}

func (f *flushes) FlushError() error {
	f.seen <- f.Body.String()
	return nil
}

// The head of a stream never waits for bytes that are still to come, and goes
// out with those that are there.
func TestHeadOfAStream(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
	const frame = `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\n"
	for name, test := range map[string]struct{ upstream, first string }{
		"alone":               {head, ""},
		"with a frame":        {head + frame, frame},
		"with withheld bytes": {head + frame[:8], ""},
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			address := answerOnce(t, func(conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					t.Error(err)
				}
				_, _ = conn.Write([]byte(test.upstream))
				<-end
			})
			c, client := streamingCall(t, address)
			done := make(chan error)
			go func() {
				c.sendHead()
				done <- c.pump()
			}()
			if got := <-client.seen; got != test.first {
				t.Errorf("with the head the client got %q, want %q", got, test.first)
			}
			close(end)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if more := len(client.seen); more > 0 {
				t.Errorf("%d flushes more than one", more)
			}
		})
	}
}

// The end of an answer is seen where nothing follows it, however its length is told.
func TestEndOfAStream(t *testing.T) {
	const frame = `data: {"choices":[{"delta":{"content":"a"}}]}` + "\n\n"
	for name, rest := range map[string]string{
		"empty":         "Content-Length: 0\r\n\r\n",
		"of known size": fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(frame), frame),
		"chunked":       fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(frame), frame),
		"empty chunked": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			defer close(end)
			c, _ := streamingCall(t, answerOnce(t, func(conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+rest)
				<-end // the connection stays
			}))
			c.sendHead()
			if err := c.pump(); err != nil {
				t.Error(err)
			}
			if kept := c.proxy.transport.takeAll(); len(kept) != 1 {
				t.Errorf("%d connections are kept, want the one", len(kept))
			}
		})
	}
}

// streamingCall is a call that has the head of its upstream's answer.
func streamingCall(t *testing.T, address string) (*call, *flushes) {
	t.Helper()
	request, err := meter.FindEndpoint("/chat/completions").ReadRequest("application/json", []byte(`{"model":"m","stream":true}`), meter.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{Ledger: new(ledger.Ledger), Book: emptyBook(t), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	w := &flushes{httptest.NewRecorder(), make(chan string, 8)}
	c := &call{
		endpoint: meter.FindEndpoint("/chat/completions"),
		proxy:    p, client: client{w: w, control: *http.NewResponseController(w)}, r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody),
		upstream: candidate{upstream: &upstream{}}, request: request, hold: new(ledger.Hold),
	}
	if c.answer, err = post(t, &c.cut, p.transport, address, ""); err != nil {
		t.Fatal(err)
	}
	c.tap.set(request.NewTap(c.answer.Header.Get("Content-Type")))
	return c, w
}
