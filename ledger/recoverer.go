package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/archive"
)

// A recoverer decides which servers may be written to. One that has come up
// anew answers NOSCRIPT, and may have gone back in time: nobody books on it
// before its shards have been compared with the archive, what they lack has been
// put back (recovery.go), and its library has been opened. Without an archive it
// is compared with what this process has seen. One that turns out to have gone
// back without coming up anew has its library taken away, and is recovered.
//
// It needs the shards and the way to the archive. Whatever it finds out reaches
// the rest of the process by shards: how far each is, and what was lost.
type recoverer struct {
	*shards
	vault *vault
	turn  chan struct{} // held by whoever looks at a server whose library is closed
	back  atomic.Int64  // entries that were put back
	// failed is what the last recovery of a server came to, by its first shard, until one succeeds. Of who has the turn.
	failed map[int]failure
}

// A failure is a recovery that failed beyond the raising of epochs, and until when the next one waits. Where a person must look,
// every call, probe and sweep would begin another: each costs Redis a rewrite of its file and the archive an epoch of each shard, of
// which there are not so many that they last for days (position).
type failure struct {
	err   error
	pause time.Duration
	until time.Time
}

// maxFailurePause bounds the pause, which doubles from recoveryPoll on.
const maxFailurePause = 30 * time.Second

// strangeError is why a shard is not what the caller knows, in the words of lua/trip.lua.
type strangeError string

func (e strangeError) Error() string { return string(e) }

// errBehind is what the scripts answer for a shard that has gone back in time
// since its last recovery.
const errBehind = strangeError("the shard has gone back in time")

func newRecoverer(s *shards, v *vault) *recoverer {
	return &recoverer{shards: s, vault: v, turn: make(chan struct{}, 1), failed: make(map[int]failure)}
}

// takeTurn waits until nobody else of this process looks at a server; then passTurn is to follow.
func (r *recoverer) takeTurn(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *recoverer) passTurn() { <-r.turn }

