package ledger

import (
	"testing"
	"time"
)

// NO-LOST: where a promise cannot be kept yet, what Redis has lost of the same account is not even tried, and stays in the log for that.
func TestWhatIsNotTriedBehindAPromiseIsKept(t *testing.T) {
	p, l := newLogged(t, Options{})
	booked, promised := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "2"))
	before := p.snapshot()
	_, err := l.Settle(p.ctx(), settlement(booked, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.must(l.log.wal.Rotate())
	b, err := l.bookingOf(ptr(settlement(promised, cost(t, "2"))))
	p.must(err)
	p.must(l.log.progress(b)) // a call that lasts keeps no segment before it
	_, err = l.log.end(recordSettle, b)
	p.must(err)
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
	p.charges(2)
	p.balances("acme", "7 0 0")
}
