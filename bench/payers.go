package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	redis    *redisServer
	operator *operator
	keys     map[payer][]string // secrets
}

// openBooks starts a Redis and makes the accounts that the loads need.
func (s *setup) openBooks(ctx context.Context, h *house, accounts int, loads []load) (*books, error) {
	dir, err := os.MkdirTemp(s.dir, "books-")
	if err != nil {
		return nil, err
	}
	redis, err := startRedis(ctx, h, dir)
	if err != nil {
		return nil, err
	}
	operator, err := s.newOperator(dir, "redis://"+redis.address+"/0")
	if err != nil {
		return nil, err
	}
	b := &books{redis, operator, make(map[payer][]string)}
	for i := range loads {
		if by := loads[i].payer; b.keys[by] == nil {
			if b.keys[by], err = b.make(ctx, by, accounts); err != nil {
				return nil, fmt.Errorf("accounts for load %s: %w", loads[i].name, err)
			}
		}
	}
	return b, nil
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

// close checks that what was fast was also right, every request that was
// counted being in the books, and takes the books away.
func (b *books) close(ctx context.Context, h *house) error {
	out, err := b.operator.run(ctx, "audit")
	if err != nil {
		err = fmt.Errorf("the books do not balance after the benchmark: %w: %s", err, out)
	}
	h.stop()
	return errors.Join(err, os.RemoveAll(filepath.Dir(b.operator.config)))
}
