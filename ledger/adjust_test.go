package ledger

import (
	"sync"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

func (f *fixture) tryAdjust(w Wallet, amount string) (*Entry, error) {
	f.Helper()
	return f.ledger.Adjust(f.ctx(), Adjustment{Account: "acme", Wallet: w, Amount: f.nano(amount), Reason: "a mistake"})
}

func TestAdjust(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "2", AccountOptions{Overdraft: f.nano("10")})
		e, err := f.tryAdjust(Recharge, "-0.25")
		f.must(err)
		if e.Type != TypeAdjust || *e.Amount != f.nano("-0.25") || e.Wallet != Recharge || e.Reason != "a mistake" ||
			e.Ref != "" || after(e, "recharge") != "0.75" {
			f.Errorf("entry %+v", e)
		}
		_, err = f.tryAdjust(Bonus, "0.5")
		f.must(err)
		f.balances("acme", "0.75 2.5 0")
		// No more than the wallet has, and than is free; the overdraft is not there for that.
		_, err = f.tryAdjust(Recharge, "-0.750000001")
		f.says(err, ErrInvalid, "at most 0.75 can be taken from the recharge wallet")
		hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "3"))
		_, err = f.tryAdjust(Bonus, "-0.26")
		f.says(err, ErrInvalid, "at most 0.25 can be taken from the bonus wallet: it has 2.5, and 3 of")
		_, err = f.tryAdjust(Bonus, "-0.25")
		f.must(err)
		f.settle(hold, cost(f, "5"))
		f.balances("acme", "-2 0 0")
		_, err = f.tryAdjust(Recharge, "-0.1")
		f.says(err, ErrInvalid, "at most 0 can be taken")
		for _, up := range []string{"0.5", "1.5"} { // upwards, also within the debt
			_, err = f.tryAdjust(Recharge, up)
			f.must(err)
		}
		f.balances("acme", "0 0 0")
	})
}

func TestAdjustIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "9000000000", "0", AccountOptions{})
	for name, a := range map[string]Adjustment{
		"zero": {Reason: "x"}, "no reason": {Amount: 1, Wallet: Bonus}, "wallet": {Amount: 1, Wallet: "cash", Reason: "x"},
		"too much": {Amount: meter.MaxBalance + 1, Wallet: Bonus, Reason: "x"}, "too little": {Amount: -meter.MaxBalance - 1, Reason: "x"},
		"more than a wallet holds": {Amount: 1, Reason: "x"}, "ref": {Amount: 1, Wallet: Bonus, Reason: "x", Ref: "a\nb"},
	} {
		a.Account = "acme"
		if _, err := f.ledger.Adjust(f.ctx(), a); err == nil {
			t.Errorf("%s: booked", name)
		} else {
			wants(t, err, ErrInvalid)
		}
	}
	_, err := f.ledger.Adjust(f.ctx(), Adjustment{Account: "nobody", Amount: 1, Reason: "x"})
	wants(t, err, ErrNotFound)
	// Beyond what a double can tell apart, and to the last of it.
	for _, step := range []struct {
		take meter.Nano
		left string
	}{
		{1, "8999999999.999999999 0 0"},
		{9_000_000_000_000_000_000, ""},
		{8_999_999_999_999_999_998, "0.000000001 0 0"},
		{2, ""},
		{1, "0 0 0"},
		{1, ""},
	} {
		before := f.read("acme").Wallets[Recharge].Balance
		_, err = f.ledger.Adjust(f.ctx(), Adjustment{Account: "acme", Amount: -step.take, Reason: "x"})
		if step.left == "" {
			f.says(err, ErrInvalid, "at most "+before.String()+" can be taken from the recharge wallet: it has "+before.String()+",")
			continue
		}
		f.must(err)
		f.balances("acme", step.left)
	}
}

