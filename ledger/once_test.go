package ledger

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/meter"
)

// P2, STICKY: what has ended in one way stays so.

func TestSettleTwiceIsOneCharge(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 300})
		hold := f.reserve(f.key("acme", KeyLimits{SpendTotal: f.nano("5")}), charge(f, "input 1000 2/1M", "output 500 8/1M"))
		s := settlement(hold, charge(f, "input 900 2/1M", "output 100 8/1M"))
		s.AnswerModel, s.Anomalies = "glm-4-0520", []string{"cached_exceeds_input"}
		first, err := f.ledger.Settle(f.ctx(), s)
		f.must(err)
		if first.Repeated {
			f.Error("the first settlement is called a repeat")
		}
		f.topup("acme", Bonus, "1")
		again, err := f.ledger.Settle(f.ctx(), s)
		f.must(err)
		later, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
		f.must(err)
		for name, r := range map[string]*Receipt{"repeated": again, "read later": later} {
			if diff := sameEntry(&first.Entry, &r.Entry); diff != "" {
				f.Errorf("RECEIPT-TRUE, %s: %s", name, diff)
			}
		}
		if !again.Repeated || again.Standing.Bonus != f.nano("1") {
			f.Errorf("repeated %t, standing %+v", again.Repeated, again.Standing)
		}
		if left := again.Standing.KeySpendLeft; left == nil || *left != f.nano("5")-first.FeeDue() {
			f.Errorf("the key has %v left by the repeat", left)
		}
		if n := len(f.entries("acme", TypeCharge)); n != 1 {
			f.Errorf("ONCE: %d charges", n)
		}

		s.Charge = charge(f, "input 901 2/1M", "output 100 8/1M")
		_, err = f.ledger.Settle(f.ctx(), s)
		wants(f, err, ErrConflict)
		_, err = f.ledger.Release(f.ctx(), "acme", hold.ID)
		wants(f, err, ErrConflict)
		wants(f, f.ledger.Extend(f.ctx(), Checkpoint{s}), ErrNotFound)
	})
}

func TestReceiptIsForItsAccount(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("other", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, cost(f, "1"))
	_, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
	wants(t, err, ErrNotFound) // in flight
	f.settle(hold, cost(f, "1"))
	_, err = f.ledger.Receipt(f.ctx(), "other", hold.ID)
	wants(t, err, ErrNotFound)
	_, err = f.ledger.Receipt(f.ctx(), "acme", "nonsense")
	wants(t, err, ErrNotFound)
	released := f.reserve(key, cost(f, "1"))
	f.release(released)
	_, err = f.ledger.Receipt(f.ctx(), "acme", released.ID)
	wants(t, err, ErrNotFound)
}

func TestReserveTwiceIsOneHold(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{RPM: 5, TPM: 1000, Parallel: 1})
		r := f.reservation(key, charge(f, "input 150 0.01"))
		first, err := f.ledger.Reserve(f.ctx(), r)
		f.must(err)
		again, err := f.ledger.Reserve(f.ctx(), r)
		f.must(err)
		if first.Cash != again.Cash || paid(first.Packs) != paid(again.Packs) || !first.PlacedAt.Equal(again.PlacedAt) ||
			!first.Deadline.Equal(again.Deadline) || first.Key != again.Key {
			f.Errorf("first %+v, again %+v", first, again)
		}
		if again.Standing.Requests.Remaining != 4 || f.keyUse(key).Parallel != 1 {
			f.Errorf("counted twice: %+v", again.Standing)
		}
		f.balances("acme", "1 0 0.5")
	})
}

