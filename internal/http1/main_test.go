package http1

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// net/http's server waits out a fixed time after some refusals, whoever closes it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

const (
	// soon bounds what must happen without delay; no test waits for it to pass.
	soon = 20 * time.Second
	// testHead is the bound of heads in tests.
	testHead = 16 << 10
)

// start serves h with our server until the test ends.
func start(t testing.TB, h http.HandlerFunc, changes ...func(*Server)) (s *Server, address string) {
	t.Helper()
	s = &Server{Handler: h, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon, MaxHead: testHead, ErrorLog: log.New(io.Discard, "", 0)}
	for _, change := range changes {
		change(s)
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, l.Addr().String()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client is a connection to a server under test.
type client struct {
	*net.TCPConn
	in *bufio.Reader
	t  testing.TB
}

// dial connects. A server that does not answer fails the test, in the end.
func dial(t testing.TB, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	return &client{TCPConn: conn.(*net.TCPConn), in: bufio.NewReader(conn), t: t}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads the next answer and its body, and fails the test if either is broken.
func (c *client) answer() (*http.Response, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response, string(body)
}

// get asks for a path and returns the answer and its body.
func (c *client) get(path string) (*http.Response, string) {
	c.t.Helper()
	c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	return c.answer()
}

// wantClosed waits until the server has closed the connection, without having said more.
func (c *client) wantClosed() {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	var network net.Error
	if len(rest) > 0 || errors.As(err, &network) && network.Timeout() {
		c.t.Fatalf("the connection is not closed: %q, %v", rest, err)
	}
}

// wait waits for what must happen.
func wait[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		t.Fatalf("waited too long: %s", what)
	}
	return v
}

// until looks again and again until something has come about.
func until(t testing.TB, what string, come func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !come(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}
