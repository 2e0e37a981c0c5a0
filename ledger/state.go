package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// snapshotPage is how many accounts one snapshot reads at most.
const snapshotPage = 100

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
	if err := CheckAccountID(id); err != nil {
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

// accountsOf lists the ids of a shard's accounts, in no order.
func (l *Ledger) accountsOf(ctx context.Context, shard int) ([]string, error) {
	ids, err := l.client.SMembers(ctx, l.accountsKey(shard)).Result()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return ids, nil
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
