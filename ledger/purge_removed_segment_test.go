package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A segment that somebody has removed by hand keeps no other from being purged.
func TestPurgeBeyondARemovedSegment(t *testing.T) {
	p, l := newLogged(t, Options{})
	for range 3 {
		p.must(settleAndNote(p, l))
	}
	used, _ := l.log.wal.Used()
	p.must(os.Remove(filepath.Join(l.log.dir, fmt.Sprintf("%012d.log", l.log.wal.Segments()[0]))))
	for range 2 {
		if err := l.log.purge(time.Now().Add(2*time.Hour), nil); err != nil {
			t.Error(err)
		}
	}
	if kept := l.log.wal.Segments(); len(kept) != 1 {
		t.Errorf("segments %v are kept, of which all but the last are booked and hours old", kept)
	}
	if after, _ := l.log.wal.Used(); after >= used {
		t.Errorf("%d bytes are in use, and were %d before", after, used)
	}
}
