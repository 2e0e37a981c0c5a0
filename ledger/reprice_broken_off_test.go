package ledger

import (
	"context"
	"errors"
	"testing"
)

// A repricing that is broken off has booked some charges, and says how many; run again, it books the others.
func TestRepriceBrokenOff(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range 3 {
		f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	}
	ctx, cancel := context.WithCancel(f.ctx())
	q := Repricing{Account: "acme", Reason: "x"}
	sum, err := f.ledger.Reprice(ctx, q, at(f, "input 1 2"), func(r *Repriced) {
		if r.Left != nil || r.Entry == nil {
			t.Errorf("told %+v", r)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) || sum.Repriced != 1 || sum.After-sum.Before != f.nano("1") {
		t.Errorf("%v, %+v", err, sum)
	}
	f.balances("acme", "6 0 0")
	sum, err = f.ledger.Reprice(f.ctx(), q, at(f, "input 1 2"), func(*Repriced) {})
	if err != nil || sum.Charges != 3 || sum.Repriced != 2 {
		t.Errorf("again: %v, %+v", err, sum)
	}
	f.balances("acme", "4 0 0")
	f.audit()
}
