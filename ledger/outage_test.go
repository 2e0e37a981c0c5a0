package ledger

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// The script cache dies with the server's process. Whoever meets that looks at
// the server before it writes to it, and then goes on.
func TestScriptsAreLoadedAgainAfterARestart(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, cost(f, "1"))
	f.server.Kill()
	_, err := f.tryReserve(key, cost(f, "1"))
	wants(t, err, ErrUnavailable)
	wants(t, f.ledger.Ready(f.ctx()), ErrUnavailable)
	f.server.Start()
	f.settle(hold, cost(f, "1"))
	f.must(f.ledger.Ready(f.ctx()))
	f.balances("acme", "9 0 0")
}

// A server that comes back without all that had been written is not written to.
func TestGoneBackInTime(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithAOF("always"))
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	shard := f.ledger.shardOf("acme")
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	back := f.ledger.heads[shard].Load() - 1
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.metaKey(shard), "seq", back).Err())

	for range 2 {
		_, err := f.tryReserve(key, cost(f, "1"))
		wants(t, err, ErrUnavailable)
		if !strings.Contains(err.Error(), "back in time") {
			t.Errorf("error %v does not say why", err)
		}
		f.server.Kill()
		f.server.Start() // NOSCRIPT, and the same answer
	}
	// A process that has seen nothing cannot know: that takes the archive.
	f.open(Options{})
}

// An emptied ledger is away. It is never a wrong key.
func TestEmptied(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.broken = true
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		hold := f.reserve(key, cost(f, "1"))
		for _, flush := range []func() error{
			func() error { return f.server.Client().FlushAll(f.ctx()).Err() },
			func() error { return f.ledger.scripts.close(f.ctx(), f.server.Client()) },
			func() error { // another ledger moves in
				_, err := Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY", Shards: 4})
				return err
			},
		} {
			f.must(flush())
			_, err := f.tryReserve(key, cost(f, "1"))
			wants(f, err, ErrUnavailable)
			_, err = f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "1")))
			wants(f, err, ErrUnavailable)
			_, err = f.ledger.Account(f.ctx(), "acme")
			wants(f, err, ErrUnavailable)
			wants(f, f.ledger.Ready(f.ctx()), ErrUnavailable)
		}
	})
}

// One shard that has lost its meta makes the ledger unfit to be opened.
func TestOpenWantsAWholeLedger(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true
	f.must(f.server.Client().Del(f.ctx(), f.ledger.metaKey(2)).Err())
	_, err := Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY"})
	wants(t, err, ErrUnavailable)
}

func TestOpenChecksWhatIsRecorded(t *testing.T) {
	f := newFixture(t, Options{Shards: 4})
	for name, o := range map[string]Options{
		"shards": {Shards: 8}, "currency": {Currency: "USD"}, "policy": {OnAbandoned: "forget"}, "many shards": {Shards: maxShards + 1},
		"hold TTL": {HoldTTL: 25 * time.Hour},
	} {
		o.URL = f.server.URL()
		_, err := Open(f.ctx(), o)
		if err == nil {
			t.Errorf("%s: opened", name)
		}
		wants(t, err, ErrInvalid)
	}
	l, err := Open(f.ctx(), Options{URL: f.server.URL()})
	f.must(err)
	defer l.Close()
	if len(l.tags) != 4 || l.Currency() != "CNY" {
		t.Errorf("%d shards in %s", len(l.tags), l.Currency())
	}
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	f.broken = true
	_, err = Open(f.ctx(), Options{URL: f.server.URL()})
	wants(t, err, ErrInvalid) // a new ledger wants a currency
}

// Several processes may make the ledger at once; it is one all the same.
func TestOpenAtOnce(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.server.Flush()
		f.broken = true
		identities := make(chan string, 8)
		for range cap(identities) {
			go func() {
				l, err := Open(f.ctx(), Options{URL: f.server.URL(), Currency: "EUR", Shards: 16})
				if err != nil {
					f.Error(err)
					identities <- err.Error()
					return
				}
				identities <- l.identity
				_ = l.Close()
			}()
		}
		first := <-identities
		for range cap(identities) - 1 {
			if id := <-identities; id != first {
				f.Errorf("identity %s and %s", id, first)
			}
		}
	})
}

