package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/socket"
)

// soon bounds what must happen without delay; no test waits for it to pass.
const soon = 20 * time.Second

// until looks again and again until something has come about.
func until(t *testing.T, what string, come func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !come(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}

// scripted is an upstream written by hand that treats every connection alike.
func scripted(t *testing.T, secured *tls.Config, treat func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http://"
	if secured != nil {
		listener, scheme = tls.NewListener(listener, secured), "https://"
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				treat(conn)
				_ = conn.Close()
			}()
		}
	}()
	return scheme + listener.Addr().String()
}

const ownAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"

// readRequest reads a whole request.
func readRequest(in *bufio.Reader) error {
	r, err := http.ReadRequest(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return err
}

// An upstream may close a connection, or say something, as soon as it is idle:
// however short that is ago, the next call must neither fail by it nor get what was said.
func TestTransportLooksBeforeItUsesAConnectionAgain(t *testing.T) {
	certificate := serveUpstream(t, true, echo)
	unasked := "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
	for name, after := range map[string]func(net.Conn){
		"closed":         func(net.Conn) {},
		"reset":          func(conn net.Conn) { _ = below(conn).SetLinger(0) },
		"said something": func(conn net.Conn) { _, _ = io.WriteString(conn, unasked); _, _ = io.Copy(io.Discard, conn) },
		"said much": func(conn net.Conn) {
			_, _ = io.WriteString(conn, strings.Repeat(unasked, 1000))
			_, _ = io.Copy(io.Discard, conn)
		},
		"said it, then closed": func(conn net.Conn) { _, _ = io.WriteString(conn, unasked) },
	} {
		for _, secured := range []*tls.Config{nil, certificate.TLS} {
			t.Run(name, func(t *testing.T) {
				idle := make(chan struct{}, 10)
				address := scripted(t, secured, func(conn net.Conn) {
					in := bufio.NewReader(conn)
					if readRequest(in) != nil {
						return
					}
					_, _ = io.WriteString(conn, ownAnswer)
					<-idle
					after(conn)
				})
				tr := transportFor(t, certificate)
				for range 2 {
					response, err := post(t, new(cut), tr, address, "x")
					if err != nil {
						t.Fatal(err)
					}
					if got := readAll(t, response); got != "own" {
						t.Fatalf("got %d %q", response.StatusCode, got)
					}
					idle <- struct{}{}
					awaitNews(t, tr)
				}
			})
		}
	}
}

func below(conn net.Conn) *net.TCPConn {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	if base, ok := conn.(*socket.Base); ok {
		conn = base.Conn
	}
	return conn.(*net.TCPConn)
}

// awaitNews waits until the system knows what has come over the idle connection.
func awaitNews(t *testing.T, tr *transport) {
	t.Helper()
	for _, conn := range tr.idle.hosts {
		raw, err := below(conn[0].Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		until(t, "something on the idle connection", func() (come bool) {
			_ = raw.Control(func(fd uintptr) {
				_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
				come = !errors.Is(err, syscall.EAGAIN)
			})
			return come
		})
	}
}

// What TLS has read together with the answer is the system's no more, and not yet ours.
func TestTransportLooksIntoTLS(t *testing.T) {
	certificate := serveUpstream(t, true, echo)
	// The answer fills the reader's buffer to the end, so that the rest of the record stays behind it.
	head := "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\nX-Fill: "
	head += strings.Repeat("x", 4096-4000-len(head)-len("\r\n\r\n")) + "\r\n\r\n"
	address := scripted(t, certificate.TLS, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		if readRequest(in) != nil {
			return
		}
		_, _ = io.WriteString(conn, head+strings.Repeat("y", 4000)+ownAnswer)
		_, _ = io.Copy(io.Discard, conn)
	})
	tr := transportFor(t, certificate)
	for range 2 {
		response, err := post(t, new(cut), tr, address, "x")
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, response); len(got) != 4000 {
			t.Errorf("got %q", got)
		}
	}
}

// unwritable is a connection whose other side is found gone by the write.
type unwritable struct{ net.Conn }

func (u unwritable) Write([]byte) (int, error) {
	_ = u.Conn.(*net.TCPConn).CloseRead()
	return 0, syscall.EPIPE
}

// The other side may go between the look and the write. It has not got the
// whole request then, so that it may be sent again.
func TestTransportSendsAgainWhatCouldNotBeWritten(t *testing.T) {
	s := serveUpstream(t, false, echo)
	tr := transportFor(t, s)
	response, err := post(t, new(cut), tr, s.URL, "one")
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, response)
	for _, list := range tr.idle.hosts {
		list[0].Conn = unwritable{list[0].Conn}
	}
	if response, err = post(t, new(cut), tr, s.URL, "two"); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, response); got != "two" {
		t.Errorf("got %q", got)
	}
}

// An upstream that does not take a request on a new connection is not asked again and again.
func TestTransportSendsOnANewConnectionOnce(t *testing.T) {
	connections := make(chan struct{}, 10)
	address := scripted(t, nil, func(conn net.Conn) {
		connections <- struct{}{}
		_ = below(conn).SetLinger(0)
	})
	if _, err := post(t, new(cut), transportFor(t, nil), address, strings.Repeat("x", 8<<20)); err == nil {
		t.Error("there is no error")
	}
	if n := len(connections); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// Who has got the whole request may have worked on it: it is not sent twice.
func TestTransportSendsNothingTwice(t *testing.T) {
	requests := make(chan struct{}, 10)
	address := scripted(t, nil, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		for i := 0; readRequest(in) == nil; i++ {
			requests <- struct{}{}
			if i == 1 {
				return
			}
			_, _ = io.WriteString(conn, ownAnswer)
		}
	})
	tr := transportFor(t, nil)
	response, err := post(t, new(cut), tr, address, "one")
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, response)
	var sent sentError
	if _, err := post(t, new(cut), tr, address, "two"); !errors.As(err, &sent) {
		t.Errorf("got %v, want an error that says it was sent", err)
	}
	if n := len(requests); n != 2 {
		t.Errorf("the upstream got %d requests, want 2", n)
	}
}
