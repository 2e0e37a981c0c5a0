package http1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// brief is a timeout that passes within a test, and not before a client has
// sent the request that it is to send at once.
const brief = 150 * time.Millisecond

func briefHead(s *Server) { s.HeadTimeout = brief }
func briefIdle(s *Server) { s.IdleTimeout = brief }

func briefWrites(s *Server) { s.WriteTimeout = brief }

func TestASlowHeadIsCut(t *testing.T) {
	for _, half := range []string{"", "G", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 8<<10)} {
		_, address := start(t, newHeld().ServeHTTP, briefHead)
		c := dial(t, address)
		c.send(half)
		c.wantCut()
	}
}

// wantCut waits until the server has closed the connection. To half a line it
// says that it is a bad one.
func (c *client) wantCut() {
	c.t.Helper()
	if said, err := io.ReadAll(c.in); err != nil || len(said) > 0 && !strings.HasPrefix(string(said), "HTTP/1.1 400 ") {
		c.t.Fatalf("the connection is not cut: %q, %v", said, err)
	}
}

func TestASlowHeadIsCutAfterAnother(t *testing.T) {
	_, address := start(t, newHeld().ServeHTTP, briefHead)
	c := dial(t, address)
	c.get("/quick")
	c.send("GET / HTTP/1.1\r\n") // IdleTimeout, which was in force, is long
	c.wantClosed()
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	_, address := start(t, newHeld().ServeHTTP, briefIdle)
	c := dial(t, address)
	c.get("/quick")
	c.wantClosed()
}

// A body whose reading has failed stays broken, whatever comes of it later.
func TestAStalledBodyFails(t *testing.T) {
	failures, resumed := make(chan error, 2), make(chan struct{})
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failures <- err
		<-resumed
		_, err = r.Body.Read(make([]byte, 1))
		failures <- err
		w.WriteHeader(http.StatusRequestTimeout)
	}, briefIdle)
	c := dial(t, address)
	c.send(post("Content-Length: 10\r\n", "half"))
	first := wait(t, "the body's failure", failures)
	c.send("---end")
	close(resumed)
	for _, err := range []error{first, wait(t, "the second read", failures)} {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	if response, _ := c.answer(); response.StatusCode != http.StatusRequestTimeout || !response.Close {
		t.Errorf("got %s, close %v", response.Status, response.Close)
	}
	c.wantClosed()
}

// It is waited for as long as a head, also on a connection that may be idle for longer.
func TestAStalledBodyThatNobodyReads(t *testing.T) {
	_, address := start(t, newHeld().ServeHTTP, briefHead)
	for before := range 2 {
		c := dial(t, address)
		for range before {
			c.get("/quick")
		}
		c.send("POST /quick HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
		if response, body := c.answer(); body != "done" || !response.Close {
			t.Errorf("after %d others: got %q, close %v", before, body, response.Close)
		}
		c.wantClosed()
	}
}

// Timeouts are about the client's silence while it is its turn.
func TestASlowHandlerIsNotCut(t *testing.T) {
	began, sent := make(chan struct{}, 2), make(chan struct{}, 2)
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-sent
		for range 2 {
			if r.URL.Path == "/stream" {
				flush(w)
			}
			time.Sleep(2 * brief)
			_, _ = io.WriteString(w, "x")
		}
	}, briefHead, briefIdle)
	for _, path := range []string{"/", "/stream"} {
		c := dial(t, address)
		c.send(get(path, ""))
		wait(t, "the first request", began)
		c.send(get(path, "")) // is read when the deadline of the first is long over
		for range 2 {
			sent <- struct{}{} // there is one for each request
		}
		for range 2 {
			if _, body := c.answer(); body != "xx" {
				t.Errorf("%s: got %q", path, body)
			}
		}
		wait(t, "the second request", began)
		c.wantClosed()
	}
}

// deadlines is a connection that keeps its read deadline.
type deadlines struct {
	script
	until time.Time
	set   int
}

func (d *deadlines) SetReadDeadline(t time.Time) error {
	d.until = t
	d.set++
	return nil
}

// The deadline is not moved at every read, and is never nearer than IdleTimeout.
func TestTheDeadlineIsFarEnoughOff(t *testing.T) {
	socket := &deadlines{script: script{in: []byte(strings.Repeat("x", 1000)), piece: 1}}
	c := newConn(&Server{IdleTimeout: time.Hour, HeadTimeout: time.Minute}, socket)
	c.state.Store(active)
	c.reading = body
	for _, left := range []time.Duration{-time.Hour, 0, time.Minute, 59 * time.Minute, 61 * time.Minute, 3 * time.Hour} {
		c.readUntil, socket.until = time.Now().Add(left), time.Now().Add(left)
		c.paceLeft = 0
		for range 100 {
			now := time.Now()
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if d := socket.until.Sub(now); d < time.Hour || d > 2*time.Hour {
				t.Fatalf("a client may be silent for %v, %v were left", d, left)
			}
		}
	}
	if socket.set != 5 {
		t.Errorf("the deadline was moved %d times, want 5", socket.set)
	}
}

// What it takes afterwards is a part, and does not look whole.
func TestAClientThatTakesNothingIsLeft(t *testing.T) {
	failures := make(chan error, 1)
	_, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		piece := []byte(pattern(100_000))
		for {
			if _, err := w.Write(piece); err != nil {
				failures <- errors.Join(err, http.NewResponseController(w).Flush())
				return
			}
		}
	}, briefWrites)
	for _, request := range []string{get("/", ""), "GET / HTTP/1.0\r\n\r\n", "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"} {
		c := dial(t, address)
		c.send(request) // and does not read
		if err := wait(t, "the write's failure", failures); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		response, err := http.ReadResponse(c.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, response.Body); err == nil {
			t.Errorf("%q: the answer looks whole with %d bytes", request, n)
		}
	}
}

// patient is a connection that notes how long it may take at its writes.
type patient struct {
	*script
	conn   *conn
	least  time.Duration
	writes int
}

func (p *patient) Write(b []byte) (int, error) {
	p.writes++
	p.least = min(p.least, time.Until(p.conn.writeUntil))
	p.conn.writeUntil = p.conn.writeUntil.Add(-25 * time.Minute) // that long it took
	return len(b), nil
}

// A slow client takes long for a large answer, and takes some of it all the time.
func TestEachPieceHasItsTime(t *testing.T) {
	socket := &patient{script: newScript([]byte(get("/", "")), 0), least: 100 * time.Hour}
	s := &Server{WriteTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(8*pieceSize))
		_, _ = w.Write(make([]byte, 8*pieceSize))
	})}
	socket.conn = newConn(s, socket)
	socket.conn.serve()
	if socket.writes < 9 || socket.least < time.Hour-time.Minute {
		t.Errorf("%d writes, for one %v were left", socket.writes, socket.least)
	}
}
