package ledger

import (
	"math"
	"testing"
	"time"
)

// A call that lasts does not fill the log.
func TestLongCallDoesNotFillTheLog(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 1 << 20})
	long := p.reserveOn(l, cost(t, "0.001"))
	all := func(int) int64 { return math.MaxInt64 } // the archive has everything
	later := time.Now()
	for i := range 4000 {
		h, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "0.001")))
		if err != nil {
			used, bound := l.log.wal.Used()
			t.Fatalf("call %d beside one that lasts: %v (%d of %d bytes, %d segments)", i, err, used, bound, len(l.log.wal.Segments()))
		}
		_, err = l.Settle(p.ctx(), settlement(h, cost(t, "0.001")))
		p.must(err)
		if i%100 == 0 {
			later = later.Add(10 * time.Minute)
			p.must(l.log.flush())
			p.must(l.Extend(p.ctx(), Checkpoint{settlement(long, cost(t, "0.0001"))})) // its heartbeat
			p.must(l.log.purge(later, all))
		}
	}
	_, err := l.Settle(p.ctx(), settlement(long, cost(t, "0.001")))
	p.must(err)
}

// diedWithAFullLog is a log without room, of a proxy that has died since: its
// first call had delivered 0.05 by then, the others nothing.
func diedWithAFullLog(t *testing.T) *logged {
	t.Helper()
	p, l := newLogged(t, Options{LogSize: 4 * settleRoom})
	first := p.reserveOn(l, cost(t, "0.1"))
	for {
		if _, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "0.1"))); err != nil {
			break
		}
	}
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(first, cost(t, "0.05"))}))
	p.die(l)
	return p
}

// What was delivered is charged though the log had no room for its progress.
func TestProgressThatTheLogHadNoRoomFor(t *testing.T) {
	p := diedWithAFullLog(t)
	p.start(Options{LogSize: 4 * settleRoom})
	if n := len(p.entries("acme", TypeAbandon)); n != 1 {
		t.Errorf("%d abandoned charges, want 1: Redis has the checkpoint", n)
	}
	p.balances("acme", "9.95 0 0")
}

// The sweeper charged it, and the start of its proxy gives it back.
func TestProgressThatTheLogHadNoRoomForSwept(t *testing.T) {
	p := diedWithAFullLog(t)
	p.pass(time.Hour)
	p.sweep()
	p.balances("acme", "9.95 0 0")
	p.start(Options{LogSize: 4 * settleRoom})
	p.balances("acme", "9.95 0 0")
}
