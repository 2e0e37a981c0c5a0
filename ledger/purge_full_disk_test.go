package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A disk that has no room for another segment gets it from the segments that nobody needs.
func TestPurgeMakesRoomOnAFullDisk(t *testing.T) {
	p, l := newLogged(t, Options{})
	for range 2 {
		p.must(settleAndNote(p, l))
	}
	current := l.log.wal.Segments()[2]
	inTheWay := filepath.Join(l.log.dir, fmt.Sprintf("%012d.log", current+1))
	p.must(os.Symlink("/dev/full", inTheWay))
	_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
	p.must(err)
	if err := l.log.purge(time.Now().Add(2*time.Hour), nil); err == nil {
		t.Error("that no segment could be begun is not told")
	}
	if kept := l.log.wal.Segments(); len(kept) != 1 || kept[0] != current {
		t.Errorf("segments %v are kept, of which all but %d are booked and hours old", kept, current)
	}
}

// settleAndNote fills a segment with a call that is booked, and the note of that.
func settleAndNote(p *logged, l *Ledger) error {
	p.Helper()
	if _, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(p, "1")), cost(p, "1"))); err != nil {
		return err
	}
	if err := l.log.flush(); err != nil {
		return err
	}
	return l.log.wal.Rotate()
}
