package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// One record that cannot be booked does not keep the others from it.
func TestOneRecordDoesNotStopReplay(t *testing.T) {
	p, l := newLogged(t, Options{Shards: 4}, redistest.WithAOF("always"))
	p.broken = true
	p.account("bad", "10", "0", AccountOptions{})
	bad := &logged{fixture: p.fixture, dir: p.dir, key: p.fixture.key("bad", KeyLimits{})}
	first := bad.reserveOn(l, cost(t, "1"))
	time.Sleep(5 * time.Millisecond)
	second := p.reserveOn(l, cost(t, "1"))
	p.server.Kill()
	for _, h := range []*Hold{first, second} {
		_, err := l.Settle(p.ctx(), settlement(h, cost(t, "0.5")))
		p.must(err)
	}
	p.server.Start()
	p.must(p.server.Client().HSet(p.ctx(), l.accountKey(l.shardOf("bad"), "bad"), "recharge", "damaged").Err())
	p.replaying(l)
	eventually(t, "the other is booked", func() bool { return len(p.entries("acme", TypeCharge)) > 0 })
	p.charges(1)
}

// Nor does one that cannot be booked again keep others from it that Redis has lost, too.
func TestOneRecordDoesNotStopWhatWasLost(t *testing.T) {
	for _, bad := range []string{"lost", "waiting"} {
		t.Run(bad, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			p.broken = true
			p.account("bad", "10", "0", AccountOptions{})
			first, err := l.Reserve(p.ctx(), p.reservation(p.fixture.key("bad", KeyLimits{}), cost(t, "1")))
			p.must(err)
			second := p.reserveOn(l, cost(t, "1"))
			before := p.snapshot()
			for _, h := range []*Hold{first, second} {
				_, err := l.Settle(p.ctx(), settlement(h, cost(t, "1")))
				p.must(err)
				if bad == "lost" || h == second {
					p.must(l.log.flush())
				} else {
					l.log.notes = l.log.notes[:0] // killed before it was noted
				}
			}
			p.die(l)
			p.goBack(before)
			p.must(p.server.Client().HSet(p.ctx(), p.ledger.accountKey(p.ledger.shardOf("bad"), "bad"), "recharge", "damaged").Err())
			again := p.start(Options{})
			p.balances("acme", "9 0 0")
			if !again.replayer.unfinished {
				t.Error("the replay counts as done")
			}
		})
	}
}

// One hold that cannot be ended does not keep the others.
func TestOneHoldDoesNotStopSweeping(t *testing.T) {
	f := newFixture(t, Options{Shards: 4})
	f.broken = true
	f.account("bad0", "10", "0", AccountOptions{})
	f.account("acme", "10", "0", AccountOptions{})
	f.reserve(f.key("bad0", KeyLimits{}), cost(t, "1"))
	f.reserve(f.key("acme", KeyLimits{}), cost(t, "1"))
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(f.ledger.shardOf("bad0"), "bad0"), "recharge", "damaged").Err())
	f.pass(time.Hour)
	if _, err := f.ledger.Sweep(f.ctx()); err == nil {
		t.Error("nothing is said of the damaged one")
	}
	f.balances("acme", "10 0 0")
}
