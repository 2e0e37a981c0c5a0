package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

// slurp is a handler that tells how reading the body went, and answers by it.
type slurp struct{ began, ended chan error }

func newSlurp() *slurp { return &slurp{began: make(chan error, 10), ended: make(chan error, 10)} }

func (h *slurp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, err := io.ReadFull(r.Body, make([]byte, 4))
	h.began <- err
	_, err = io.Copy(io.Discard, r.Body)
	h.ended <- err
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// A client that takes its time with a body must not keep the server from shutting down.
func TestShutdownWaitsForABodySomeTime(t *testing.T) {
	h := newSlurp()
	s, address := start(t, h.ServeHTTP, func(s *Server) { s.IdleTimeout = time.Hour })
	whole, part := dial(t, address), dial(t, address)
	for _, c := range []*client{whole, part} {
		c.send(post("Content-Length: 10\r\n", "half"))
		if err := wait(t, "the body's beginning", h.began); err != nil {
			t.Fatal(err)
		}
	}
	down := shutDown(t, t.Context(), s)
	if busy := s.closeIdle(time.Now()); busy != 2 {
		t.Fatalf("%d are busy, want 2", busy)
	}
	whole.send("and---")
	if err := wait(t, "the body's end", h.ended); err != nil {
		t.Errorf("what came in time: %v", err)
	}
	if response, _ := whole.answer(); response.StatusCode != http.StatusOK {
		t.Errorf("got %s", response.Status)
	}
	part.send("x")
	s.closeIdle(time.Now().Add(2 * freshFor))
	if err := wait(t, "the body's end", h.ended); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("what took too long: %v", err)
	}
	if response, _ := part.answer(); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %s", response.Status)
	}
	if err := wait(t, "Shutdown", down); err != nil {
		t.Error(err)
	}
}

// Who is told that time is over waits for no client any more.
func TestExpire(t *testing.T) {
	slurping, writing := newSlurp(), make(chan error, 1)
	s, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			slurping.ServeHTTP(w, r)
			return
		}
		slurping.began <- nil
		for {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				writing <- err
				return
			}
		}
	}, func(s *Server) { s.IdleTimeout, s.WriteTimeout = time.Hour, time.Hour })
	dial(t, address).send(post("Content-Length: 10\r\n", "half"))
	dial(t, address).send(get("/", "")) // and does not read
	for range 2 {
		if err := wait(t, "the beginning", slurping.began); err != nil {
			t.Fatal(err)
		}
	}
	s.Expire()
	for what, failed := range map[string]chan error{"the body": slurping.ended, "the answer": writing} {
		if err := wait(t, what, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

// How long the rest of a request may take is set once, when the server shuts down: what comes of it gives no more time.
func TestShutdownGivesABodyNoMoreTime(t *testing.T) {
	s := &Server{IdleTimeout: time.Hour, HeadTimeout: time.Minute}
	socket := &deadlines{script: script{in: []byte("some"), piece: 1}}
	c := newConn(s, socket)
	c.state.Store(active)
	c.reading = body
	s.stopListening()
	if _, err := c.Read(make([]byte, 1)); err != nil || socket.set != 0 {
		t.Errorf("the deadline was moved %d times, %v", socket.set, err)
	}
}

// Nor does who turns to a client only then: a deadline that is moved gives no time any more.
func TestExpireIsForWhatFollowsToo(t *testing.T) {
	began, expired, failures := make(chan struct{}), make(chan struct{}), make(chan error, 2)
	s, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-expired
		_, err := io.Copy(io.Discard, r.Body)
		for err == nil {
			_, err = w.Write(make([]byte, 100_000))
		}
		failures <- err
	}, func(s *Server) { s.IdleTimeout, s.WriteTimeout = time.Hour, time.Hour })
	for _, request := range []string{post("Content-Length: 10\r\n", "half"), get("/", "")} {
		dial(t, address).send(request) // and neither sends more nor reads
		wait(t, "the request", began)
	}
	s.Expire()
	close(expired)
	for range 2 {
		if err := wait(t, "the failure", failures); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
}
