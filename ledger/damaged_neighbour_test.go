package ledger

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// NO-LOST: an account that cannot be booked on keeps no other log of its host from being booked, at a start or by
// `log replay`, whichever log it stands in.
func TestOneLogDoesNotStopItsNeighbours(t *testing.T) {
	for _, how := range []string{"own", "neighbour", "verb"} {
		t.Run(how, func(t *testing.T) {
			p, first := newLogged(t, Options{Shards: 4}, redistest.WithAOF("always"))
			p.broken = true
			p.account("bad", "10", "0", AccountOptions{})
			bad := &logged{fixture: p.fixture, dir: p.dir, key: p.fixture.key("bad", KeyLimits{})}
			second, third := p.start(Options{}), p.start(Options{})
			damaged := second
			if how == "own" {
				damaged = first
			}
			hold, promised := bad.reserveOn(damaged, cost(t, "1")), p.reserveOn(third, cost(t, "1"))
			p.server.Kill()
			_, err := damaged.Settle(p.ctx(), settlement(hold, cost(t, "1")))
			p.must(err)
			_, err = third.Settle(p.ctx(), settlement(promised, cost(t, "1")))
			p.must(err)
			for _, l := range []*Ledger{first, second, third} {
				p.die(l)
			}
			p.server.Start()
			p.must(p.server.Client().HSet(p.ctx(), first.accountKey(first.shardOf("bad"), "bad"), "recharge", "damaged").Err())
			if how == "verb" {
				done, err := p.ledger.AdoptLog(p.ctx(), p.dir)
				if done == nil || done.Settled != 1 || err == nil || !strings.Contains(err.Error(), "settle") {
					t.Errorf("replayed %+v: %v", done, err)
				}
				return
			}
			again := p.start(Options{})
			if !again.replayer.unfinished {
				t.Error("the replay counts as done")
			}
			p.charges(1)

			// It is tried again, until somebody has repaired the account.
			p.must(p.server.Client().HSet(p.ctx(), first.accountKey(first.shardOf("bad"), "bad"), "recharge", "10000000000").Err())
			p.replaying(again)
			eventually(t, "the repaired account is charged", func() bool { return len(p.entries("bad", TypeCharge)) == 1 })
		})
	}
}
