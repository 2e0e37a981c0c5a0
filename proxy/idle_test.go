package proxy

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// A sweep closes what nobody can use any more, without anybody asking for it,
// and leaves the rest. It comes again only while there is something to look at.
func TestSweepClosesWhatCannotBeUsed(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  func(upstream net.Conn)
		idle   time.Duration
		usable bool
	}{
		{"quiet", func(net.Conn) {}, 0, true},
		{"quiet for too long", func(net.Conn) {}, idleLife, false},
		{"closed", func(conn net.Conn) { _ = conn.Close() }, 0, false},
		{"spoken to unasked", func(conn net.Conn) { _, _ = io.WriteString(conn, ownAnswer) }, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			upstream := make(chan net.Conn, 1)
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			address := scripted(t, nil, func(conn net.Conn) {
				if readRequest(bufio.NewReader(conn)) != nil {
					return
				}
				_, _ = io.WriteString(conn, ownAnswer)
				upstream <- conn
				<-over
			})
			tr := transportFor(t, nil)
			response, err := post(t, new(cut), tr, address, "x")
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, response)
			conn := tr.idle.hosts[address][0]
			c.after(<-upstream)
			if !c.usable && c.idle == 0 {
				awaitNews(t, tr)
			}
			conn.since = conn.since.Add(-c.idle)
			tr.idle.sweep()
			if kept := len(tr.idle.hosts[address]) == 1; kept != c.usable {
				t.Errorf("it was kept: %v", kept)
			}
			if tr.idle.swept != c.usable {
				t.Errorf("another sweep is to come: %v", tr.idle.swept)
			}
			if _, err := conn.Write([]byte("x")); (err == nil) != c.usable {
				t.Errorf("writing to it: %v", err)
			}
		})
	}
}
