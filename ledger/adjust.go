package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
)

// Adjust puts a wallet right by hand, and returns the entry. It takes no more
// than the wallet has and than is free of the account's cash, so that what is
// held stays covered; upwards it always goes, in debt too. With a Ref it is
// booked once, however often it is called. ErrInvalid, ErrConflict when the Ref
// was used for something else, ErrNotFound, ErrUnavailable.
func (l *Ledger) Adjust(ctx context.Context, a Adjustment) (*Entry, error) {
	a.Wallet = cmp.Or(a.Wallet, Recharge)
	if err := a.Check(); err != nil {
		return nil, err
	}
	content := digest("adjust", string(a.Wallet), a.Amount.String(), a.Reason)
	r, err := l.runRef(ctx, l.scripts.adjust, a.Account, a.Ref, content, []any{string(a.Wallet), int64(a.Amount)}, a.Reason)
	if err != nil {
		return nil, err
	}
	switch r.text(0) {
	case "RANGE":
		return nil, errTooMuch()
	case "LACK":
		free, balance, held := r.nano(2), r.nano(3), r.nano(4)
		if err := r.problem(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: amount %s: at most %s can be taken from the %s wallet: it has %s, and %s of the account's cash is held for requests in flight",
			ErrInvalid, a.Amount, free, a.Wallet, balance, held)
	}
	return l.refEntry(ctx, r, a.Account, a.Ref)
}

// setTries is how often a change is tried that others overtake.
const setTries = 5

// SetAccount changes an account's split or overdraft and returns it. Setting what it
// already has writes no entry. An overdraft below what the account owes now is accepted:
// then nothing is admitted until it is covered. ErrInvalid, ErrNotFound, ErrConflict when
// others keep changing it, ErrUnavailable.
func (l *Ledger) SetAccount(ctx context.Context, id string, c AccountChange) (*Account, error) {
	if c.Split == nil && c.Overdraft == nil {
		return nil, fmt.Errorf("%w: nothing is to change: give a split or an overdraft", ErrInvalid)
	}
	for range setTries {
		a, err := l.Account(ctx, id)
		if err != nil {
			return nil, err
		}
		done, err := l.trySet(ctx, a, c)
		if err != nil {
			return nil, err
		}
		if done {
			a, err := l.Account(ctx, id)
			return a, untold("account "+id, err)
		}
	}
	return nil, fmt.Errorf("%w: account %s keeps being changed by others: try again", ErrConflict, id)
}

// trySet changes an account if it is still as it was read.
func (l *Ledger) trySet(ctx context.Context, a *Account, c AccountChange) (done bool, err error) {
	o := AccountOptions{Split: a.Split, Overdraft: a.Overdraft}
	changed := []string{}
	if c.Split != nil && *c.Split != o.Split {
		o.Split, changed = *c.Split, append(changed, "split")
	}
	if c.Overdraft != nil && *c.Overdraft != o.Overdraft {
		o.Overdraft, changed = *c.Overdraft, append(changed, "overdraft")
	}
	if err := o.validate(); err != nil {
		return false, err
	}
	detail, err := json.Marshal(map[string]any{"split": o.Split, "overdraft": o.Overdraft, "currency": l.currency, "changed": changed})
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r, err := l.runFor(ctx, l.scripts.set, a.ID, string(a.Split), int64(a.Overdraft), string(o.Split), int64(o.Overdraft), detail)
	if err != nil {
		return false, err
	}
	return r.text(0) != "CHANGED", r.notFound("account " + a.ID)
}

func (o *AccountOptions) validate() error {
	switch {
	case !o.Split.valid():
		return fmt.Errorf("%w: split %q: want proportional, equal, bonus_first or recharge_first", ErrInvalid, o.Split)
	case o.Overdraft < 0 || o.Overdraft > maxOverdraft:
		return fmt.Errorf("%w: overdraft %s: want 0 to %s", ErrInvalid, o.Overdraft, maxOverdraft)
	}
	return nil
}