func TestAdjustByReference(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		a := Adjustment{Account: "acme", Amount: f.nano("-0.5"), Reason: "a mistake", Ref: "note 3"}
		first, err := f.ledger.Adjust(f.ctx(), a)
		f.must(err)
		if first.Ref != "note 3" {
			f.Errorf("the entry's reference is %q", first.Ref)
		}
		again, err := f.ledger.Adjust(f.ctx(), a)
		f.must(err)
		if diff := sameEntry(first, again); diff != "" {
			f.Error(diff)
		}
		for _, other := range []Adjustment{
			{Amount: f.nano("-0.4"), Reason: "a mistake"},
			{Amount: f.nano("-0.5"), Reason: "another"},
			{Amount: f.nano("-0.5"), Reason: "a mistake", Wallet: Bonus},
		} {
			other.Account, other.Ref = "acme", "note 3"
			_, err = f.ledger.Adjust(f.ctx(), other)
			wants(f, err, ErrConflict)
		}
		f.balances("acme", "0.5 0 0")
	})
}

func TestSetAccount(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "3", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		_ = isReason(f, f.refused(key, cost(f, "5")), InsufficientFunds, "balance")
		split, overdraft := BonusFirst, f.nano("10")
		for range 2 {
			a, err := f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Overdraft: &overdraft})
			f.must(err)
			if a.Overdraft != overdraft || a.Split != Proportional {
				f.Errorf("account %+v", a)
			}
		}
		hold := f.reserve(key, cost(f, "5"))
		a, err := f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Split: &split, Overdraft: &overdraft})
		f.must(err)
		if a.Overdraft != overdraft || a.Split != BonusFirst {
			f.Errorf("account %+v", a)
		}
		f.settle(hold, cost(f, "2"))
		f.balances("acme", "1 1 0")
		list := f.entries("acme", TypeAccount)
		if len(list) != 3 || list[1].Detail["overdraft"] != "10" || list[1].Detail["split"] != "proportional" || list[2].Detail["split"] != "bonus_first" {
			f.Errorf("entries %+v", list)
		}
		f.must(f.ledger.SuspendAccount(f.ctx(), "acme", "late"))
		overdraft = 0
		a, err = f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Overdraft: &overdraft})
		f.must(err)
		if a.Status != "suspended" {
			f.Errorf("set has resumed the account")
		}
		wrong, tooMuch := Split("thirds"), meter.MaxBalance
		for _, c := range []AccountChange{{}, {Split: &wrong}, {Overdraft: &tooMuch}} {
			_, err = f.ledger.SetAccount(f.ctx(), "acme", c)
			wants(f, err, ErrInvalid)
		}
		_, err = f.ledger.SetAccount(f.ctx(), "nobody", AccountChange{Split: &split})
		wants(f, err, ErrNotFound)
	})
}

// Who has read an account before somebody else changed it changes nothing, whichever of the two it was.
func TestSetAccountThatHasChanged(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{Split: Equal, Overdraft: 1})
	other, more := BonusFirst, meter.Nano(2)
	for _, change := range []func(*Account){func(a *Account) { a.Split = Proportional }, func(a *Account) { a.Overdraft = 0 }} {
		read := f.read("acme")
		change(read) // as it was before
		if done, err := f.ledger.trySet(f.ctx(), read, AccountChange{Split: &other, Overdraft: &more}); done || err != nil {
			t.Errorf("read as %s and %s, it is changed: %v, %v", read.Split, read.Overdraft, done, err)
		}
	}
	if a := f.read("acme"); a.Split != Equal || a.Overdraft != 1 {
		t.Errorf("account %+v", a)
	}
}

// Two who change different things both have their way.
func TestSetAccountAtOnce(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "3", AccountOptions{})
	split, overdraft := Equal, f.nano("2")
	var wg sync.WaitGroup
	for _, c := range []AccountChange{{Split: &split}, {Overdraft: &overdraft}} {
		wg.Go(func() {
			if _, err := f.ledger.SetAccount(f.ctx(), "acme", c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if a := f.read("acme"); a.Split != Equal || a.Overdraft != overdraft {
		t.Errorf("account %+v", a)
	}
}

// Suspension is journaled with its reason, and once.
func TestSuspensionIsJournaledOnce(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	for range 2 {
		f.must(f.ledger.SuspendAccount(f.ctx(), "acme", "invoice 81 is overdue"))
	}
	for range 2 {
		f.must(f.ledger.ResumeAccount(f.ctx(), "acme", "paid"))
	}
	list := f.entries("acme", TypeSuspend, TypeResume)
	if len(list) != 2 || list[0].Reason != "invoice 81 is overdue" || list[1].Reason != "paid" {
		t.Errorf("entries %+v", list)
	}
}
