package ledger

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// expiring grants a pack that ends in so long.
func (f *fixture) expiring(quantity int64, in time.Duration) *Pack {
	f.Helper()
	at := f.ledger.now().Add(in)
	return f.grant(Grant{Account: "acme", Quantity: quantity, ExpiresAt: &at})
}

func (f *fixture) packStatus(id, want string) {
	f.Helper()
	packs, err := f.ledger.Packs(f.ctx(), "acme")
	f.must(err)
	for _, p := range packs {
		if p.ID == id && p.Status != want {
			f.Errorf("pack %s is %s, want %s", id, p.Status, want)
		}
	}
}

// A charge that Redis has lost is paid by the pack of which the client was told, though the pack's time is over before
// the log is replayed: until then nobody sweeps.
func TestPackOutlivesItsTimeUntilTheReplay(t *testing.T) {
	p, l := newLogged(t, Options{})
	pack := p.expiring(100, time.Hour)
	before := p.snapshot()
	hold := p.reserveOn(l, charge(t, "input 100 0.01"))
	_, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 100 0.01")))
	p.must(err)
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.pass(2 * time.Hour)
	swept, err := p.ledger.sweep(p.ctx(), func() bool { return false })
	p.must(err)
	if swept.Expired != 0 {
		t.Errorf("swept %+v while logs may not have been replayed", swept)
	}
	p.start(Options{})
	receipt, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
	p.must(err)
	if got := paid(receipt.Paid); got != "pack:"+pack.ID+" 100" || receipt.FeeDue() != 0 {
		t.Errorf("paid %s, fee %s: the client was told that the pack pays", got, receipt.FeeDue())
	}
}

func TestPackExpires(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.expiring(100, time.Hour)
		f.expiring(50, 3*time.Hour)
		f.grant(Grant{Account: "acme", Quantity: 7})
		f.settle(f.reserve(key, charge(f, "input 30 0.001")), charge(f, "input 30 0.001"))
		f.pass(time.Hour - time.Minute)
		if s := f.sweep(); s != (Swept{}) {
			f.Errorf("swept %+v before the time", s)
		}
		f.pass(2 * time.Minute)
		f.packStatus("p1", "expired")
		f.pack("acme", "p1", 70, 70)
		if s := f.sweep(); s != (Swept{Expired: 1}) {
			f.Errorf("swept %+v", s)
		}
		if s := f.sweep(); s != (Swept{}) {
			f.Errorf("swept again: %+v", s)
		}
		f.pack("acme", "p1", 0, 0)
		f.packStatus("p1", "expired")
		f.pack("acme", "p2", 50, 50)
		list := f.entries("acme", TypeExpire)
		if len(list) != 1 || list[0].Pack != "p1" || *list[0].Quantity != -70 || after(list[0], "pack:p1") != int64(0) || list[0].Reason != "past its expiry" {
			f.Errorf("entries %+v", list)
		}
		f.pass(2 * time.Hour)
		if s := f.sweep(); s != (Swept{Expired: 1}) {
			f.Errorf("swept %+v", s)
		}
		f.pack("acme", "p3", 7, 7)
	})
}

// What requests in flight hold of a pack stays with them when it expires; what comes back from them goes then.
func TestPackExpiresWhileHeld(t *testing.T) {
	for name, end := range map[string]struct {
		with      func(f *fixture, h *Hold)
		quantity  int64
		remaining int64
	}{
		"less is used": {func(f *fixture, h *Hold) { f.settle(h, charge(f, "input 20 0.001")) }, -40, 0},
		"one less":     {func(f *fixture, h *Hold) { f.settle(h, charge(f, "input 59 0.001")) }, -1, 0},
		"all is used":  {func(f *fixture, h *Hold) { f.settle(h, charge(f, "input 60 0.001")) }, 0, 0},
		"more is used": {func(f *fixture, h *Hold) {
			if r := f.settle(h, charge(f, "input 90 0.001")); paid(r.Paid) != "pack:p1 60, recharge 0.03" {
				f.Errorf("paid %s", paid(r.Paid))
			}
		}, 0, 0},
		"released": {func(f *fixture, h *Hold) { f.release(h) }, -60, 0},
		"swept":    {func(f *fixture, h *Hold) { f.pass(time.Hour); f.sweep() }, -60, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Hour})
			f.account("acme", "1", "0", AccountOptions{})
			f.expiring(100, 10*time.Minute)
			hold := f.reserve(f.key("acme", KeyLimits{}), charge(f, "input 60 0.001"))
			f.pass(11 * time.Minute)
			if s := f.sweep(); s != (Swept{Expired: 1, Open: 1}) {
				t.Errorf("swept %+v", s)
			}
			f.pack("acme", "p1", 60, 0)
			end.with(f, hold)
			f.pack("acme", "p1", end.remaining, end.remaining)
			f.sweep()
			var last int64
			list := f.entries("acme", TypeExpire)
			if len(list) > 1 {
				last = *list[1].Quantity
			}
			if *list[0].Quantity != -40 || last != end.quantity || len(list) > 2 {
				t.Errorf("expired %d, then %d in %d entries; want -40, then %d", *list[0].Quantity, last, len(list), end.quantity)
			}
		})
	}
}