// A ledger that is away fails fast, and one that hangs in bounded time.
func TestAwayFailsFast(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithAOF("no"))
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.server.Pause()
	ctx, cancel := context.WithTimeout(f.ctx(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := f.ledger.Reserve(ctx, f.reservation(key, cost(f, "1")))
	wants(t, err, ErrUnavailable)
	if took := time.Since(start); took > dialTimeout {
		t.Errorf("a hanging ledger took %s, the deadline was 50ms", took)
	}
	f.server.Resume()
	f.server.Kill()
	for range 20 {
		start = time.Now()
		_, err = f.tryReserve(key, cost(f, "1"))
		wants(t, err, ErrUnavailable)
		if took := time.Since(start); took > dialTimeout {
			t.Errorf("a refused connection took %s", took)
		}
	}
	_, err = Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY"})
	wants(t, err, ErrUnavailable)
}

// Nobody waits for a ledger that is known to be away: neither a call's hold nor who asks whose a key is.
func TestNobodyAsksALedgerThatIsAway(t *testing.T) {
	var asked []string
	f := newFixture(t, Options{Observe: func(op string, _ time.Duration, _ error) { asked = append(asked, op) }})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	asked = nil
	circuits := f.ledger.circuits
	circuits.of(f.ledger.shardOf("acme")).until.Store(time.Now().Add(time.Hour).UnixNano())
	_, err := f.tryReserve(key, cost(f, "1"))
	wants(t, err, ErrUnavailable)
	_, err = f.ledger.Authenticate(f.ctx(), key, netip.Addr{})
	wants(t, err, ErrUnavailable)
	if len(asked) > 0 {
		t.Errorf("it was asked: %v", asked)
	}
	// Where nobody watches, one caller finds out now and then, and no other waits for that.
	circuits.of(f.ledger.shardOf("acme")).until.Store(time.Now().Add(-time.Second).UnixNano())
	if first, second := circuits.away(f.ledger.shardOf("acme")), circuits.away(f.ledger.shardOf("acme")); first || !second {
		t.Errorf("away for the first caller: %t, for the second: %t", first, second)
	}
	circuits.of(f.ledger.shardOf("acme")).until.Store(0)
}

// A Redis that is full refuses admission, and books settlements all the same.
func TestFullMemoryStopsAdmissionNeverSettlement(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithConfig("--maxmemory-policy", "noeviction"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	settled, released, swept := f.reserve(key, cost(f, "1")), f.reserve(key, cost(f, "1")), f.reserve(key, cost(f, "1"))
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "1").Err())
	_, err := f.tryReserve(key, cost(f, "1"))
	wants(t, err, ErrUnavailable)
	f.settle(settled, cost(f, "1"))
	f.release(released)
	f.abandoned(swept, cost(f, "0.5"))
	f.balances("acme", "8.5 0 0")
}

// A Redis that suddenly is another ledger's is away, however long its journal is.
func TestAnotherLedgersShard(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.broken = true
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		shard := f.ledger.shardOf("acme")
		f.must(f.server.Client().HSet(f.ctx(), f.ledger.metaKey(shard), "id", "ledger_of_somebody_else", "seq", 1000).Err())
		_, err := f.tryReserve(key, cost(f, "1"))
		wants(f, err, ErrUnavailable)
		wants(f, f.ledger.Ready(f.ctx()), ErrUnavailable)
	})
}

// The library is in the append-only file, so a server that comes up anew has it; but it is closed, until somebody has
// verified the server.
func TestLibraryIsClosedAfterARestart(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	for _, restart := range []func(){f.server.Kill, f.server.Stop} {
		restart()
		f.server.Start()
		state, err := f.ledger.scripts.state(f.ctx(), f.server.Client(), f.ledger.identity)
		f.must(err)
		if state != libraryClosed {
			t.Errorf("after a restart the library is in state %d, want it there and closed", state)
		}
		err = f.server.Client().Process(f.ctx(), f.ledger.scripts.receipt.command(f.ctx(), f.ledger.keysOf(0, "acme", 0), f.ledger.args(0)))
		if !isNoScript(err) {
			t.Errorf("a closed library answers %v", err)
		}
		f.topup("acme", Bonus, "1") // opens it
	}
	f.balances("acme", "10 2 0")
}
