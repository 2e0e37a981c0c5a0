package ledger

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

// infoOf is a field of a server's INFO replication.
func infoOf(f *fixture, c *redis.Client, field string) string {
	text, err := c.Info(f.ctx(), "replication").Result()
	f.must(err)
	_, value, _ := strings.Cut(text, field+":")
	value, _, _ = strings.Cut(value, "\r\n")
	return value
}

func TestSentinelFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	s := redistest.StartSentinel(t)
	f := openAt(t, Options{URL: s.URL(), Shards: 4})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, cost(f, "2"))
	f.awaitReplica(s.Master.Client(), s.Replica.Client())
	s.Master.Kill()
	f.must(s.AwaitFailover(f.ctx()))
	f.eventually("the call in flight", func() error {
		_, err := f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "1")))
		return err
	})
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	f.balances("acme", "8 0 0")
	f.audit()
}

// A replica that lagged is promoted. Without an archive nobody can put back
// what it lacks: it is noticed by its heads, and never written to.
func TestSentinelFailoverToALaggingReplica(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers")
	}
	s := redistest.StartSentinel(t)
	f := openAt(t, Options{URL: s.URL(), Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.awaitReplica(s.Master.Client(), s.Replica.Client())
	s.Replica.Kill()
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "1")) // acknowledged, and on the master alone
	lost := f.ledger.at(0).seq()
	s.Master.Kill()
	s.Replica.Start()
	f.must(s.AwaitFailover(f.ctx()))
	noticed := false
	for deadline := time.Now().Add(15 * time.Second); !noticed && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		_, err := f.tryReserve(key, cost(f, "1"))
		if !errors.Is(err, ErrUnavailable) {
			t.Fatalf("booked on a journal that is cut: %v", err)
		}
		noticed = strings.Contains(err.Error(), "gone back in time")
	}
	if !noticed {
		t.Error("nobody noticed that the replica lagged")
	}
	_, err := f.ledger.TopUp(f.ctx(), Topup{Account: "acme", Wallet: Recharge, Amount: 1})
	wants(t, err, ErrUnavailable)
	library, err := f.ledger.scripts.state(f.ctx(), s.Replica.Client(), f.ledger.identity)
	f.must(err)
	seq, err := s.Replica.Client().HGet(f.ctx(), f.ledger.metaKey(0), "seq").Int64()
	f.must(err)
	if library != libraryClosed || seq != lost-1 {
		t.Errorf("the library is in state %d, the journal ends at %d; want it closed, and %d", library, seq, lost-1)
	}
}
