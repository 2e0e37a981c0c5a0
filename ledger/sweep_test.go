package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tollgate/tollgate/internal/redistest"
)

// RESOLVE: every hold ends. What had been delivered by the last checkpoint is
// charged; without one, the hold is given back.
func TestSweep(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{TPM: 100_000})
		silent := f.reserve(key, charge(f, "input 50 0.01"))
		heard := f.reserve(key, charge(f, "input 50 0.01", "output 100 0.02"))
		f.pass(time.Second) // so that the silent one's deadline is the earlier, and it gives its tokens back first
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(heard, charge(f, "input 50 0.01", "output 1 0.02"))}))
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(heard, charge(f, "input 50 0.01", "output 30 0.02"))}))
		f.pack("acme", "p1", 100, 0)
		f.pass(defaultHoldTTL - 2*time.Second)
		alive := f.reserve(key, cost(f, "1"))
		if s := f.sweep(); s != (Swept{Open: 3}) {
			f.Errorf("swept %+v before any deadline", s)
		}
		f.pass(3 * time.Second)
		if s := f.sweep(); s != (Swept{Abandoned: 1, Released: 1, Open: 1}) {
			f.Errorf("swept %+v", s)
		}
		if s := f.sweep(); s != (Swept{Open: 1}) {
			f.Errorf("swept again: %+v", s)
		}
		f.pack("acme", "p1", 20, 20)
		list := f.entries("acme", TypeAbandon)
		if len(list) != 1 || list[0].RequestID != heard.ID || list[0].tokens() != 80 {
			f.Errorf("abandoned %+v", list)
		}
		if use := f.keyUse(key); use.Parallel != 1 || use.SpendHeld != f.nano("1") || use.Tokens != 80 || use.TokensHeld != 0 {
			f.Errorf("use %+v", use)
		}
		receipt, err := f.ledger.Receipt(f.ctx(), "acme", heard.ID)
		f.must(err)
		if receipt.Type != TypeAbandon {
			f.Errorf("receipt of type %s", receipt.Type)
		}
		_, err = f.ledger.Receipt(f.ctx(), "acme", silent.ID)
		wants(f, err, ErrNotFound)
		f.release(alive)
	})
}

// A heartbeat moves the deadline.
func TestExtend(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
		for range 5 {
			f.pass(defaultHoldTTL - time.Minute)
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, cost(f, "0.1"))}))
			if s := f.sweep(); s != (Swept{Open: 1}) {
				f.Errorf("swept %+v", s)
			}
		}
		f.settle(hold, cost(f, "0.5"))
		wants(f, f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, cost(f, "0.1"))}), ErrNotFound)
		f.pass(time.Hour)
		if s := f.sweep(); s != (Swept{}) {
			f.Errorf("swept %+v", s)
		}
		f.balances("acme", "9.5 0 0")
	})
}

// What is charged of a checkpoint is all of its lines, wherever those stand that cost nothing.
func TestSweepChargesEveryLine(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for _, lines := range [][]string{{"input 10 0.1", "output 0 0.2"}, {"output 0 0.2", "input 10 0.1"}} {
		hold := f.reserve(key, cost(t, "2"))
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, charge(t, lines...))}))
	}
	f.pass(time.Hour)
	f.sweep()
	f.balances("acme", "8 0 0")
}

func TestSweepPolicies(t *testing.T) {
	for policy, want := range map[string]Swept{
		ReleaseAbandoned: {Released: 1},
		HoldAbandoned:    {Kept: 1, Open: 1},
	} {
		t.Run(policy, func(t *testing.T) {
			f := newFixture(t, Options{OnAbandoned: policy})
			f.account("acme", "10", "0", AccountOptions{})
			hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, cost(f, "0.1"))}))
			f.pass(time.Hour)
			if s := f.sweep(); s != want {
				t.Errorf("swept %+v, want %+v", s, want)
			}
			f.settle(hold, cost(f, "1"))
			f.balances("acme", "9 0 0")
		})
	}
}

