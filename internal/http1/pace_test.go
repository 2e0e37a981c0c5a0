package http1

import (
	"strings"
	"testing"
	"time"
)

// A client that sends a byte now and then must not hold its connection for
// ever: only some progress gives it more time.
func TestABodyMustComeAlong(t *testing.T) {
	socket := &deadlines{script: script{in: []byte(strings.Repeat("x", 3*bodyPace)), piece: 1000}}
	c := newConn(&Server{IdleTimeout: time.Hour, HeadTimeout: time.Minute}, socket)
	c.state.Store(active)
	c.reading = body
	passed := time.Duration(0)
	for came := 0; came < 3*bodyPace; {
		n, err := c.Read(make([]byte, 1000))
		if err != nil {
			t.Fatal(err)
		}
		came += n
		c.readUntil = c.readUntil.Add(-time.Minute) // that long it took
		passed += time.Minute
	}
	if socket.set != 3 {
		t.Errorf("in %v the deadline was moved %d times, want 3", passed, socket.set)
	}
}
