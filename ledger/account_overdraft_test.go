package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// An overdraft is what an account may owe: below zero it would take from what is paid, and beyond a bound balances would not be exact.
func TestOverdraftIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{Overdraft: maxOverdraft})
	for _, overdraft := range []meter.Nano{-1, maxOverdraft + 1} {
		_, err := f.ledger.CreateAccount(f.ctx(), "other", AccountOptions{Overdraft: overdraft})
		wants(t, err, ErrInvalid)
		_, err = f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Overdraft: &overdraft})
		wants(t, err, ErrInvalid)
	}
	if a := f.read("acme"); a.Overdraft != maxOverdraft {
		t.Errorf("overdraft %s", a.Overdraft)
	}
	_, err := f.ledger.Account(f.ctx(), "other")
	wants(t, err, ErrNotFound)
}
