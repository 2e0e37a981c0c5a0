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
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/meter"
)

const (
	// maxOverdraft keeps the balances that an overdraft allows well within MaxBalance.
	maxOverdraft = meter.MaxBalance / 9
	maxTextSize  = 512
	// snapshotPage is how many accounts one snapshot reads at most.
	snapshotPage = 100
)

// CreateAccount makes an account. Made again with the same options it is
// returned as it is; with others it is ErrConflict. ErrInvalid, ErrUnavailable.
func (l *Ledger) CreateAccount(ctx context.Context, id string, o AccountOptions) (*Account, error) {
	o.Split = cmp.Or(o.Split, Proportional)
	if err := checkAccount(id); err != nil {
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
	r, err := l.word(ctx, l.scripts.create, shard, keys, append(l.args(4), id, string(o.Split), int64(o.Overdraft), detail))
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
		return checkAccount(q.After)
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
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	shard := l.shardOf(account)
	keys := append(l.keysOf(shard, account, 0), l.expiryKey(shard)) // expire.lua alone takes the last
	return l.word(ctx, s, shard, keys, append(append(l.args(1+len(args)), account), args...))
}

// word runs a script that books an operator's instruction. If its answer is lost, or
// does not come in time, it may be booked or not: ErrUncertain.
func (l *Ledger) word(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
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
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	shard := l.shardOf(account)
	refs, reference := l.reference(shard, account, ref, content)
	keys := append(l.keysOf(shard, account, 0), refs, l.expiryKey(shard)) // the last is for grants
	args = slices.Concat(l.args(0), []any{account}, args, reference, more)
	return l.word(ctx, s, shard, keys, args)
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

// checkRef also refuses a blank at either end: nobody sees it, and it would make a payment
// that is booked already a new one.
func checkRef(ref string) error {
	if strings.TrimSpace(ref) != ref {
		return fmt.Errorf("%w: ref %q: want no blank at its ends", ErrInvalid, ref)
	}
	return checkText("ref", ref)
}

// accountState is an account as it is in Redis, all of one moment.
type accountState struct {
	id                         string
	shard                      int
	seq                        int64     // the journal's head at that moment
	now                        time.Time // Redis's clock
	fields, packs, keys, holds map[string]string
	refunds                    map[string]string // what has been given back, see lua/refund.lua; for an audit alone
}

// state reads one account with all of its keys: ErrNotFound, ErrInvalid, ErrUnavailable.
func (l *Ledger) state(ctx context.Context, id string) (*accountState, error) {
	return l.oneState(ctx, id, beside{keys: allKeys})
}

// stateWithoutKeys is state for who asks for none. An account may have thousands of
// keys, and Redis does nothing else while it reads them out.
func (l *Ledger) stateWithoutKeys(ctx context.Context, id string) (*accountState, error) {
	return l.oneState(ctx, id, beside{})
}

// keyState is state with one key alone, if it is there.
func (l *Ledger) keyState(ctx context.Context, id, suffix string) (*accountState, error) {
	return l.oneState(ctx, id, beside{keys: suffix})
}

func (l *Ledger) oneState(ctx context.Context, id string, more beside) (*accountState, error) {
	if err := checkAccount(id); err != nil {
		return nil, err
	}
	var found *accountState
	err := l.eachSnapshot(ctx, l.shardOf(id), []string{id}, more, func(s *accountState) error {
		found = s
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%w: account %s", ErrNotFound, id)
	}
	return found, err
}

// eachState reads accounts of a shard without their keys, all if ids is nil, page by page.
// The accounts of a page are of one moment, and their state names the journal's head at
// that moment.
func (l *Ledger) eachState(ctx context.Context, shard int, ids []string, each func(*accountState) error) error {
	return l.eachSnapshot(ctx, shard, ids, beside{}, each)
}

// accountsOf lists the ids of a shard's accounts, in no order.
func (l *Ledger) accountsOf(ctx context.Context, shard int) ([]string, error) {
	ids, err := l.client.SMembers(ctx, l.accountsKey(shard)).Result()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ids, nil
}

// beside is what of an account is read beside itself, its packs and its holds: both may be long.
type beside struct {
	keys    string // allKeys, the suffix of one, or ""
	refunds bool   // what has been given back
}

const allKeys = "*"

// eachSnapshot is eachState, with more.
func (l *Ledger) eachSnapshot(ctx context.Context, shard int, ids []string, more beside, each func(*accountState) error) error {
	if ids == nil {
		var err error
		if ids, err = l.accountsOf(ctx, shard); err != nil {
			return err
		}
		slices.Sort(ids)
	}
	for page := range slices.Chunk(ids, snapshotPage) {
		keys := []string{l.metaKey(shard), l.journalKey(shard), l.dueKey(shard)}
		args := append(l.args(2+len(page)), more.refunds, more.keys)
		for _, id := range page {
			own := l.accountKey(shard, id)
			keys = append(keys, own, own+":packs", own+":keys", own+":holds", l.refundsKey(shard, id))
			args = append(args, id)
		}
		r, err := l.run(ctx, l.scripts.snapshot, shard, keys, args)
		if err != nil {
			return err
		}
		for i, id := range page {
			s := &accountState{
				id: id, shard: shard, seq: r.integer(1), now: r.time(2),
				fields: r.hash(3 + 5*i), packs: r.hash(4 + 5*i), keys: r.hash(5 + 5*i), holds: r.hash(6 + 5*i),
				refunds: r.hash(7 + 5*i),
			}
			if err := r.problem(); err != nil {
				return err
			}
			if len(s.fields) == 0 {
				continue
			}
			if err := each(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// account reads the account's own fields and packs.
func (s *accountState) account() (*Account, error) {
	r := &record{fields: s.fields}
	recharge, bonus, held := meter.Nano(r.integer("recharge")), meter.Nano(r.integer("bonus")), meter.Nano(r.integer("held"))
	a := &Account{
		ID: s.id, Status: s.fields["status"], Split: Split(s.fields["split"]), Held: held,
		Overdraft: meter.Nano(r.integer("overdraft")), CreatedAt: millis(r.integer("created")),
	}
	freeRecharge, freeBonus := freeOf(a.Split, recharge, bonus, held)
	a.Wallets = map[Wallet]Purse{
		Recharge: {Balance: recharge, Free: freeRecharge},
		Bonus:    {Balance: bonus, Free: freeBonus},
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: account %s: %w", ErrUnavailable, s.id, r.err)
	}
	var err error
	a.Packs, err = s.packList()
	return a, err
}

// ping measures one round trip to every master of Redis, without a script.
func (s *shards) ping(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	err := s.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error { return c.Ping(ctx).Err() })
	return time.Since(start), err
}
