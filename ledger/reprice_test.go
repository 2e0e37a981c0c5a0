package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/meter"
)

// reprice prices the charges of acme anew, each as price says, and returns those that came to another fee.
func (f *fixture) reprice(q Repricing, price func(*Entry) (meter.Charge, error)) (list []*Repriced, sum RepricedSum) {
	f.Helper()
	q.Account, q.Reason = "acme", "the table was wrong"
	sum, err := f.ledger.Reprice(f.ctx(), q, price, func(r *Repriced) { list = append(list, r) })
	f.must(err)
	return list, sum
}

// at prices everything by these lines.
func at(t testing.TB, lines ...string) func(*Entry) (meter.Charge, error) {
	c := charge(t, lines...)
	return func(*Entry) (meter.Charge, error) { return c, nil }
}

// The cash of a charge changes, and nothing else: packs have paid what they
// paid, what is less goes back pro rata, what is more is laid on the wallets.
func TestReprice(t *testing.T) {
	for _, c := range []struct {
		name, rate      string
		paid, balances  string
		fee, spend      string
		tokens, request int64
	}{
		{"dearer", "0.002", "pack:p1 100, bonus 0.72, recharge 1.08", "4.92 3.28 0", "1.8", "1.8", 1000, 1},
		{"cheaper", "0.0005", "pack:p1 100, bonus 0.18, recharge 0.27", "5.73 3.82 0", "0.45", "0.45", 1000, 1},
		{"cheaper, not even", "0.000000001", "pack:p1 100, bonus 0.00000036, recharge 0.00000054", "5.99999946 3.99999964 0", "0.0000009", "0.0000009", 1000, 1},
		{"free", "0", "pack:p1 100", "6 4 0", "0", "0", 1000, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			onRealRedis(t, func(f *fixture) {
				key, receipt := f.refundFixture()
				list, sum := f.reprice(Repricing{}, at(f, "input 1000 "+c.rate))
				if len(list) != 1 || sum.Charges != 1 || sum.Repriced != 1 || sum.Before != f.nano("0.9") || sum.After != f.nano(c.fee) || list[0].Left != nil {
					t.Fatalf("%d repriced, %+v", len(list), sum)
				}
				e := list[0].Entry
				if got := paid(e.Paid); got != c.paid || e.FeeDue() != f.nano(c.fee) || list[0].Fee != f.nano(c.fee) {
					t.Errorf("paid %s, fee %s, told %s; want %s, %s", got, e.FeeDue(), list[0].Fee, c.paid, c.fee)
				}
				if e.Type != TypeCharge || e.RequestID != receipt.RequestID || e.Key != receipt.Key || e.Reason != "the table was wrong" ||
					e.Model != "glm-4" || e.Upstream != receipt.Upstream || !e.At.Equal(receipt.At) || *e.Hold != *receipt.Hold || len(e.Lines) != 1 || e.Lines[0].PackQuantity != 100 {
					t.Errorf("entry %s", entryText(f, e))
				}
				f.balances("acme", c.balances)
				f.pack("acme", "p1", 0, 0)
				use := f.keyUse(key)
				if use.SpendTotal != f.nano(c.spend) || use.SpendDaily != f.nano(c.spend) || use.SpendMonthly != f.nano(c.spend) || use.Tokens != c.tokens || use.Requests != c.request {
					t.Errorf("use %+v", use)
				}
				again, err := f.ledger.Receipt(f.ctx(), "acme", receipt.RequestID)
				f.must(err)
				if again.ID != e.ID {
					t.Errorf("the receipt is %s, want %s", again.ID, e.ID)
				}
				bill := f.bill("acme")
				if bill.Fee != f.nano(c.fee) || len(bill.Lines) != 1 || bill.Lines[0].Requests != 1 || bill.Lines[0].Usage["input"] != 1000 || bill.Lines[0].PackQuantity != 100 {
					t.Errorf("bill %+v", bill)
				}
				f.audit()
				if list, sum := f.reprice(Repricing{}, at(f, "input 1000 "+c.rate)); len(list) != 0 || sum.Charges != 1 {
					t.Errorf("again: %d repriced, %+v", len(list), sum)
				}
				list, _ = f.reprice(Repricing{}, at(f, "input 1000 0.001"))
				if len(list) != 1 {
					t.Fatalf("back: %d repriced", len(list))
				}
				f.balances("acme", "5.46 3.64 0")
				f.audit()
			})
		})
	}
}

