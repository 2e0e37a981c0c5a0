package proxy

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// An answer that is not wanted must not hold up who is to be asked next. Where
// all of it is there, its connection is used again, and has its time then.
func TestDiscard(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		kept   bool
	}{
		"whole":       {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", true},
		"without end": {"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n", false},
		"announced":   {"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\n", false},
		"large":       {"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 1_000_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			late := make(chan struct{})
			address := scripted(t, nil, func(conn net.Conn) {
				in := bufio.NewReader(conn)
				_ = readRequest(in)
				_, _ = io.WriteString(conn, c.answer)
				if readRequest(in) != nil {
					return
				}
				<-late
				_, _ = io.WriteString(conn, ownAnswer)
			})
			tr := transportFor(t, nil)
			response, err := post(t, new(cut), tr, address, "x")
			if err != nil {
				t.Fatal(err)
			}
			within(t, func() { discard(response) })
			if kept := len(tr.idle.hosts[address]) == 1; kept != c.kept {
				t.Fatalf("the connection is kept: %v", kept)
			}
			if !c.kept {
				return
			}
			time.AfterFunc(2*discardTime, func() { close(late) })
			if response, err = post(t, new(cut), tr, address, "x"); err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, response); got != "own" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// within fails the test if something takes too long.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	select {
	case <-done:
	case <-time.After(soon):
		t.Fatal("it took too long")
	}
}

// Whether it is about stream_options is known when that has come; of what is no
// whole answer the failure is kept.
func TestNamesStreamOptions(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		names bool
		end   func(net.Conn)
		rest  string
	}{
		"named, without end":   {`{"error":"stream_options is unknown`, true, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, ""},
		"not named":            {strings.Repeat("x", 1000), false, nil, strings.Repeat("x", 1000)},
		"not named, broke off": {"part", false, func(conn net.Conn) { _ = below(conn).SetLinger(0) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			address := answerOnce(t, func(conn net.Conn) {
				_ = readRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad\r\nContent-Length: 1000\r\n\r\n"+c.body)
				if c.end != nil {
					c.end(conn)
				}
			})
			response, err := post(t, new(cut), transportFor(t, nil), address, "x")
			if err != nil {
				t.Fatal(err)
			}
			within(t, func() {
				if names := namesStreamOptions(response); names != c.names {
					t.Errorf("names it: %v", names)
				}
			})
			if c.names {
				return
			}
			if rest, err := io.ReadAll(response.Body); err == nil && string(rest) != c.rest {
				t.Errorf("got %q, %v", rest, err)
			}
		})
	}
}
