package http1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// held is a handler that tells that it has begun, and waits to be let go.
type held struct {
	began, letGo chan struct{}
}

func newHeld() *held {
	return &held{began: make(chan struct{}, 10), letGo: make(chan struct{})}
}

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/flush" {
		flush(w)
	}
	if r.URL.Path != "/quick" {
		h.began <- struct{}{}
		<-h.letGo
	}
	_, _ = io.WriteString(w, "done")
}

// shutDown begins a shutdown and returns when it is under way.
func shutDown(t *testing.T, ctx context.Context, s *Server) <-chan error { //nolint:revive // a test comes first
	t.Helper()
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(ctx) }()
	until(t, "Shutdown", s.closing.Load)
	return down
}

func TestShutdownLetsARequestEnd(t *testing.T) {
	h := newHeld()
	s, address := start(t, h.ServeHTTP)
	late, streaming := dial(t, address), dial(t, address)
	late.send(get("/", ""))
	streaming.send(get("/flush", ""))
	wait(t, "a request", h.began)
	wait(t, "a request", h.began)
	down := shutDown(t, t.Context(), s)
	if busy := s.closeIdle(time.Now().Add(2 * freshFor)); busy != 2 {
		t.Errorf("%d connections are busy, want 2", busy)
	}
	close(h.letGo)
	if response, body := late.answer(); body != "done" || !response.Close {
		t.Errorf("got %q, close %v", body, response.Close)
	}
	if _, body := streaming.answer(); body != "done" {
		t.Errorf("got %q", body)
	}
	late.wantClosed()
	streaming.wantClosed()
	if err := wait(t, "Shutdown", down); err != nil {
		t.Error(err)
	}
}

func TestShutdownClosesWhatIsIdle(t *testing.T) {
	s, address := start(t, newHeld().ServeHTTP)
	c := dial(t, address)
	c.get("/quick")
	// At a time at which every connection is fresh: it is closed for being idle.
	until(t, "no connection is busy", func() bool { return s.closeIdle(time.Time{}) == 0 })
	c.wantClosed()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func (s *Server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// A client that has connected has its request on the way.
func TestShutdownWaitsForTheFirstRequest(t *testing.T) {
	s, address := start(t, newHeld().ServeHTTP)
	c := dial(t, address)
	until(t, "the connection", func() bool { return s.connections() == 1 })
	began := time.Now()
	down := shutDown(t, t.Context(), s)
	if busy := s.closeIdle(began); busy != 1 {
		t.Fatal("the connection is closed before its request")
	}
	response, body := c.get("/quick")
	if body != "done" || !response.Close {
		t.Errorf("got %q, close %v", body, response.Close)
	}
	c.wantClosed()
	if err := wait(t, "Shutdown", down); err != nil {
		t.Error(err)
	}
}

func TestShutdownWaitsForTheFirstRequestSomeTime(t *testing.T) {
	s, address := start(t, newHeld().ServeHTTP)
	c := dial(t, address)
	until(t, "the connection", func() bool { return s.connections() == 1 })
	if busy := s.closeIdle(time.Now().Add(freshFor)); busy != 0 {
		t.Errorf("%d connections are busy", busy)
	}
	c.wantClosed()
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	h := newHeld()
	s, address := start(t, h.ServeHTTP)
	c := dial(t, address)
	c.send(get("/", ""))
	wait(t, "a request", h.began)
	ctx, cancel := context.WithCancel(t.Context())
	down := shutDown(t, ctx, s)
	cancel()
	if err := wait(t, "Shutdown", down); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(h.letGo)
	if _, body := c.answer(); body != "done" {
		t.Errorf("the request did not end after that: %q", body)
	}
}

func TestCloseCuts(t *testing.T) {
	h := newHeld()
	s, address := start(t, h.ServeHTTP)
	c := dial(t, address)
	c.send(get("/flush", ""))
	wait(t, "a request", h.began)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("the answer is whole: %q", body)
	}
	close(h.letGo)
	until(t, "the connection's end", func() bool { return s.connections() == 0 })
}

func TestServeAfterTheEnd(t *testing.T) {
	ends := map[string]func(*Server) error{
		"Shutdown": func(s *Server) error { return s.Shutdown(t.Context()) },
		"Close":    func(s *Server) error { return s.Close() },
	}
	for name, end := range ends {
		s, _ := start(t, newHeld().ServeHTTP)
		if err := end(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		l := listen(t)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("after %s: got %v", name, err)
		}
		if _, err := l.Accept(); err == nil {
			t.Errorf("after %s: the listener is open", name)
		}
	}
}

// A request that is read already when the shutdown begins is answered, the last one of its connection.
func TestShutdownAnswersWhatIsRead(t *testing.T) {
	h := newHeld()
	s, address := start(t, h.ServeHTTP)
	c := dial(t, address)
	c.send(get("/flush", "") + get("/quick", "")) // together: one read gets both
	wait(t, "the first request", h.began)
	s.stopListening()
	close(h.letGo)
	for _, closes := range []bool{false, true} { // the first had said that it stays
		if response, body := c.answer(); body != "done" || response.Close != closes {
			t.Errorf("got %q, close %v, want %v", body, response.Close, closes)
		}
	}
	c.wantClosed()
}

// A request whose first byte comes just as its connection is closed for being idle is not begun:
// nobody would get its answer.
func TestAClosedConnectionTakesNoRequest(t *testing.T) {
	for _, state := range []int32{fresh, idle} {
		c := newConn(&Server{IdleTimeout: soon, HeadTimeout: soon}, newScript([]byte(probe), 0))
		c.state.Store(state)
		if c.in.Await() != nil {
			t.Fatal("the request is not there")
		}
		if !c.closeIfIdle(time.Now().Add(freshFor)) || c.awaitRequest() {
			t.Errorf("state %d: the request is begun", state)
		}
	}
}

// A connection that was accepted just as the shutdown began is closed, and not served by who is thought to have ended.
func TestNoConnectionIsTakenAfterShutdown(t *testing.T) {
	s, _ := start(t, newHeld().ServeHTTP)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted, client := net.Pipe()
	if c := s.addConn(accepted); c != nil || s.connections() != 0 {
		t.Errorf("taken as %v, of %d", c, s.connections())
	}
	if err := accepted.SetDeadline(time.Time{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it is open: %v", err)
	}
	_ = client.Close()
}