// What is less goes back to bonus by its share, rounded down.
func TestRepriceRoundsForTheAccount(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "2", "1", AccountOptions{})
	f.settle(f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 1 1")), charge(t, "input 1 1"))
	f.balances("acme", "1.333333333 0.666666667 0")
	f.reprice(Repricing{}, at(t, "input 1 0.5")) // the half of 333333333 nano
	f.balances("acme", "1.666666667 0.833333333 0")
	f.audit()
}

// A charge that is of other quantities at its new price counts as that for its key, and when that is refunded for nothing.
func TestRepriceCountsTheTokens(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	r := f.settle(f.reserve(key, charge(t, "input 7 0.1")), charge(t, "input 7 0.1"))
	for _, c := range []struct {
		line   string
		tokens int64
	}{{"call 1 2", 0}, {"input 9 0.1", 9}} {
		if left := f.leftOf(r, at(t, c.line)); left != nil {
			t.Error(left)
		}
		if use := f.keyUse(key); use.Tokens != c.tokens || use.Requests != 1 {
			t.Errorf("%s: use %+v", c.line, use)
		}
		f.audit()
	}
	f.refund(r.RequestID, "")
	if use := f.keyUse(key); use != (KeyUse{}) {
		t.Errorf("use %+v", use)
	}
}

// A dry run books nothing, and says what would be.
func TestRepriceDryRun(t *testing.T) {
	f := newFixture(t, Options{})
	_, receipt := f.refundFixture()
	list, sum := f.reprice(Repricing{DryRun: true}, at(f, "input 1000 0.002"))
	if len(list) != 1 || list[0].Entry != nil || list[0].Fee != f.nano("1.8") || sum.After-sum.Before != f.nano("0.9") {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}
	f.balances("acme", "5.46 3.64 0")
	if again, err := f.ledger.Receipt(f.ctx(), "acme", receipt.RequestID); err != nil || again.ID != receipt.ID {
		t.Errorf("the receipt is %v, %v", again, err)
	}
}

// What had no price was paid by nobody: packs pay it now, and then the wallets.
func TestRepriceOfTheUnpriced(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "6", "4", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		unpriced := meter.Charge{Lines: []meter.Line{{Dimension: meter.Input, Quantity: 1000, Unpriced: true}}, PriceVersion: "test"}
		f.settle(f.reserve(key, meter.Charge{}), unpriced)
		f.grant(Grant{Account: "acme", Quantity: 400})
		list, _ := f.reprice(Repricing{}, at(f, "input 1000 0.001"))
		if len(list) != 1 || list[0].Entry == nil {
			t.Fatalf("%d repriced", len(list))
		}
		if got := paid(list[0].Entry.Paid); got != "pack:p1 400, bonus 0.24, recharge 0.36" || list[0].Fee != f.nano("0.6") {
			t.Errorf("paid %s, fee %s", got, list[0].Fee)
		}
		f.balances("acme", "5.64 3.76 0")
		f.pack("acme", "p1", 0, 0)
		if use := f.keyUse(key); use.SpendTotal != f.nano("0.6") || use.Tokens != 1000 || use.Requests != 1 {
			t.Errorf("use %+v", use)
		}
		f.audit()
	})
}

