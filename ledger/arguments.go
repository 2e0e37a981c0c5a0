package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/meter"
)

// Checks of arguments that need no Redis, for callers that want to report a mistake before
// they open a ledger. All of it is checked again when it is booked. ErrInvalid.

// CheckAccountID refuses what cannot be the id of an account.
func CheckAccountID(id string) error {
	if !validAccount(id) {
		return fmt.Errorf("%w: account %q: want a lower-case letter or digit, then up to 63 letters, digits, dots, underscores or dashes", ErrInvalid, id)
	}
	return nil
}

// CheckRequestID refuses what is no request's id, whatever is on the books.
func CheckRequestID(id string) error {
	_, err := idMillis(id)
	return err
}

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

// CheckReason refuses a reason that cannot be journaled; none at all is one.
func CheckReason(text string) error { return checkText("reason", text) }

// needReason refuses a correction that nobody will understand later.
func needReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("%w: reason: say why, for the journal", ErrInvalid)
	}
	return CheckReason(reason)
}

// CheckRef refuses a reference under which nothing can be booked; none at all is one. A blank at
// either end is refused since nobody sees it, and it would make a payment that is booked already a new one.
func CheckRef(ref string) error {
	if strings.TrimSpace(ref) != ref {
		return fmt.Errorf("%w: ref %q: want no blank at its ends", ErrInvalid, ref)
	}
	return checkText("ref", ref)
}

// maxTextSize bounds a person's text, in characters.
const maxTextSize = 512

// checkText refuses a person's text if it is too long, has control characters, or is not
// UTF-8: the archive, which is JSON, would change it.
func checkText(what, text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %s: %q is not UTF-8", ErrInvalid, what, text)
	}
	if utf8.RuneCountInString(text) > maxTextSize || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("%w: %s: want at most %d characters, without control characters", ErrInvalid, what, maxTextSize)
	}
	return nil
}

// Check refuses what can be put into no wallet.
func (t Topup) Check() error {
	t.Wallet = cmp.Or(t.Wallet, Recharge)
	switch {
	case t.Wallet != Recharge && t.Wallet != Bonus:
		return fmt.Errorf("%w: wallet %q: want recharge or bonus", ErrInvalid, t.Wallet)
	case t.Amount <= 0 || t.Amount > meter.MaxBalance:
		return fmt.Errorf("%w: amount %s: want more than 0, at most %s", ErrInvalid, t.Amount, meter.MaxBalance)
	}
	return CheckRef(t.Ref)
}

// Check refuses what cannot be booked on any wallet.
func (a Adjustment) Check() error {
	a.Wallet = cmp.Or(a.Wallet, Recharge)
	switch {
	case a.Wallet != Recharge && a.Wallet != Bonus:
		return fmt.Errorf("%w: wallet %q: want recharge or bonus", ErrInvalid, a.Wallet)
	case a.Amount == 0:
		return fmt.Errorf("%w: amount 0: want what to add, or with a minus what to take", ErrInvalid)
	case a.Amount > meter.MaxBalance || a.Amount < -meter.MaxBalance:
		return fmt.Errorf("%w: amount %s: want at most %s either way", ErrInvalid, a.Amount, meter.MaxBalance)
	}
	if err := needReason(a.Reason); err != nil {
		return err
	}
	return CheckRef(a.Ref)
}

// Check refuses what cannot be given back of any charge.
func (r *Refund) Check() error {
	if err := needReason(r.Reason); err != nil {
		return err
	}
	if err := CheckRef(r.Ref); err != nil {
		return err
	}
	if r.Amount != nil && (*r.Amount <= 0 || *r.Amount > meter.MaxCharge) {
		return fmt.Errorf("%w: amount %s: want more than 0, at most what was paid", ErrInvalid, r.Amount)
	}
	return nil
}

// Check refuses what cannot be a pack.
func (g Grant) Check() error {
	if err := g.complete(); err != nil {
		return err
	}
	return CheckRef(g.Ref)
}

// Check refuses what cannot be a key.
func (k NewKey) Check() error {
	if err := errors.Join(checkText("name", k.Name), k.Limits.check()); err != nil {
		return err
	}
	if k.Seed != nil && len(k.Seed) < minSeed {
		return fmt.Errorf("%w: a seed of %d bytes: want %d at least", ErrInvalid, len(k.Seed), minSeed)
	}
	_, err := k.Limits.compact("")
	return err
}

// Check refuses what no entry can be chosen by.
func (q *JournalQuery) Check() error {
	for _, t := range q.Types {
		if !slices.Contains(EntryTypes(), t) {
			return fmt.Errorf("%w: type: there is no type %q: want %s", ErrInvalid, t, strings.Join(EntryTypes(), ", "))
		}
	}
	if q.Limit < 0 {
		return fmt.Errorf("%w: limit %d: want a number of entries", ErrInvalid, q.Limit)
	}
	if !q.Until.IsZero() && !q.Until.After(q.Since) {
		return fmt.Errorf("%w: until %s is not after since %s: nothing lies between them", ErrInvalid, q.Until.Format(time.RFC3339), q.Since.Format(time.RFC3339))
	}
	return nil
}
