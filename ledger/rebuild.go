package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
)

// RebuildReport says what a rebuild has restored, and what it cannot know.
type RebuildReport struct {
	Ledger   string `json:"ledger"`
	Archive  string `json:"archive"`
	Currency string `json:"currency"`
	Shards   int    `json:"shards"`
	Entries  int64  `json:"entries"`
	// Last is when the last archived entry was booked: what was booked later is
	// in the proxies' settlement logs alone, and so are the ends of the calls
	// that were in flight then, whose holds are gone.
	Last  *time.Time    `json:"last"`
	Took  time.Duration `json:"took_ns"`
	Audit *AuditReport  `json:"audit"`
}

// Rebuild restores a ledger from its archive into an empty Redis: accounts,
// wallets, packs, keys with their limits and counters, under the same identity
// and with the same journal ids; and audits it. A rebuild that was broken off
// is taken up again. It deletes nothing: a Redis that is not empty is
// ErrConflict. ErrNotFound when the archive has no ledger, ErrUnavailable.
//
// Holds are not in the archive: whatever was in flight is settled by replaying
// the proxies' settlement logs, or costs nothing.
func Rebuild(ctx context.Context, o Options) (*RebuildReport, error) {
	start := time.Now()
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Archive == "" {
		return nil, fmt.Errorf("%w: a ledger is rebuilt from its archive: name it as archive.url", ErrInvalid)
	}
	report, owner, err := readOwner(ctx, o.Archive)
	if err != nil {
		return nil, err
	}
	if err := prepareRebuild(ctx, &o, owner, report.Archive); err != nil {
		return nil, err
	}
	l, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer l.Close() // what could be lost by it has been audited
	if report.Audit, err = l.Audit(ctx, ""); err != nil {
		return nil, err
	}
	if err := l.rebuilt(ctx); err != nil {
		return nil, err
	}
	report.Took = time.Since(start)
	return report, nil
}

func readOwner(ctx context.Context, address string) (*RebuildReport, archive.Ledger, error) {
	var owner archive.Ledger
	a, err := archive.OpenExisting(ctx, address)
	if err != nil {
		return nil, owner, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer a.Close() // it was only read
	owner, err = a.Ledger(ctx)
	if err != nil {
		return nil, owner, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if owner.Identity == "" {
		return nil, owner, fmt.Errorf("%w: the archive keeps no ledger", ErrNotFound)
	}
	if owner.Format != format {
		return nil, owner, fmt.Errorf("%w: the archived ledger has format %q, this program writes %q", ErrInvalid, owner.Format, format)
	}
	heads, err := a.Heads(ctx, owner.Shards)
	if err != nil {
		return nil, owner, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	report := &RebuildReport{Ledger: owner.Identity, Archive: a.Identity(), Currency: owner.Currency, Shards: owner.Shards}
	for _, h := range heads {
		report.Entries += int64(h.Seq)
		last, err := a.At(ctx, h.Shard, h.Seq)
		if err != nil {
			return nil, owner, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if last != nil && (report.Last == nil || last.Time.After(*report.Last)) {
			report.Last = &last.Time
		}
	}
	return report, owner, nil
}

// prepareRebuild creates the archived ledger in a Redis that is empty, or where
// a rebuild from this archive was broken off. The rest is a recovery.
func prepareRebuild(ctx context.Context, o *Options, owner archive.Ledger, identity string) error {
	switch {
	case o.Shards != 0 && o.Shards != owner.Shards:
		return fmt.Errorf("%w: the archived ledger has %d shards, not %d: give that number, or leave it out", ErrInvalid, owner.Shards, o.Shards)
	case o.Currency != "" && o.Currency != owner.Currency:
		return fmt.Errorf("%w: the archived ledger is kept in %s, not %s: is it the right archive?", ErrInvalid, owner.Currency, o.Currency)
	}
	o.Shards, o.Currency = owner.Shards, owner.Currency
	client, closeClient, err := connect(o.URL)
	if err != nil {
		return err
	}
	s := &shards{client: client, scripts: new(scripts), identity: owner.Identity, currency: owner.Currency}
	s.divide(owner.Shards)
	return errors.Join(s.createRebuilt(ctx, identity), closeClient())
}

// createRebuilt does what create does for a new ledger, for one that the archive of that identity has; recovery
// lets nobody in until it is whole.
func (s *shards) createRebuilt(ctx context.Context, archived string) error {
	mark, err := s.client.HMGet(ctx, s.metaKey(0), metaIdentity, metaRebuilding).Result()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// The mark is written before the identity, and a rebuild may have been broken off between the two.
	if mark[1] != archived || mark[0] != nil && mark[0] != s.identity {
		if err := s.mustBeEmpty(ctx); err != nil {
			return err
		}
	}
	// A server that was emptied may still have its library, and open.
	err = s.eachMaster(ctx, s.scripts.close)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for shard := range s.tags {
		key := s.metaKey(shard)
		// The mark first: what has it may be taken up again, what has not is somebody's ledger.
		err := atOnce(ctx, s.client, func(p redis.Pipeliner) error {
			p.HSet(ctx, key, metaRebuilding, archived, metaRecovering, metaRebuilding)
			p.HSetNX(ctx, key, metaArchive, archived)
			p.HDel(ctx, key, metaFork) // of an earlier try, of which the archive lacked something: this one finds out anew
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		there, err := s.createShard(ctx, shard, s.identity)
		if err != nil {
			return err
		}
		if there != s.identity {
			return fmt.Errorf("%w: shard %d belongs to another ledger (%s)", ErrConflict, shard, there)
		}
	}
	return nil
}

// mustBeEmpty looks for anything that is, or was, a ledger's.
func (s *shards) mustBeEmpty(ctx context.Context) error {
	return s.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := c.Scan(ctx, cursor, "{tg*}:*", 1000).Result()
			if err != nil {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			// A proxy that runs may be about to find out that there is nothing to recover.
			keys = slices.DeleteFunc(keys, func(key string) bool { return strings.HasSuffix(key, "}:recovery") })
			if len(keys) > 0 {
				return fmt.Errorf("%w: this Redis is not empty (it has %s): a ledger is rebuilt into an empty one; "+
					"stop the proxies, keep a copy of what is there, and empty it yourself, or point ledger.redis at another", ErrConflict, keys[0])
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

// rebuilt takes the marks away.
func (s *shards) rebuilt(ctx context.Context) error {
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range s.tags {
			p.HDel(ctx, s.metaKey(shard), metaRebuilding)
		}
		return nil
	})
	return unavailable(err)
}
