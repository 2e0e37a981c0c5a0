package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// maxOverdraft keeps the balances that an overdraft allows well within MaxBalance.
const maxOverdraft = meter.MaxBalance / 9

// CreateAccount makes an account. Made again with the same options it is
// returned as it is; with others it is ErrConflict. ErrInvalid, ErrUnavailable.
func (l *Ledger) CreateAccount(ctx context.Context, id string, o AccountOptions) (*Account, error) {
	o.Split = cmp.Or(o.Split, Proportional)
	if err := CheckAccountID(id); err != nil {
		return nil, err
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	detail, err := json.Marshal(map[string]any{"split": o.Split, "overdraft": o.Overdraft, "currency": l.currency})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	shard := l.shardOf(id)
	keys := append(l.keysOf(shard, id, 0), l.accountsKey(shard))
	r, err := l.bookWord(ctx, l.scripts.create, shard, keys, append(l.args(4), id, string(o.Split), int64(o.Overdraft), detail))
	if err != nil {
		return nil, err
	}
	if r.text(0) == "CONFLICT" {
		return nil, fmt.Errorf("%w: account %s is there already, with other options", ErrConflict, id)
	}
	a, err := l.Account(ctx, id)
	return a, untold("account "+id, err)
}

// untold wraps an error of reading back what has just been booked, so that it is not taken for a failed booking.
func untold(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s cannot be shown: %w: %w", what, err, ErrUncertain)
}

// Account returns an account with its wallets and packs: ErrNotFound, ErrUnavailable.
func (l *Ledger) Account(ctx context.Context, id string) (*Account, error) {
	state, err := l.stateWithoutKeys(ctx, id)
	if err != nil {
		return nil, err
	}
	return state.account()
}

// AccountQuery is which accounts are asked for, by id.
type AccountQuery struct {
	After string // those behind it; "": from the first
	Limit int    // at most so many; 0: all
}

// Check says what is wrong with a query: ErrInvalid.
func (q *AccountQuery) Check() error {
	if q.Limit < 0 {
		return fmt.Errorf("%w: limit %d: want a number of accounts, or leave it out for all", ErrInvalid, q.Limit)
	}
	if q.After != "" {
		return CheckAccountID(q.After)
	}
	return nil
}

// Accounts returns accounts, by id. ErrInvalid, ErrUnavailable.
func (l *Ledger) Accounts(ctx context.Context, q AccountQuery) ([]*Account, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	asked, err := l.accountIDs(ctx, q)
	if err != nil {
		return nil, err
	}
	all := []*Account{}
	for shard, ids := range asked {
		err := l.eachState(ctx, shard, ids, func(s *accountState) error {
			a, err := s.account()
			all = append(all, a)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b *Account) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// accountIDs lists the accounts that a query is about, by shard.
func (l *Ledger) accountIDs(ctx context.Context, q AccountQuery) (map[int][]string, error) {
	var ids []string
	for shard := range l.tags {
		own, err := l.accountsOf(ctx, shard)
		if err != nil {
			return nil, err
		}
		ids = append(ids, own...)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id <= q.After })
	slices.Sort(ids)
	if q.Limit > 0 && len(ids) > q.Limit {
		ids = ids[:q.Limit]
	}
	asked := make(map[int][]string)
	for _, id := range ids {
		shard := l.shardOf(id)
		asked[shard] = append(asked[shard], id)
	}
	return asked, nil
}

// SuspendAccount stops admission for an account. Requests in flight settle all
// the same. What is suspended stays so, without error. ErrNotFound, ErrUnavailable.
func (l *Ledger) SuspendAccount(ctx context.Context, id, reason string) error {
	return l.setStatus(ctx, id, "suspended", reason)
}

// ResumeAccount undoes SuspendAccount.
func (l *Ledger) ResumeAccount(ctx context.Context, id, reason string) error {
	return l.setStatus(ctx, id, "active", reason)
}

func (l *Ledger) setStatus(ctx context.Context, id, status, reason string) error {
	if err := checkText("reason", reason); err != nil {
		return err
	}
	r, err := l.runFor(ctx, l.scripts.status, id, status, reason)
	if err != nil {
		return err
	}
	return r.notFound("account " + id)
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

// TopUp puts money into a wallet and returns the entry. With a Ref it is
// booked once, however often it is called. ErrConflict when the Ref was used
// for something else, ErrNotFound, ErrInvalid, ErrUnavailable.
func (l *Ledger) TopUp(ctx context.Context, t Topup) (*Entry, error) {
	t.Wallet = cmp.Or(t.Wallet, Recharge)
	if err := t.Check(); err != nil {
		return nil, err
	}
	content := digest("topup", string(t.Wallet), t.Amount.String())
	r, err := l.runRef(ctx, l.scripts.topup, t.Account, t.Ref, content, []any{string(t.Wallet), int64(t.Amount)})
	if err != nil {
		return nil, err
	}
	if r.text(0) == "RANGE" {
		return nil, errTooMuch()
	}
	return l.refEntry(ctx, r, t.Account, t.Ref)
}

// runFor runs a script of one account, whose ARGV is the account and what follows.
func (l *Ledger) runFor(ctx context.Context, s *script, account string, args ...any) (*reply, error) {
	if err := CheckAccountID(account); err != nil {
		return nil, err
	}
	shard := l.shardOf(account)
	keys := append(l.keysOf(shard, account, 0), l.expiryKey(shard)) // expire.lua alone takes the last
	return l.bookWord(ctx, s, shard, keys, append(append(l.args(1+len(args)), account), args...))
}

// bookWord runs a script that books what an operator has said. If its answer is lost, or
// does not come in time, it may be booked or not: ErrUncertain.
func (l *Ledger) bookWord(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
	r, err := l.run(ctx, s, shard, keys, args)
	// Only now: noted before it is booked, it would count as archived by whoever archives this shard meanwhile.
	l.archiver.words[shard].say(l.at(shard))
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, ErrUncertain)
	}
	return r, err
}

// runRef runs a script that books once under a reference: the one given, kept
// for ever, or one made up here, so that a second run of the same call does
// not book twice.
func (l *Ledger) runRef(ctx context.Context, s *script, account, ref, content string, args []any, more ...any) (*reply, error) {
	if err := CheckAccountID(account); err != nil {
		return nil, err
	}
	if err := CheckRef(ref); err != nil {
		return nil, err
	}
	shard := l.shardOf(account)
	refs, reference := l.reference(shard, account, ref, content)
	keys := append(l.keysOf(shard, account, 0), refs, l.expiryKey(shard)) // the last is for grants
	args = slices.Concat(l.args(0), []any{account}, args, reference, more)
	return l.bookWord(ctx, s, shard, keys, args)
}

// reference returns the key of a reference and the arguments for it: the reference,
// the same if people gave it, the content's digest, its ttl in ms.
func (l *Ledger) reference(shard int, account, ref, content string) (key string, args []any) {
	if ref != "" {
		return l.refsKey(shard, account), []any{ref, ref, content, 0}
	}
	at := time.Now()
	return l.markerKey(shard, at.UnixMilli()), []any{newID("op_", at), "", content, markerLife.Milliseconds()}
}

// refEntry reads the entry that a script under a reference booked, now or before.
func (l *Ledger) refEntry(ctx context.Context, r *reply, account, ref string) (*Entry, error) {
	switch outcome := r.text(0); outcome {
	case "OK", "SAME":
		e, err := l.entryOrArchived(ctx, r, l.shardOf(account), 2)
		return e, untold("the entry", err)
	case "CONFLICT":
		return nil, errRefUsed(ref)
	case "LOST":
		return nil, fmt.Errorf("%w: account %s", ErrNotFound, account)
	default:
		return nil, r.unexpected()
	}
}

func errRefUsed(ref string) error {
	return fmt.Errorf("%w: ref %q has been used for something else", ErrConflict, ref)
}
