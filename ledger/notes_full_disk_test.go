package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A replay of very many calls beside a disk that is full makes more notes than a record can take. When there is room again
// they are written, and the log takes records.
func TestNotesOfALongReplayOutliveAFullDisk(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 64 << 20})
	first, second := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1"))
	note := func(bytes int) {
		b := &booking{id: NewRequestID(), account: "acme"}
		told := strings.Repeat("x", 64<<10) // longer than any, and so fewer
		for range bytes/len(told) + 1 {
			l.log.booked(b, l.shardOf("acme"), 1, told)
		}
	}
	note(4 << 20)
	p.must(l.log.flush())
	segments := l.log.wal.Segments()
	inTheWay := filepath.Join(l.log.dir, fmt.Sprintf("%012d.log", segments[len(segments)-1]+1))
	p.must(os.Mkdir(inTheWay, 0o700))
	const most = 16 << 20                                        // of one record, in bytes
	note(most + 8<<20)                                           // some go to the segment that there is
	_, err := l.Settle(p.ctx(), settlement(first, cost(t, "1"))) // its note is the last of them
	p.must(err)
	if err := l.log.flush(); err == nil {
		t.Fatal("a full disk took the notes")
	}
	p.must(os.Remove(inTheWay))
	_, err = l.Settle(p.ctx(), settlement(second, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.die(l)
	left, err := openSettleLog(l.log.dir, l.identity, l.shardOf, false, 0)
	p.must(err)
	defer func() { p.must(left.close()) }()
	if left.hasPending() {
		t.Error("the log lacks notes")
	}
	p.charges(2)
}
