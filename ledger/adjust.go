package ledger

import (
	"cmp"
	"context"
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
