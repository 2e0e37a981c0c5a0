package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// A head without end must not fill the memory.
func TestTransportBoundsAnAnswersHead(t *testing.T) {
	field := "X-Long: " + strings.Repeat("x", 1000) + "\r\n"
	for name, c := range map[string]struct {
		head    string
		refused bool
	}{
		"some":              {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n" + strings.Repeat(field, 100) + "\r\n", false},
		"without end":       {"HTTP/1.1 200 OK\r\n" + strings.Repeat(field, 2000), true},
		"one line":          {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2<<20), true},
		"informed for ever": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n"+field+"\r\n", 2000), true},
	} {
		t.Run(name, func(t *testing.T) {
			address := answerOnce(t, func(conn net.Conn) {
				_ = readRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, c.head+"own")
				_, _ = io.Copy(io.Discard, conn)
			})
			within(t, func() {
				response, err := post(t, new(cut), transportFor(t, nil), address, "x")
				if refused := errors.Is(err, errHeadTooLarge); refused != c.refused {
					t.Errorf("got %v", err)
				}
				if err == nil && readAll(t, response) != "own" {
					t.Error("the answer is another")
				}
			})
		})
	}
}

// The bound is the head's: a body may be as large as it is, and so may the next head.
func TestTransportBoundsNoBody(t *testing.T) {
	s := serveUpstream(t, false, echo)
	tr := transportFor(t, s)
	for range 2 {
		response, err := post(t, new(cut), tr, s.URL, strings.Repeat("x", 3<<20))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, response); len(got) != 3<<20 {
			t.Errorf("got %d bytes", len(got))
		}
	}
	if n := s.connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
