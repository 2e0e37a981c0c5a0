package ledger

import (
	"context"
	"fmt"
	"strings"
)

// expireShard ends the packs of a shard whose time has passed, a bounded number.
func (l *Ledger) expireShard(ctx context.Context, shard int, swept *Swept) error {
	keys := []string{l.metaKey(shard), l.journalKey(shard), l.expiryKey(shard)}
	r, err := l.run(ctx, l.scripts.due, shard, keys, append(l.args(1), sweepBatch))
	if err != nil {
		return err
	}
	for i := 4; i < len(r.values); i++ {
		account, pack, _ := strings.Cut(r.text(i), " ")
		if err := l.expireOne(ctx, shard, account, pack, swept); err != nil {
			return err
		}
	}
	return r.problem()
}

func (l *Ledger) expireOne(ctx context.Context, shard int, account, pack string, swept *Swept) error {
	if !validAccount(account) || packNumber(pack) == 0 {
		return fmt.Errorf("%w: shard %d: %q is no pack of %q", ErrUnavailable, shard, pack, account)
	}
	r, err := l.runFor(ctx, l.scripts.expire, account, pack)
	if err != nil {
		return err
	}
	switch r.text(0) {
	case "EXPIRED":
		swept.Expired++
	case "SKIPPED": // another sweeper was here, or nothing was free
	default:
		return r.unexpected()
	}
	return nil
}
