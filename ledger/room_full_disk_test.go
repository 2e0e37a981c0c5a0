package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Calls that a full disk kept out leave no room set aside: when it has room again, the log takes calls.
func TestRefusedCallsTakeNoRoom(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 1 << 20})
	b := &booking{id: NewRequestID(), account: "acme"}
	l.log.booked(b, l.shardOf("acme"), 1, strings.Repeat("x", 100<<10)) // more than a segment
	p.must(l.log.flush())
	segments := l.log.wal.Segments()
	inTheWay := filepath.Join(l.log.dir, fmt.Sprintf("%012d.log", segments[len(segments)-1]+1))
	p.must(os.Mkdir(inTheWay, 0o700))
	for range 1 << 20 / settleRoom {
		b := &booking{id: NewRequestID(), account: "acme"}
		if err := l.log.open(b); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("a full disk took a call: %v", err)
		}
	}
	p.must(os.Remove(inTheWay))
	p.release(p.reserveOn(l, cost(t, "1")))
}