// Before a sweeper came by, a request in flight may use more of the pack than
// it held; what was free and it leaves goes with the sweeper, once.
func TestSettleBeforeTheSweeper(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.expiring(100, 10*time.Minute)
		hold := f.reserve(key, charge(f, "input 60 0.001"))
		f.pass(11 * time.Minute)
		if got := paid(f.settle(hold, charge(f, "input 80 0.001")).Paid); got != "pack:p1 80" {
			f.Errorf("paid %s", got)
		}
		f.pack("acme", "p1", 20, 20)
		for _, want := range []Swept{{Expired: 1}, {}} {
			if s := f.sweep(); s != want {
				f.Errorf("swept %+v, want %+v", s, want)
			}
		}
		f.pack("acme", "p1", 0, 0)
		if list := f.entries("acme", TypeExpire); len(list) != 1 || *list[0].Quantity != -20 {
			f.Errorf("entries %+v", list)
		}
	})
}

// A revoked pack is withdrawn once, and does not expire.
func TestRevokedPackDoesNotExpire(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	f.expiring(100, time.Minute)
	_, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "sent back")
	f.must(err)
	f.pass(time.Hour)
	if s := f.sweep(); s != (Swept{}) {
		t.Errorf("swept %+v", s)
	}
	f.packStatus("p1", "revoked")
}

// Whether its time has passed is decided where the pack is ended: a sweeper whose list is by another
// clock, as before a failover, neither ends it early nor makes it be forgotten.
func TestPackIsNotExpiredEarly(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	f.expiring(1, time.Minute)
	var swept Swept
	f.must(f.ledger.expireOne(f.ctx(), f.ledger.shardOf("acme"), "acme", "p1", &swept))
	if f.pack("acme", "p1", 1, 1); swept != (Swept{}) {
		t.Errorf("swept %+v before the time", swept)
	}
	f.pass(time.Hour)
	if s := f.sweep(); s != (Swept{Expired: 1}) {
		t.Errorf("swept %+v", s)
	}
}

// What the list of expiries has without need does no harm, and goes: a pack or an account that is not there.
func TestStraysAmongExpiries(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "1", "0", AccountOptions{})
	shard := f.ledger.shardOf("acme")
	list := f.ledger.expiryKey(shard)
	for _, stray := range []string{"acme p9", "nobody p1"} {
		f.must(f.ledger.client.ZAdd(f.ctx(), list, redis.Z{Score: 1, Member: stray}).Err())
		account, pack, _ := strings.Cut(stray, " ")
		var swept Swept
		f.must(f.ledger.expireOne(f.ctx(), shard, account, pack, &swept))
		if left := f.ledger.client.ZCard(f.ctx(), list).Val(); left != 0 || swept != (Swept{}) {
			t.Errorf("%s: swept %+v, %d left", stray, swept, left)
		}
	}
	packs, err := f.ledger.Packs(f.ctx(), "acme")
	f.must(err)
	if len(packs) != 0 || len(f.entries("acme", TypeExpire)) != 0 {
		t.Errorf("packs %+v, entries %+v", packs, f.entries("acme", TypeExpire))
	}
}

func TestExpiryIsBounded(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "1", "0", AccountOptions{})
	for range sweepBatch + 3 {
		f.expiring(5, time.Minute)
	}
	f.pass(time.Hour)
	if s := f.sweep(); s != (Swept{Expired: sweepBatch}) {
		t.Errorf("first round: %+v", s)
	}
	if s := f.sweep(); s != (Swept{Expired: 3}) {
		t.Errorf("second round: %+v", s)
	}
}

// Sweepers that race expire each pack once.
func TestExpiryRace(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	other := f.open(Options{Shards: 1})
	f.account("acme", "1", "0", AccountOptions{})
	for range 30 {
		f.expiring(5, time.Minute)
	}
	f.pass(time.Hour)
	other.clockOffset.Store(f.ledger.clockOffset.Load())
	var wg sync.WaitGroup
	var swept [2]Swept
	for i, l := range []*Ledger{f.ledger, other} {
		wg.Go(func() {
			var err error
			if swept[i], err = l.Sweep(f.ctx()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if swept[0].Expired+swept[1].Expired != 30 || len(f.entries("acme", TypeExpire)) != 30 {
		t.Errorf("swept %+v, %d entries", swept, len(f.entries("acme", TypeExpire)))
	}
}