// openAtStart lets this process use the servers: with an archive by comparing
// them with that, without one by what the process itself has seen.
func (r *recoverer) openAtStart(ctx context.Context) error {
	if r.vault.here() {
		return r.openByArchive(ctx)
	}
	if r.vault.identity != "" {
		open, err := r.areOpen(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if open {
			return nil
		}
	}
	return unavailable(r.readmit(ctx, 0))
}

// readmit looks at the servers when one is closed, and opens them when they
// are still the ledger that this process knows. One does it for all.
// A ledger with an archive is compared with that: see recovery.go.
func (r *recoverer) readmit(ctx context.Context, shard int) error {
	if r.vault.here() {
		return r.recoverShard(ctx, shard)
	}
	if r.vault.identity != "" {
		return r.notToBeCompared(ctx)
	}
	if err := r.takeTurn(ctx); err != nil {
		return err
	}
	defer r.passTurn()
	if open, err := r.areOpen(ctx); err != nil || open {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	return r.eachMaster(ctx, r.openServer)
}

// notToBeCompared is why a process without the archive's address opens no server.
func (r *recoverer) notToBeCompared(ctx context.Context) error {
	why := "Redis came up anew"
	err := r.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		library, err := r.scripts.state(ctx, c, r.identity)
		if library == libraryMissing {
			why = "Redis does not have the scripts of this version of Tollgate yet"
		}
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return fmt.Errorf("%w: %s, and must first be compared with the ledger's archive (%s): %w", ErrUnavailable, why, r.vault.identity, ErrArchiveNotNamed)
}

// recoverShard recovers the server that a shard is on, unless that has been done meanwhile.
func (r *recoverer) recoverShard(ctx context.Context, shard int) error {
	return r.recoverBehind(ctx, shard, 0)
}

// recoverBehind is recoverShard for a shard that must have come as far as
// least; if it has not, though its server has the scripts, they are taken away.
func (r *recoverer) recoverBehind(ctx context.Context, shard int, least position) error {
	if err := r.takeTurn(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer r.passTurn()
	list, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range list {
		if !slices.Contains(n.shards, shard) {
			continue
		}
		if least != 0 {
			if err := r.fence(ctx, n, shard, least); err != nil {
				return err
			}
		}
		return r.recoverNode(ctx, n)
	}
	return fmt.Errorf("%w: nobody has shard %d", ErrUnavailable, shard)
}

// fence takes the scripts from a server with a shard that has gone back
// although the server did not come up anew: a dataset that was restored in
// place, or a former master that was promoted again.
func (r *recoverer) fence(ctx context.Context, n *node, shard int, least position) error {
	meta, err := n.client.HMGet(ctx, r.metaKey(shard), metaSeq, metaEpoch).Result()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	there := positionOf(meta[0], meta[1])
	if there >= least || there.epoch() != least.epoch() {
		return nil
	}
	r.logger.Error("a shard has gone back in time while its server kept running: its library is taken away until it is recovered",
		zap.Int("shard", shard), zap.Int64("seq", there.seq()), zap.Int64("was", least.seq()))
	return unavailable(r.scripts.close(ctx, n.client))
}

// recoverNode recovers a server, or waits until another has done it.
func (r *recoverer) recoverNode(ctx context.Context, n *node) error {
	for {
		library, err := r.scripts.state(ctx, n.client, r.identity)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		last := r.failed[n.shards[0]]
		switch {
		case library == libraryOpen:
			delete(r.failed, n.shards[0])
			return nil
		case time.Now().Before(last.until):
			return last.err
		}
		next := &recovery{recoverer: r, node: n, library: library}
		begun, err := next.try(ctx)
		if !errors.Is(err, errLate) && (begun || err != nil) {
			if err != nil && next.heads != nil && ctx.Err() == nil {
				pause := min(max(recoveryPoll, 2*last.pause), maxFailurePause)
				r.failed[n.shards[0]] = failure{err, pause, time.Now().Add(pause)}
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the server is being recovered by another process: %w", ErrUnavailable, ctx.Err())
		case <-time.After(recoveryPoll):
		}
	}
}

// openByArchive recovers the servers that are closed, and one that is open and
// yet is behind the archive.
func (r *recoverer) openByArchive(ctx context.Context) error {
	list, err := r.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := r.recoverNode(ctx, n); err != nil {
			return err
		}
	}
	a, err := r.vault.archive(ctx)
	if err != nil {
		// Whoever loaded the scripts has compared this server with the archive since it came up.
		r.logger.Warn("the archive is out of reach: entries stay in Redis, and a Redis that restarts is not opened before it is back", zap.Error(err))
		return nil
	}
	return r.catchUp(ctx, a)
}

// catchUp recovers the shards that are behind the archive.
func (r *recoverer) catchUp(ctx context.Context, a *archive.Archive) error {
	heads, err := a.Heads(ctx, len(r.tags))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	metas, err := r.archiveMetas(ctx)
	if err != nil {
		return err
	}
	for shard, m := range metas {
		if err := r.catchUpShard(ctx, heads[shard], m); err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
	}
	return nil
}

// catchUpShard recovers a shard if it is behind the archive or its recovery
// was broken off. A server that others have recovered elsewhere since is not
// the ledger any more.
func (r *recoverer) catchUpShard(ctx context.Context, head archive.Head, m archiveMeta) error {
	switch behind := head.Epoch - m.at.epoch(); {
	case behind == 0 && m.at.seq() < int64(head.Seq):
		return r.recoverBehind(ctx, head.Shard, positionAt(head.Epoch, int64(head.Seq)))
	case behind > 0 && m.recovering != "":
		return r.recoverBehind(ctx, head.Shard, m.at+1)
	case behind > 0:
		return fmt.Errorf("%w: this shard was recovered on another server (epoch %d, here %d): if this is the right one, restart it",
			ErrUnavailable, head.Epoch, m.at.epoch())
	}
	return nil
}
