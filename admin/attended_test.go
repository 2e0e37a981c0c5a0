package admin

import (
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// leaver is a client that leaves when it is told to.
type leaver struct {
	*httptest.ResponseRecorder
	gone atomic.Bool
}

func (l *leaver) ClientGone() bool { return l.gone.Load() }

// A walk through the journal ends when nobody waits for it any more, and not before.
func TestNobodyWaitsForAWalk(t *testing.T) {
	w := &leaver{ResponseRecorder: httptest.NewRecorder()}
	ctx, done := (&call{Request: httptest.NewRequest("GET", "/admin/v1/audit", nil), w: w}).attended()
	defer done()
	select {
	case <-ctx.Done():
		t.Fatal("it ends while the client waits")
	case <-time.After(2 * lookEvery):
	}
	w.gone.Store(true)
	select {
	case <-ctx.Done():
	case <-time.After(20 * lookEvery):
		t.Error("it goes on, though the client has left")
	}
}
