package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tollgate/tollgate/internal/mockai"
)

// upstreamKey is our credential at the upstream.
const upstreamKey = "sk-upstream"

// upstream is the simulated upstream, behind a gate that a test opens, and a
// recorder of what it sent.
type upstream struct {
	*mockai.Server
	url string
	// waiting is how many requests stand at the gate.
	waiting atomic.Int64
	// writes counts what was written, of all answers.
	writes atomic.Int64

	mu    sync.Mutex
	gate  chan struct{} // nil: open
	stall *stall
	sent  []byte // of the last answer, so far
}

// stall stops an answer before one of its writes.
type stall struct {
	only    string // to requests with this in their body; empty: to all
	before  int
	arrive  func() // closes reached, once
	release chan struct{}
}

func startUpstream(t *testing.T, o mockai.Options) *upstream {
	t.Helper()
	u := &upstream{Server: mockai.New(o)}
	server := httptest.NewServer(u)
	u.url = server.URL
	t.Cleanup(func() {
		u.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return u
}

// ServeHTTP lets a request wait at the gate, and then be answered.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // read here, so that the client's leaving is noticed at the gate
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	u.mu.Lock()
	gate, stall := u.gate, u.stall
	u.mu.Unlock()
	if stall != nil && !bytes.Contains(body, []byte(stall.only)) {
		stall = nil
	}
	if gate != nil {
		u.waiting.Add(1)
		defer u.waiting.Add(-1)
		select {
		case <-gate:
		case <-r.Context().Done():
		}
	}
	u.mu.Lock()
	u.sent = nil
	u.mu.Unlock()
	u.Server.ServeHTTP(&recorder{ResponseWriter: w, of: u, stall: stall, left: r.Context().Done()}, r)
}

// hold closes the gate; open opens it again.
func (u *upstream) hold() (open func()) {
	gate := make(chan struct{})
	u.mu.Lock()
	u.gate = gate
	u.mu.Unlock()
	return sync.OnceFunc(func() {
		u.mu.Lock()
		u.gate = nil
		u.mu.Unlock()
		close(gate)
	})
}

// stallBefore stops the answers from now on before their nth write, from 0.
func (u *upstream) stallBefore(n int) (reached <-chan struct{}, release func()) {
	return u.stallOnly("", n)
}

// stallOnly is stallBefore for requests with something in their body.
func (u *upstream) stallOnly(only string, n int) (reached <-chan struct{}, release func()) {
	arrived := make(chan struct{})
	s := &stall{only: only, before: n, arrive: sync.OnceFunc(func() { close(arrived) }), release: make(chan struct{})}
	u.mu.Lock()
	u.stall = s
	u.mu.Unlock()
	return arrived, sync.OnceFunc(func() {
		u.mu.Lock()
		u.stall = nil
		u.mu.Unlock()
		close(s.release)
	})
}

// lastSent is the body of the last answer: all that a client may have of it.
func (u *upstream) lastSent() []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sent
}

// sends keeps what is about to be written.
func (u *upstream) sends(p []byte) {
	u.mu.Lock()
	u.sent = append(u.sent, p...)
	u.mu.Unlock()
	u.writes.Add(1)
}

// recorder keeps what was written, and stalls.
type recorder struct {
	http.ResponseWriter
	of     *upstream
	stall  *stall
	left   <-chan struct{}
	writes int
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.stall != nil && r.writes == r.stall.before {
		r.stall.arrive()
		select {
		case <-r.stall.release:
		case <-r.left:
		}
	}
	r.writes++
	r.of.sends(p)
	return r.ResponseWriter.Write(p)
}

// stuck reports, of the one answer that is being sent, whether it has stopped
// going out: nothing has, however often it was asked.
func (u *upstream) stuck() func() bool {
	last, same := int64(0), 0
	return func() bool {
		now := u.writes.Load()
		if same++; now != last {
			last, same = now, 0
		}
		return now > 0 && same > 10
	}
}

// Unwrap lets http.ResponseController flush.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
