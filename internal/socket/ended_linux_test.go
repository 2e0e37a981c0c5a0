package socket

import (
	"net"
	"testing"
	"time"
)

// Something that is still to be read does not hide that the other side has left, nor is it taken for its leaving.
func TestGoneWithSomethingUnread(t *testing.T) {
	for how, leave := range map[string]func(*net.TCPConn) error{
		"half-closes": (*net.TCPConn).CloseWrite,
		"closes":      (*net.TCPConn).Close,
		"resets": func(far *net.TCPConn) error {
			_ = far.SetLinger(0) // the close tells
			return far.Close()
		},
	} {
		near, far := pair(t)
		r := new(Buffers).NewReader(near, near)
		say(t, far, "unread")
		arrived(t, r, len("unread"))
		if r.Gone() {
			t.Errorf("gone before it %s", how)
		}
		if err := leave(far); err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(soon); !r.Gone(); time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("there, though it %s", how)
			}
		}
	}
}