// A call that settles after the sweeper gave its hold back is charged, by the
// packs that it had held.
func TestSettleAfterSweptRelease(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		expires := time.Now().Add(2 * time.Hour)
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100, ExpiresAt: &expires})
		key := f.key("acme", KeyLimits{})
		hold := f.reserve(key, charge(f, "input 60 0.01"))
		f.pass(time.Hour)
		f.sweep()
		f.grant(Grant{Account: "acme", Quantity: 1000, Priority: -1}) // too late for this call
		for range 2 {
			if got := paid(f.settle(hold, charge(f, "input 120 0.01")).Paid); got != "pack:p1 100, recharge 0.2" {
				f.Errorf("paid %s", got)
			}
		}
		f.balances("acme", "9.8 0 0")
		if use := f.keyUse(key); use.Parallel != 0 || use.Requests != 1 || use.TokensHeld != 0 {
			f.Errorf("use %+v", use)
		}
	})
}

// A call that settles after the sweeper charged it: that charge is refunded to
// the very packs and wallets, and the true one booked, in two dense entries.
func TestSettleAfterAbandon(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "6", "4", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{SpendTotal: f.nano("100")})
		hold := f.reserve(key, charge(f, "input 300 0.01"))
		f.abandoned(hold, charge(f, "input 200 0.01"))
		f.pack("acme", "p1", 0, 0)
		f.balances("acme", "5.4 3.6 0")
		var receipt *Receipt
		for range 2 {
			receipt = f.settle(hold, charge(f, "input 250 0.01"))
		}
		if got := paid(receipt.Paid); got != "pack:p1 100, bonus 0.6, recharge 0.9" {
			f.Errorf("paid %s", got)
		}
		f.balances("acme", "5.1 3.4 0")
		if use := f.keyUse(key); use.SpendTotal != f.nano("1.5") || use.SpendDaily != f.nano("1.5") || use.Tokens != 250 || use.Requests != 1 {
			f.Errorf("use %+v", use)
		}
		list := f.entries("acme", TypeAbandon, TypeRefund, TypeCharge)
		if len(list) != 3 || list[1].Type != TypeRefund || list[1].seq()+1 != list[2].seq() || *list[1].Fee != *list[0].Fee {
			f.Errorf("entries %+v", list)
		}
		read, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
		f.must(err)
		if read.ID != receipt.ID || read.Type != TypeCharge {
			f.Errorf("receipt %+v", read.Entry)
		}
		// Who settles need not say whose key it was.
		hold = f.reserve(key, cost(f, "1"))
		f.abandoned(hold, cost(f, "0.5"))
		f.settle(&Hold{ID: hold.ID, Account: "acme"}, cost(f, "1"))
		if use := f.keyUse(key); use.SpendTotal != f.nano("2.5") || use.Requests != 2 {
			f.Errorf("use %+v", use)
		}
	})
}

// A call that is released after the sweeper charged it cost nothing after all.
func TestReleaseAfterAbandon(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "6", "4", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{SpendTotal: f.nano("100")})
		hold := f.reserve(key, charge(f, "input 300 0.01"))
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, charge(f, "input 200 0.01"))}))
		f.pass(48 * time.Hour)
		f.sweep()
		_, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "")
		f.must(err)
		for range 2 {
			f.release(hold)
		}
		f.balances("acme", "6 4 0")
		f.pack("acme", "p1", 0, 0) // it came back, and was withdrawn with the rest
		if use := f.keyUse(key); use.SpendTotal != 0 || use.Tokens != 0 || use.Requests != 0 {
			f.Errorf("use %+v", use)
		}
		_, err = f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "1")))
		wants(f, err, ErrConflict)
	})
}