// A reserve that was delayed on its way and runs after its own end places no hold.
func TestReserveAfterTheEnd(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		never := f.reservation(key, cost(f, "1"))
		for range 2 {
			_, err := f.ledger.Release(f.ctx(), "acme", never.ID)
			f.must(err)
		}
		settled := f.reservation(key, cost(f, "1"))
		hold, err := f.ledger.Reserve(f.ctx(), settled)
		f.must(err)
		f.settle(hold, cost(f, "1"))
		swept := f.reservation(key, cost(f, "1"))
		_, err = f.ledger.Reserve(f.ctx(), swept)
		f.must(err)
		f.pass(time.Hour)
		f.sweep()
		for _, r := range []Reservation{never, settled, swept} {
			_, err := f.ledger.Reserve(f.ctx(), r)
			wants(f, err, ErrConflict)
		}
		old := f.reservation(key, cost(f, "1"))
		f.pass(admissible + time.Minute)
		_, err = f.ledger.Reserve(f.ctx(), old)
		wants(f, err, ErrClock)
		f.balances("acme", "9 0 0")
	})
}

// A call that has been released cost nothing: a settlement of it is a mistake.
func TestSettleAfterRelease(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
		f.release(hold)
		f.release(hold)
		_, err := f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "1")))
		wants(f, err, ErrConflict)
		f.balances("acme", "10 0 0")
	})
}

// A settlement is booked without a hold, too: the upstream has been paid.
func TestSettleWithoutHold(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{})
		lost := &Hold{ID: NewRequestID(), Account: "acme", Key: keyID("acme", key.suffix())}
		receipt := f.settle(lost, charge(f, "input 150 0.01"))
		if got := paid(receipt.Paid); got != "pack:p1 100, recharge 0.5" || receipt.Hold != nil {
			f.Errorf("paid %s, hold %v", got, receipt.Hold)
		}
		if use := f.keyUse(key); use.SpendTotal != f.nano("0.5") || use.Parallel != 0 || use.SpendHeld != 0 {
			f.Errorf("use %+v", use)
		}
		stranger := &Hold{ID: NewRequestID(), Account: "nobody"}
		_, err := f.ledger.Settle(f.ctx(), settlement(stranger, cost(f, "1")))
		wants(f, err, ErrNotFound)
		old := &Hold{ID: newID("req_", time.Now().Add(-markerLife-time.Hour)), Account: "acme"}
		_, err = f.ledger.Settle(f.ctx(), settlement(old, cost(f, "1")))
		wants(f, err, ErrConflict)
	})
}

// Every script may run twice, because a client that lost the reply sends it
// again: the books are the same as after one run.
func TestEveryScriptMayRunTwice(t *testing.T) {
	var once, twice string
	t.Run("once", func(t *testing.T) { once = twiceState(t, false) })
	t.Run("twice", func(t *testing.T) { twice = twiceState(t, true) })
	if once != twice {
		t.Errorf("after one run:\n%s\nafter two:\n%s", once, twice)
	}
}

