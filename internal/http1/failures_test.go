package http1

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// logged is a log that may be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAPanicIsLogged(t *testing.T) {
	var out logged
	s, address := start(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		panic("for the log")
	}, func(s *Server) { s.ErrorLog = log.New(&out, "", 0) })
	for _, path := range []string{"/abort", "/panic"} {
		c := dial(t, address)
		c.send(get(path, ""))
		c.wantClosed()
	}
	until(t, "the connections' end", func() bool { return s.connections() == 0 })
	if text := out.String(); strings.Count(text, "panic serving") != 1 || !strings.Contains(text, "for the log") || !strings.Contains(text, "failures_test.go") {
		t.Errorf("logged: %s", text)
	}
}

// failing is a listener that fails before it accepts.
type failing struct {
	net.Listener
	failures []error
}

func (l *failing) Accept() (net.Conn, error) {
	if len(l.failures) > 0 {
		err := l.failures[0]
		l.failures = l.failures[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestServeGoesOnWithoutDescriptors(t *testing.T) {
	var out logged
	s := &Server{Handler: http.NotFoundHandler(), HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon, MaxHead: testHead, ErrorLog: log.New(&out, "", 0)}
	l := &failing{Listener: listen(t)}
	passing := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	for _, err := range passing {
		l.failures = append(l.failures, &net.OpError{Op: "accept", Err: err})
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if response, _ := dial(t, l.Addr().String()).get("/"); response.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", response.Status)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := wait(t, "Serve", served); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if text := out.String(); strings.Count(text, "going on") != len(passing) {
		t.Errorf("logged: %s", text)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	s := &Server{ErrorLog: log.New(io.Discard, "", 0)}
	l := &failing{Listener: listen(t), failures: []error{syscall.EINVAL}}
	if err := s.Serve(l); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("got %v", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the listener is open")
	}
}

func TestAnAnswerCannotBeginWithJustAnything(t *testing.T) {
	for _, status := range []int{-1, 0, 99, 101, 1000} {
		var out logged
		_, address := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) },
			func(s *Server) { s.ErrorLog = log.New(&out, "", 0) })
		c := dial(t, address)
		c.send(get("/", ""))
		c.wantClosed()
		if text := out.String(); !strings.Contains(text, "cannot begin with status "+strconv.Itoa(status)) {
			t.Errorf("%d: logged %q", status, text)
		}
	}
}

// hiccup is a connection one of whose writes fails; the others would not.
type hiccup struct {
	*script
	left int // writes up to that one
}

func (h *hiccup) Write(p []byte) (int, error) {
	if h.left--; h.left == 0 {
		return 0, syscall.ENOBUFS
	}
	return h.script.Write(p)
}

// Nothing is written after what could not be, also within a large piece: it would be taken for what is missing.
func TestNothingFollowsAWriteThatFailed(t *testing.T) {
	for _, length := range []string{"", strconv.Itoa(4 * pieceSize)} {
		for at := range 5 {
			socket := &hiccup{script: newScript([]byte(get("/1", "")+get("/2", "")), 0), left: at + 1}
			var failure error
			s := &Server{MaxHead: testHead, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", length)
				for range 2 {
					_, err := w.Write(make([]byte, 2*pieceSize))
					if failure = errors.Join(failure, err); err == nil && socket.left <= 0 {
						t.Errorf("length %q, write %d: not told at once", length, at+1)
					}
				}
			})}
			newConn(s, socket).serve()
			if socket.left != 0 || !errors.Is(failure, syscall.ENOBUFS) {
				t.Errorf("length %q, write %d: %d more, the handler was told %v", length, at+1, -socket.left, failure)
			}
		}
	}
}

// What is informational does not begin the answer.
func TestInformationalAnswersAreNotSent(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, status := range []int{100, 103, 199} {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, "x")
	})
	c := dial(t, address)
	for range 2 {
		if response, body := c.get("/"); response.StatusCode != http.StatusOK || body != "x" {
			t.Errorf("got %s, %q", response.Status, body)
		}
	}
}