// A sweep is bounded a round, and comes to an end over several.
func TestSweepIsBounded(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range sweepBatch + 5 {
		f.reserve(key, cost(f, "0.001"))
	}
	f.pass(time.Hour)
	if s := f.sweep(); s != (Swept{Released: sweepBatch, Open: 5}) {
		t.Errorf("first round: %+v", s)
	}
	if s := f.sweep(); s != (Swept{Released: 5}) {
		t.Errorf("second round: %+v", s)
	}
	f.balances("acme", "10 0 0")
}

func TestRunSweeperEndsWithItsContext(t *testing.T) {
	f := newFixture(t, Options{HoldTTL: time.Millisecond})
	f.account("acme", "10", "0", AccountOptions{})
	f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
	ctx, cancel := context.WithCancel(f.ctx())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ledger.RunSweeper(ctx, time.Millisecond)
	}()
	for f.read("acme").Held != 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

// Where Redis does not tell how long it has run, nothing is swept, and that is said: the holds of dead proxies stay.
func TestSweeperThatCannotAskSaysSo(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	f := newFixture(t, Options{HoldTTL: time.Millisecond, Logger: zap.New(core)})
	f.account("acme", "10", "0", AccountOptions{})
	f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
	f.must(f.server.Client().Do(f.ctx(), "ACL", "SETUSER", "default", "-info").Err())
	ctx, cancel := context.WithCancel(f.ctx())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ledger.RunSweeper(ctx, time.Millisecond)
	}()
	eventually(t, "it is said why", func() bool {
		for _, line := range logged.FilterMessageSnippet("no hold or pack is swept").All() {
			if why, _ := line.ContextMap()["error"].(string); strings.Contains(why, "NOPERM") {
				return true
			}
		}
		return false
	})
	if f.read("acme").Held == 0 {
		t.Error("it is swept all the same")
	}
	f.must(f.server.Client().Do(f.ctx(), "ACL", "SETUSER", "default", "+info").Err())
	eventually(t, "it is swept", func() bool { return f.read("acme").Held == 0 })
	cancel()
	<-done
}

// Two sweepers race for the same holds: each hold ends once.
func TestSweepersRace(t *testing.T) {
	f := newFixture(t, Options{Shards: 1}, redistest.WithConfig("--appendonly", "no"))
	other := f.open(Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range 50 {
		hold := f.reserve(key, cost(f, "0.1"))
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, cost(f, "0.05"))}))
	}
	f.pass(time.Hour)
	other.clockOffset.Store(f.ledger.clockOffset.Load())
	results := make(chan Swept, 2)
	for _, l := range []*Ledger{f.ledger, other} {
		go func() {
			s, err := l.Sweep(f.ctx())
			if err != nil {
				t.Error(err)
			}
			results <- s
		}()
	}
	if first, second := <-results, <-results; first.Abandoned+second.Abandoned != 50 {
		t.Errorf("swept %+v and %+v", first, second)
	}
	f.balances("acme", "7.5 0 0")
}

// Whether a hold is due is decided by the script that ends it: a heartbeat may
// have come after the sweeper saw it on its list.
func TestSweepAsksTheClockAgain(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
		f.pass(defaultHoldTTL - time.Second)
		var swept Swept
		f.must(f.ledger.sweepOne(f.ctx(), f.ledger.shardOf("acme"), "acme", hold.ID, &swept))
		if swept != (Swept{}) {
			f.Errorf("swept %+v before its deadline", swept)
		}
		f.balances("acme", "10 0 1")
		f.release(hold)
	})
}

// A Redis that is away is told of once, and not by each shard.
func TestSweepOfAnAwayRedisIsShort(t *testing.T) {
	f := newFixture(t, Options{Shards: 8}, redistest.WithConfig("--save", ""))
	f.broken = true
	f.server.Kill()
	_, err := f.ledger.Sweep(f.ctx())
	wants(t, err, ErrUnavailable)
	if n := strings.Count(err.Error(), ErrUnavailable.Error()); n != 1 {
		t.Errorf("said %d times: %v", n, err)
	}
}