// What does not stand whole, or may still be settled, is left alone.
func TestRepriceLeavesAlone(t *testing.T) {
	f := newFixture(t, Options{HoldTTL: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Unit: "call", Quantity: 1})
	key := f.key("acme", KeyLimits{})
	priced := func(*Entry) (meter.Charge, error) { return charge(f, "input 9 1"), nil }
	one := charge(f, "input 1 1")

	whole, part := f.settle(f.reserve(key, one), one), f.settle(f.reserve(key, one), one)
	f.refund(whole.RequestID, "")
	f.refund(part.RequestID, "0.5")
	f.abandoned(f.reserve(key, one), one)
	f.release(f.reserve(key, one))
	if list, sum := f.reprice(Repricing{}, priced); len(list) != 0 || sum.Charges != 0 {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}

	byPack := f.settle(f.reserve(key, charge(f, "call 1 0.1")), charge(f, "call 1 0.1"))
	f.says(f.leftOf(byPack, priced), ErrInvalid, "packs paid for 1 of call")
	f.says(f.leftOf(byPack, func(*Entry) (meter.Charge, error) { return meter.Charge{}, meter.ErrAmountRange }), meter.ErrAmountRange, "")
	if left := f.leftOf(byPack, at(f, "call 1 9000000")); left != nil {
		t.Errorf("dearer than can be paid in cash, but paid by a pack: %v", left)
	}
	byCash := f.settle(f.reserve(key, one), one)
	f.says(f.leftOf(byCash, at(f, "input 1 9000000", "output 1 9000000")), ErrInvalid, "out of what can be booked")
	f.audit()

	_, err := f.ledger.Reprice(f.ctx(), Repricing{Account: "acme"}, priced, nil)
	f.says(err, ErrInvalid, "reason")
	_, err = f.ledger.Reprice(f.ctx(), Repricing{Account: "nobody", Reason: "x"}, priced, nil)
	wants(t, err, ErrNotFound)
}

// leftOf prices one charge, and returns why it was left; nil when nothing was told of it.
func (f *fixture) leftOf(r *Receipt, price func(*Entry) (meter.Charge, error)) (left error) {
	f.Helper()
	list, _ := f.reprice(Repricing{}, func(e *Entry) (meter.Charge, error) {
		if e.RequestID != r.RequestID {
			return sameAs(e), nil
		}
		return price(e)
	})
	for _, one := range list {
		left = errors.Join(left, one.Left)
	}
	return left
}

// sameAs is the charge of an entry.
func sameAs(e *Entry) meter.Charge {
	var c meter.Charge
	for i := range e.Lines {
		line := e.Lines[i].Line
		line.Amount, _ = line.Rate.Amount(line.Quantity)
		c.Lines, c.Fee = append(c.Lines, line), c.Fee+line.Amount
	}
	return c
}

// Since and until go by when the call came, as prices do.
func TestRepriceGoesByTheCall(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	noon := f.ledger.now().Truncate(time.Second)
	for i := range 3 {
		s := settlement(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
		s.At = noon.Add(time.Duration(i) * time.Second)
		_, err := f.ledger.Settle(f.ctx(), s)
		f.must(err)
	}
	list, sum := f.reprice(Repricing{Since: noon.Add(time.Second), Until: noon.Add(2 * time.Second)}, at(f, "input 1 2"))
	if len(list) != 1 || sum.Charges != 1 || !list[0].Charge.At.Equal(noon.Add(time.Second)) {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}
	// What was priced anew is still of the same time.
	if list, sum := f.reprice(Repricing{Since: noon.Add(time.Second)}, at(f, "input 1 3")); len(list) != 2 || sum.Before != f.nano("3") {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}
	f.audit()
}

// A charge of another day stays one of that day for the limits of its key, also when it is refunded.
func TestRepriceOfAnotherDay(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{SpendDaily: f.nano("3"), SpendMonthly: f.nano("100")})
		old := f.settle(f.reserve(key, charge(f, "input 1 2")), charge(f, "input 1 2"))
		f.pass(24 * time.Hour)
		f.settle(f.reserve(key, charge(f, "input 3 1")), charge(f, "input 3 1"))
		if no := f.refused(key, charge(f, "input 1 0.1")); no.Limit != "key.spend_daily" {
			t.Errorf("refused by %s", no.Limit)
		}
		for _, rate := range []string{"4", "5"} {
			f.reprice(Repricing{}, func(e *Entry) (meter.Charge, error) {
				if e.RequestID == old.RequestID {
					return charge(f, "input 1 "+rate), nil
				}
				return sameAs(e), nil
			})
		}
		if use := f.keyUse(key); use.SpendDaily != f.nano("3") || use.SpendTotal != f.nano("8") {
			t.Errorf("use %+v", use)
		}
		f.refund(old.RequestID, "")
		if use := f.keyUse(key); use.SpendDaily != f.nano("3") || use.SpendTotal != f.nano("3") || use.Requests != 1 {
			t.Errorf("after the refund: use %+v", use)
		}
		f.balances("acme", "7 0 0")
		f.audit()
	})
}

