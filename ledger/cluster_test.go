package ledger

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

// openAt opens a ledger at a URL of servers that fail over.
func openAt(t *testing.T, o Options) *fixture {
	t.Helper()
	f := &fixture{T: t}
	f.ledger = f.another(o)
	return f
}

func (f *fixture) another(o Options) *Ledger {
	f.Helper()
	o.Currency = "CNY"
	l, err := Open(f.ctx(), o)
	f.must(err)
	f.Cleanup(func() { _ = l.Close() })
	return l
}

// eventually repeats what fails as unavailable until it works; any other error ends the test.
func (f *fixture) eventually(what string, try func() error) {
	f.Helper()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
		if !errors.Is(err, ErrUnavailable) {
			break
		}
	}
	f.Fatalf("%s: %v", what, err)
}

// perMaster makes an account on each master, and tells at which address it is.
func (f *fixture) perMaster() map[string]string {
	f.Helper()
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	accounts := make(map[string]string)
	where := make([]string, len(f.ledger.tags))
	for _, n := range list {
		for _, shard := range n.shards {
			where[shard] = n.client.Options().Addr
		}
	}
	for i := 0; len(accounts) < len(list); i++ {
		id := fmt.Sprintf("acct%d", i)
		if address := where[f.ledger.shardOf(id)]; accounts[address] == "" {
			accounts[address] = id
			f.account(id, "10", "0", AccountOptions{})
		}
	}
	return accounts
}

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("six servers")
	}
	t.Run("alone", func(t *testing.T) { testCluster(t, "") })
	t.Run("with an archive", func(t *testing.T) { testCluster(t, sqlite(t)) })
}

func testCluster(t *testing.T, archive string) {
	cluster := redistest.StartCluster(t)
	f := openAt(t, Options{URL: cluster.URL(), Shards: 16, Archive: archive})
	accounts := f.perMaster()
	if len(accounts) != 3 {
		t.Fatalf("accounts on %d masters", len(accounts))
	}
	f.scriptsOn(cluster)
	keys := make(map[string]Credential)
	for address, id := range accounts {
		keys[address] = f.key(id, KeyLimits{})
		f.settle(f.reserve(keys[address], cost(f, "2")), cost(f, "1"))
	}
	f.audit()
	f.twoOfFifty(cluster, archive)
	f.failover(cluster, accounts, keys)
	f.audit()
}

// scriptsOn wants the scripts on every master.
func (f *fixture) scriptsOn(c *redistest.Cluster) {
	f.Helper()
	for _, n := range c.Nodes[:3] {
		open, err := f.ledger.scripts.areOpen(f.ctx(), n.Client(), f.ledger.identity)
		f.must(err)
		if !open {
			f.Errorf("%s has no scripts", n.Addr())
		}
	}
}

// twoOfFifty asks fifty times at once, through three ledgers, for what fits twice.
func (f *fixture) twoOfFifty(c *redistest.Cluster, archive string) {
	f.Helper()
	ledgers := []*Ledger{f.ledger, f.another(Options{URL: c.URL(), Archive: archive}), f.another(Options{URL: c.URL(), Archive: archive})}
	f.account("crowd", "2", "0", AccountOptions{})
	key := f.key("crowd", KeyLimits{})
	var all sync.WaitGroup
	errs := make([]error, 50)
	holds := make([]*Hold, 50)
	for i := range errs {
		r := f.reservation(key, cost(f, "1"))
		all.Go(func() { holds[i], errs[i] = ledgers[i%3].Reserve(f.ctx(), r) })
	}
	all.Wait()
	admitted := 0
	for i, err := range errs {
		var no *Refusal
		switch {
		case err == nil:
			admitted++
			f.settle(holds[i], cost(f, "1"))
		case !errors.As(err, &no):
			f.Errorf("%v", err)
		}
	}
	if admitted != 2 {
		f.Errorf("%d admitted, want 2", admitted)
	}
	f.balances("crowd", "0 0 0")
}

// failover kills a master with a hold open on it. Its replica has no scripts,
// is looked at, and goes on; the others never stop.
func (f *fixture) failover(c *redistest.Cluster, accounts map[string]string, keys map[string]Credential) {
	f.Helper()
	dead := c.Nodes[0].Addr()
	hold := f.reserve(keys[dead], cost(f, "2"))
	// The test is of a replica that has everything; of one that lags, see the sentinel's.
	acknowledged, err := c.Nodes[0].Client().Wait(f.ctx(), 1, time.Second).Result()
	f.must(err)
	if acknowledged != 1 {
		f.Fatal("the replica does not follow")
	}
	f.awaitReplica(c.Nodes[0].Client(), c.Nodes[3].Client())
	c.Nodes[0].Kill()
	calls := 0
	f.eventually("the dead master's account", func() error {
		for address := range accounts {
			if address == dead {
				continue
			}
			h, err := f.tryReserve(keys[address], cost(f, "0.01"))
			if err != nil {
				f.Fatalf("a shard on another master stopped: %v", err)
			}
			f.settle(h, cost(f, "0.01"))
			calls++
		}
		_, err := f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "1")))
		return err
	})
	if calls == 0 {
		f.Error("nothing was asked of the other masters")
	}
	f.balances(accounts[dead], "8 0 0")
	f.settle(f.reserve(keys[dead], cost(f, "1")), cost(f, "1"))
	f.topup(accounts[dead], Recharge, "5")
	f.balances(accounts[dead], "12 0 0")
	open, err := f.ledger.scripts.areOpen(f.ctx(), c.Nodes[3].Client(), f.ledger.identity)
	f.must(err)
	if !open {
		f.Error("the promoted replica has no scripts: it is not the one that was written to")
	}
}

// awaitReplica waits until a replica has all that its master has.
func (f *fixture) awaitReplica(master, replica *redis.Client) {
	f.Helper()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if at := infoOf(f, master, "master_repl_offset"); at != "" && at == infoOf(f, replica, "slave_repl_offset") {
			return
		}
	}
	f.Fatal("the replica does not catch up")
}
