package ledger

import (
	"os"
	"path/filepath"
	"testing"
)

// A log of a dead neighbour that cannot be read keeps nobody from starting, and no other log of the host from being booked.
func TestUnreadableNeighbourStopsNobody(t *testing.T) {
	p, first := newLogged(t, Options{})
	second, third := p.start(Options{}), p.start(Options{})
	promised := p.reserveOn(third, cost(t, "1"))
	b, err := third.bookingOf(ptr(settlement(promised, cost(t, "1"))))
	p.must(err)
	_, err = third.log.end(recordSettle, b) // with Redis away: it is a promise
	p.must(err)
	p.must(second.log.wal.Rotate())
	p.release(p.reserveOn(second, cost(t, "1")))
	p.must(second.log.wal.Rotate())
	for _, l := range []*Ledger{first, second, third} {
		p.die(l)
	}
	segments, err := filepath.Glob(filepath.Join(second.log.dir, "*.log"))
	p.must(err)
	p.must(os.WriteFile(segments[0], []byte("TGLOG001 and then nothing that can be read"), 0o600))

	again, err := Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
	if err != nil {
		t.Fatalf("a start beside a log that is damaged: %v", err)
	}
	p.must(again.Close())
	p.charges(1)
}
