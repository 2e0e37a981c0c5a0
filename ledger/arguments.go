package ledger

import (
	"cmp"
	"errors"
)

// What can be said of arguments without asking Redis, for those who want to
// tell a slip from a refusal before they open a ledger. All of it is checked
// again where it is booked. ErrInvalid.

// CheckAccountID refuses what cannot be the id of an account.
func CheckAccountID(id string) error { return checkAccount(id) }

// Check refuses what no account can be made with.
func (o AccountOptions) Check() error {
	o.Split = cmp.Or(o.Split, Proportional)
	return o.validate()
}

// Check refuses what no account can be changed to.
func (c AccountChange) Check() error {
	o := AccountOptions{Split: Proportional}
	if c.Split != nil {
		o.Split = *c.Split
	}
	if c.Overdraft != nil {
		o.Overdraft = *c.Overdraft
	}
	return o.validate()
}

// CheckNote refuses a reason or a reference that cannot be journaled.
func CheckNote(what, text string) error { return checkText(what, text) }

// Check refuses what cannot be booked on any wallet.
func (a Adjustment) Check() error {
	a.Wallet = cmp.Or(a.Wallet, Recharge)
	if err := a.check(); err != nil {
		return err
	}
	return checkText("ref", a.Ref)
}

// Check refuses what cannot be a pack.
func (g Grant) Check() error {
	if err := g.complete(); err != nil {
		return err
	}
	return checkText("ref", g.Ref)
}

// Check refuses what cannot be a key.
func (k NewKey) Check() error {
	if err := errors.Join(checkText("name", k.Name), k.Limits.check()); err != nil {
		return err
	}
	_, err := k.Limits.compact("")
	return err
}
