package main

import (
	"context"
	"fmt"
	"strings"
)

// A payer is a population of accounts and keys that pay for a load.
type payer int

const (
	hotAccount payer = iota // one account and its one key
	manyAccounts
	onePack
	twentyPacks
	limitedKey
)

// books are a ledger of their own, with accounts in it.
type books struct {
	servers  []*redisServer // one, or the masters of a cluster
	operator *operator
	keys     map[payer][]string // secrets
}

// openBooks starts a Redis without any accounts.
func (s *setup) openBooks(ctx context.Context, h *house) (*books, error) {
	dir, err := h.folder(s.dir)
	if err != nil {
		return nil, err
	}
	redis, err := startRedis(ctx, h, dir)
	if err != nil {
		return nil, err
	}
	operator, err := s.newOperator(dir, "redis://"+redis.address+"/0")
	return &books{[]*redisServer{redis}, operator, make(map[payer][]string)}, err
}

// fill makes the accounts that the loads need.
func (b *books) fill(ctx context.Context, accounts int, loads []load) (err error) {
	for i := range loads {
		if by := loads[i].payer; b.keys[by] == nil {
			if b.keys[by], err = b.make(ctx, by, accounts); err != nil {
				return fmt.Errorf("accounts for load %s: %w", loads[i].name, err)
			}
		}
	}
	return nil
}

// pids are the servers' processes.
func (b *books) pids() (pids []int) {
	for _, r := range b.servers {
		pids = append(pids, r.pid())
	}
	return pids
}

// use is what clients have asked of all servers so far.
func (b *books) use() (sum redisUse, err error) {
	for _, r := range b.servers {
		u, err := r.use()
		if err != nil {
			return sum, err
		}
		sum = redisUse{sum.scripts + u.scripts, sum.inside + u.inside, sum.reads + u.reads}
	}
	return sum, nil
}

// make makes a population and returns its secrets.
func (b *books) make(ctx context.Context, by payer, accounts int) ([]string, error) {
	switch by {
	case manyAccounts:
		return b.crowd(ctx, accounts)
	case onePack:
		return b.one(ctx, "one-pack", 1)
	case twentyPacks:
		return b.one(ctx, "twenty-packs", 20)
	case limitedKey:
		return b.one(ctx, "limited", 0, everyLimit()...)
	default:
		return b.one(ctx, "hot", 0)
	}
}

// one makes one account with packs and a key.
func (b *books) one(ctx context.Context, account string, packs int, limits ...string) ([]string, error) {
	if err := b.operator.makeAccount(ctx, account); err != nil {
		return nil, err
	}
	if err := b.operator.grant(ctx, account, packs); err != nil {
		return nil, err
	}
	key, err := b.operator.makeKey(ctx, account, limits...)
	return []string{key}, err
}

// everyLimit sets all limits that a key can have, to what no run reaches.
func everyLimit() []string {
	return strings.Fields(`--models bench-* --endpoints chat,completions,embeddings,images --networks 127.0.0.0/8,10.0.0.0/8 --expires 2099-12-31
		--spend-total 900000 --spend-daily 900000 --spend-monthly 900000 --tokens 900000000000000
		--rpm 100000000 --tpm 90000000000 --parallel 100000`)
}

// audit checks that what was fast was also right: every request that was
// counted is in the books, and they balance.
func (b *books) audit(ctx context.Context) error {
	out, err := b.operator.run(ctx, "audit")
	if err != nil {
		return fmt.Errorf("the books do not balance after the benchmark: %w: %s", err, out)
	}
	return nil
}
