package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// looks is a client's hook: it counts how often Redis is asked for the outcomes of many requests.
type looks struct{ n int }

func (*looks) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*looks) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (l *looks) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if commands[0].Name() == "hget" {
			l.n++
		}
		return next(ctx, commands)
	}
}

// While an account is damaged, the rest of the log is not read and asked for again every second; what waits of others is booked at
// once all the same, and what the account owes when it is repaired, or at the first sign that Redis has lost more.
func TestReplayInVainPauses(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.account("bad", "10", "0", AccountOptions{})
	first, err := l.Reserve(p.ctx(), p.reservation(p.fixture.key("bad", KeyLimits{}), cost(t, "1")))
	p.must(err)
	before := p.snapshot()
	_, err = l.Settle(p.ctx(), settlement(first, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	bad := p.ledger.accountKey(p.ledger.shardOf("bad"), "bad")
	p.must(p.server.Client().HSet(p.ctx(), bad, "recharge", "damaged").Err())
	again := p.start(Options{})
	r := again.replayer
	r.whole = r.unfinished
	asked, now := new(looks), time.Now()
	again.client.AddHook(asked)
	for range 120 {
		now = now.Add(replayTick)
		r.replay(p.ctx(), now)
	}
	if asked.n < 5 || asked.n > 12 {
		t.Errorf("in two minutes it was all looked at %d times", asked.n)
	}

	hold := p.reserveOn(again, cost(t, "2"))
	b, err := again.bookingOf(ptr(settlement(hold, cost(t, "2"))))
	p.must(err)
	_, err = again.log.end(recordSettle, b)
	p.must(err)
	again.log.postpone(hold.ID)
	r.replay(p.ctx(), now)
	p.balances("acme", "8 0 0")
	if !r.whole {
		t.Error("what was in vain is given up")
	}

	p.must(p.server.Client().HSet(p.ctx(), bad, "recharge", "10000000000").Err())
	for range maxFailurePause / replayTick {
		now = now.Add(replayTick)
		r.replay(p.ctx(), now)
	}
	p.balances("bad", "9 0 0")
	if r.whole || r.pause != 0 {
		t.Errorf("looking at all: %t, with a pause of %s", r.whole, r.pause)
	}
}