// twiceState goes through everything that writes, each script run twice if
// asked, and returns the outcome as text.
func twiceState(t *testing.T, twice bool) string {
	f := newFixture(t, Options{})
	if twice {
		f.ledger.client.AddHook(sendTwice{})
	}
	f.account("acme", "10", "5", AccountOptions{Split: Equal})
	f.grant(Grant{Account: "acme", Quantity: 1000})
	f.grant(Grant{Account: "acme", Quantity: 1000, Ref: "order 1"})
	key := f.key("acme", KeyLimits{RPM: 100, Parallel: 50, SpendTotal: f.nano("100")})
	f.expiring(7, 30*time.Minute)
	f.refund(f.settle(f.reserve(key, cost(f, "1")), cost(f, "1")).RequestID, "0.5")
	f.refund(f.settle(f.reserve(key, cost(f, "1")), cost(f, "1")).RequestID, "")
	_, err := f.tryAdjust(Bonus, "-0.25")
	f.must(err)
	overdraft := f.nano("3")
	_, err = f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Overdraft: &overdraft})
	f.must(err)
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "0.5"))
	f.settle(f.reserve(key, charge(f, "input 1500 0.001")), charge(f, "input 2500 0.001"))
	f.release(f.reserve(key, cost(f, "1")))
	kept := f.reserve(key, cost(f, "2"))
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(kept, cost(f, "0.25"))}))
	f.reserve(key, cost(f, "1"))
	made := f.reserve(key, cost(f, "1"))
	f.park(made, anyTask, cost(f, "1"))
	f.pass(time.Hour)
	f.sweep()
	f.settle(kept, cost(f, "0.75"))
	_, err = f.ledger.RevokePack(f.ctx(), "acme", "p2", "")
	f.must(err)
	f.must(f.ledger.SuspendAccount(f.ctx(), "acme", ""))
	f.must(f.ledger.ResumeAccount(f.ctx(), "acme", ""))
	_, err = f.ledger.Authenticate(f.ctx(), key, netip.Addr{})
	f.must(err)
	f.must(f.ledger.RevokeKey(f.ctx(), "acme", keyID("acme", key.suffix())))

	var out strings.Builder
	for _, e := range f.entries("acme") {
		out.WriteString(e.ID + " " + e.Type + " " + paid(e.Paid) + "\n")
	}
	a, use := f.read("acme"), f.keyUse(key)
	for _, n := range []meter.Nano{
		a.Wallets[Recharge].Balance, a.Wallets[Bonus].Balance, a.Held, use.SpendTotal, use.SpendHeld,
		meter.Nano(use.Tokens), meter.Nano(use.Requests), meter.Nano(use.Parallel),
	} {
		out.WriteString(n.String() + " ")
	}
	for _, p := range a.Packs {
		out.WriteString(p.ID + " " + p.Status + " " + meter.Nano(p.Remaining).String() + "\n")
	}
	return out.String()
}

// sendTwice runs every script a second time, and shows the caller the second reply.
type sendTwice struct{}

func (sendTwice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (sendTwice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "fcall" {
			if err := next(ctx, cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func (sendTwice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestRefsAreBookedOnce(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "0", "0", AccountOptions{})
		f.account("other", "0", "0", AccountOptions{})
		topup := Topup{Account: "acme", Amount: f.nano("5"), Ref: "invoice 7"}
		first, err := f.ledger.TopUp(f.ctx(), topup)
		f.must(err)
		again, err := f.ledger.TopUp(f.ctx(), topup)
		f.must(err)
		if diff := sameEntry(first, again); diff != "" {
			f.Error(diff)
		}
		topup.Account = "other"
		_, err = f.ledger.TopUp(f.ctx(), topup)
		f.must(err)
		for _, other := range []Topup{
			{Account: "acme", Amount: f.nano("6"), Ref: "invoice 7"},
			{Account: "acme", Amount: f.nano("5"), Ref: "invoice 7", Wallet: Bonus},
		} {
			_, err = f.ledger.TopUp(f.ctx(), other)
			wants(f, err, ErrConflict)
		}
		_, err = f.ledger.GrantPack(f.ctx(), Grant{Account: "acme", Quantity: 5, Ref: "invoice 7"})
		wants(f, err, ErrConflict)
		f.grant(Grant{Account: "acme", Quantity: 5, Ref: "order 1"})
		if p := f.grant(Grant{Account: "acme", Quantity: 5, Ref: "order 1"}); p.ID != "p1" {
			f.Errorf("granted again as %s", p.ID)
		}
		f.topup("acme", Recharge, "1") // without a ref, each is its own
		f.topup("acme", Recharge, "1")
		f.balances("acme", "7 0 0")
		f.balances("other", "5 0 0")
	})
}

func TestAccountIsMadeOnce(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{Split: Equal})
		a, err := f.ledger.CreateAccount(f.ctx(), "acme", AccountOptions{Split: Equal})
		f.must(err)
		if a.Wallets[Recharge].Balance != f.nano("1") {
			f.Errorf("made anew: %+v", a)
		}
		for _, other := range []AccountOptions{{}, {Split: Equal, Overdraft: 1}} {
			_, err = f.ledger.CreateAccount(f.ctx(), "acme", other)
			wants(f, err, ErrConflict)
		}
		for _, id := range []string{"", "Acme", "-a", "a b", "a/b", strings.Repeat("a", 65)} {
			_, err = f.ledger.CreateAccount(f.ctx(), id, AccountOptions{})
			wants(f, err, ErrInvalid)
		}
		_, err = f.ledger.CreateAccount(f.ctx(), "b", AccountOptions{Split: "thirds"})
		wants(f, err, ErrInvalid)
	})
}

func TestTopupIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "9000000000", "0", AccountOptions{})
	for name, topup := range map[string]Topup{
		"nothing": {}, "negative": {Amount: -1}, "wallet": {Amount: 1, Wallet: "cash"}, "too much": {Amount: meter.MaxBalance + 1},
		"more than a wallet holds": {Amount: 1}, "ref": {Amount: 1, Wallet: Bonus, Ref: "a\nb"},
		"ref that is not UTF-8": {Amount: 1, Wallet: Bonus, Ref: "R\xfcckgabe"}, "long ref": {Amount: 1, Wallet: Bonus, Ref: strings.Repeat("退", 513)},
	} {
		topup.Account = "acme"
		if _, err := f.ledger.TopUp(f.ctx(), topup); err == nil {
			t.Errorf("%s: booked", name)
		} else {
			wants(t, err, ErrInvalid)
		}
	}
	_, err := f.ledger.TopUp(f.ctx(), Topup{Account: "acme", Amount: 1, Wallet: Bonus, Ref: strings.Repeat("退", 512)})
	f.must(err)
	_, err = f.ledger.TopUp(f.ctx(), Topup{Account: "nobody", Amount: 1})
	wants(t, err, ErrNotFound)
	f.balances("acme", "9000000000 0.000000001 0")
}

// The bucket of an hour's markers lives as long as they must, and not for ever. A word of an operator that has no reference is
// remembered in it, too, and does not shorten their life.
func TestMarkersOutliveAnOperatorsWord(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.pass(2 * time.Hour) // to a bucket that no word of this test's operator is in
		h := f.reserve(key, cost(f, "1"))
		lives := func() {
			left, err := f.server.Client().PTTL(f.ctx(), f.markerOf(h)).Result()
			f.must(err)
			if left < markerLife+30*time.Minute || left > markerLife+3*time.Hour {
				f.Errorf("the bucket lives %s, and a marker at its hour's end must live %s", left, markerLife)
			}
		}
		f.settle(h, cost(f, "1"))
		lives()
		f.topup("acme", Recharge, "1")
		lives()
	})
}

// The answer to an operator's word is lost: it is booked once, and its error says that it may be.
func TestWordWhoseAnswerWasLost(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	for name, say := range map[string]func(l *Ledger) error{
		"topup": func(l *Ledger) error {
			_, err := l.TopUp(f.ctx(), Topup{Account: "acme", Amount: f.nano("5")})
			return err
		},
		"suspend": func(l *Ledger) error { return l.SuspendAccount(f.ctx(), "acme", "late") },
	} {
		silent, address := dropReplies(t, f.server.Addr())
		l, err := Open(f.ctx(), Options{URL: "redis://" + address, Shards: 1})
		f.must(err)
		t.Cleanup(func() { _ = l.Close() })
		silent.Store(true)
		err = say(l)
		if wants(t, err, ErrUnavailable); !errors.Is(err, ErrUncertain) {
			t.Errorf("%s: %v, want ErrUncertain beside it", name, err)
		}
	}
	f.balances("acme", "15 0 0")
	if a := f.read("acme"); a.Status != "suspended" {
		t.Errorf("status %s", a.Status)
	}
	if _, err := f.ledger.TopUp(f.ctx(), Topup{Account: "nobody", Amount: 1}); errors.Is(err, ErrUncertain) {
		t.Errorf("%v: a refusal is certain", err)
	}
}
