package ledger

import (
	"testing"
	"time"
)

// NO-LOST: what Redis has lost and a replay cannot bring back yet stays in the log, however old it grows meanwhile.
func TestWhatCannotBeBroughtBackYetIsKept(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	before := p.snapshot()
	_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.must(l.log.wal.Rotate())
	p.die(l)
	p.goBack(before)
	account := p.ledger.accountKey(p.ledger.shardOf("acme"), "acme")
	right, err := p.server.Client().HGet(p.ctx(), account, "recharge").Result()
	p.must(err)
	p.must(p.server.Client().HSet(p.ctx(), account, "recharge", "damaged").Err())

	again := p.start(Options{})
	for hours := range 3 {
		p.must(again.replayer.tidy(time.Now().Add(time.Duration(hours) * time.Hour)))
	}
	p.must(p.server.Client().HSet(p.ctx(), account, "recharge", right).Err()) // somebody has repaired it
	p.must(again.replayer.all(p.ctx()))
	p.balances("acme", "9 0 0")
	p.must(again.replayer.tidy(time.Now().Add(3 * time.Hour)))
	if kept := again.log.wal.Segments(); len(kept) != 1 {
		t.Errorf("segments %v are kept, of which all but the last are booked and hours old", kept)
	}
}