// A settlement that is sent again after its charge was priced anew is the same one.
func TestRepricedSettlementIsRepeated(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	h := f.reserve(key, charge(f, "input 1 1"))
	f.settle(h, charge(f, "input 1 1"))
	list, _ := f.reprice(Repricing{}, at(f, "input 1 3"))
	again := f.settle(h, charge(f, "input 1 1"))
	if !again.Repeated || again.ID != list[0].Entry.ID || again.FeeDue() != f.nano("3") {
		t.Errorf("repeated %v, %s of %s", again.Repeated, again.ID, again.FeeDue())
	}
	f.balances("acme", "7 0 0")
	f.audit()
}

// Of two who price a charge anew at once, one does.
func TestRepriceOnce(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	r := f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	f.says(f.leftOf(r, func(*Entry) (meter.Charge, error) {
		// Between the reading and the booking.
		list, _ := f.reprice(Repricing{}, at(f, "input 1 3"))
		if len(list) != 1 || list[0].Left != nil {
			t.Errorf("%d repriced", len(list))
		}
		return charge(f, "input 1 4"), nil
	}), ErrConflict, "the request has been charged anew")
	f.must(f.server.Client().Del(f.ctx(), f.markerOf(&Hold{ID: r.RequestID, Account: "acme"})).Err())
	old := &repricing{Repricing: Repricing{Reason: "x"}, ledger: f.ledger, shard: r.Shard}
	raw, err := f.ledger.entryFrom(f.ctx(), r.Shard, r.seq())
	f.must(err)
	price := charge(f, "input 1 5")
	lines, fee, err := atPrice(&r.Entry, &price)
	f.must(err)
	f.says(old.book(f.ctx(), raw, &Repriced{Charge: &r.Entry, Fee: fee}, &price, lines), ErrConflict, "it has been refunded")
	f.balances("acme", "7 0 0")
	f.audit()
}

// What Redis has lost of a repricing comes back from the archive, the spend of the charge's own day included.
func TestRepriceIsPutBack(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
	_, yesterday := f.refundFixture()
	key := f.key("acme", KeyLimits{SpendDaily: f.nano("9")})
	f.pass(24 * time.Hour)
	today := f.settle(f.reserve(key, charge(f, "input 2 1")), charge(f, "input 2 1"))
	size := f.aofSize()
	f.reprice(Repricing{}, func(e *Entry) (meter.Charge, error) {
		if e.RequestID == today.RequestID {
			return charge(f, "call 1 0.5"), nil // and no tokens any more
		}
		return charge(f, "input 1000 0.003"), nil
	})
	f.archiveNow()
	before, journal := f.books(), f.journals(f.ledger)
	f.cut(func(int64) int64 { return size })
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.sameBooks(before, f.books())
	f.sameBooks(journal, f.journals(f.ledger))
	again, err := f.ledger.Receipt(f.ctx(), "acme", yesterday.RequestID)
	f.must(err)
	if again.FeeDue() != f.nano("2.7") {
		t.Errorf("the receipt is of %s", again.FeeDue())
	}
	f.audit()
}
