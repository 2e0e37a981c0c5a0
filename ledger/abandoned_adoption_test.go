package ledger

import (
	"testing"
	"time"
)

// NO-LOST: a charge that was promised, of a call that was swept as abandoned before its log is adopted, days later, is
// not booked already: the checkpoint is, and somebody has to look.
func TestAbandonedIsNotBookedAlready(t *testing.T) {
	f := archived(t, Options{ArchiveKeep: time.Millisecond})
	f.account("acme", "10", "0", AccountOptions{})
	p := &logged{fixture: f, dir: t.TempDir(), key: f.key("acme", KeyLimits{})}
	l := p.start(Options{Archive: f.ledger.vault.address})
	hold := p.reserveOn(l, cost(t, "1"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.25"))}))
	b, err := l.bookingOf(ptr(settlement(hold, cost(t, "1"))))
	p.must(err)
	_, err = l.log.end(recordSettle, b) // with Redis away: it is a promise
	p.must(err)
	p.die(l)

	f.pass(time.Hour)
	f.sweep()
	f.balances("acme", "9.75 0 0")
	f.outlive(hold)
	for again := range 2 {
		done, err := f.ledger.AdoptLog(f.ctx(), p.dir)
		f.must(err)
		if done.There != 0 || done.Settled != 0 || len(done.Doubts) != 1-again {
			t.Errorf("replay %d: %+v, want a doubt", again+1, done)
		}
	}
	f.balances("acme", "9.75 0 0")
}
