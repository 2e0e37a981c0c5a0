package ledger

import (
	"testing"
	"time"
)

// NO-LOST: what a start has charged of a call that never ended stays in the log until the archive has it.
func TestAbandonedIsKeptUntilItIsArchived(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.25"))}))
	p.die(l)

	again := p.start(Options{})
	charged := p.entries("acme", TypeAbandon)
	if len(charged) != 1 {
		t.Fatalf("%d calls are charged as abandoned, want 1", len(charged))
	}
	shard := again.shardOf("acme")
	end := p.shardSeq(shard)
	p.must(again.log.flush())
	p.must(again.log.wal.Rotate())
	upTo := func(seq int64) func(int) int64 { return func(int) int64 { return seq } }
	later := time.Now().Add(time.Hour)
	p.must(again.log.purge(later, upTo(end-1)))
	if kept := again.log.wal.Segments(); len(kept) < 2 {
		t.Errorf("segments %v are kept, and the archive lacks the charge", kept)
	}
	p.must(again.log.purge(later, upTo(end)))
	if kept := again.log.wal.Segments(); len(kept) != 1 {
		t.Errorf("segments %v are kept, and the archive has the charge", kept)
	}
}
