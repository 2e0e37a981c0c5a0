package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// shards are the ledger as it lies in Redis: a fixed number of parts, each with
// its accounts and its journal, on one server or on several. They know how keys
// are called, which scripts there are and how one is asked (scripts.go), what
// this process has seen of each shard, and which servers are away. They promise
// that no answer is believed that comes from another ledger, or from a shard
// that is behind what was seen of it.
//
// They know nothing of policy, settlement log or archive. What goes on beside
// the calls is given them, and not the Ledger, wherever that is enough.
type shards struct {
	client      redis.UniversalClient
	closeClient func() error
	scripts     *scripts
	embedded    bool
	logger      *zap.Logger

	// identity and currency are in the meta of every shard; the identity is made once.
	identity, currency string
	// timezone is where days and months begin, see agreeOnTimezone.
	timezone *time.Location
	tags     []string // beginning of the keys, by shard
	names    keyNames

	// heads is the highest journal sequence seen, by shard. It is sent along
	// with every script, which refuses to work on a shard that is behind it.
	heads []atomic.Int64
	// circuits remember which servers are away.
	circuits *circuits
	// losses keep admission closed until they are made good.
	losses losses
	// clockOffset shifts Redis's clock, in ms. Tests alone set it.
	clockOffset atomic.Int64
}

// divide makes room for what is known of each shard.
func (s *shards) divide(count int) {
	s.tags, s.heads, s.circuits = shardTags(count), make([]atomic.Int64, count), newCircuits(s.client, count)
}

// create makes a new ledger. Several may do so at once, and one that was
// interrupted is completed by the next: the first to write the identity to
// shard 0 decides it, and "ready" is written when every shard has its meta.
func (s *shards) create(ctx context.Context) error {
	if _, err := s.scripts.areOpen(ctx, s.client, ""); err != nil { // before anything is written that cannot be used
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	identity, err := s.createShard(ctx, 0, newID("ledger_", time.Now()))
	if err != nil {
		return err
	}
	s.identity = identity
	for shard := 1; shard < len(s.tags); shard++ {
		there, err := s.createShard(ctx, shard, identity)
		if err != nil {
			return err
		}
		if there != identity {
			return fmt.Errorf("%w: shard %d belongs to another ledger (%s)", ErrUnavailable, shard, there)
		}
	}
	return unavailable(s.client.HSet(ctx, s.metaKey(0), metaReady, "1").Err())
}

// createShard writes a shard's meta where it is missing, and returns the identity that is there.
func (s *shards) createShard(ctx context.Context, shard int, identity string) (string, error) {
	key := s.metaKey(shard)
	var there *redis.StringCmd
	err := atOnce(ctx, s.client, func(p redis.Pipeliner) error {
		p.HSetNX(ctx, key, metaIdentity, identity)
		p.HSetNX(ctx, key, metaFormat, format)
		p.HSetNX(ctx, key, metaShards, len(s.tags))
		p.HSetNX(ctx, key, metaCurrency, s.currency)
		p.HSetNX(ctx, key, metaCreated, time.Now().UnixMilli())
		p.HSetNX(ctx, key, metaSeq, 0)
		there = p.HGet(ctx, key, metaIdentity)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return there.Val(), nil
}

// agreeOnTimezone takes over the time zone that is recorded where the options
// name none, so that a verb without a configuration counts a charge for the same
// day as the proxies do; and records theirs.
func (s *shards) agreeOnTimezone(ctx context.Context, o *Options, recorded string) (err error) {
	s.timezone = o.Timezone
	switch {
	case o.Timezone == nil: // "" is UTC
		if s.timezone, err = time.LoadLocation(recorded); err != nil {
			return fmt.Errorf("%w: the ledger's days are those of %q, which is not known here: give a configuration with policy.timezone", ErrInvalid, recorded)
		}
	case !o.Existing && recorded != o.Timezone.String():
		// This only matters to verbs: it must not keep a proxy from serving.
		if err := s.client.HSet(ctx, s.metaKey(0), metaTimezone, o.Timezone.String()).Err(); err != nil {
			s.logger.Warn("the ledger's time zone could not be recorded: verbs with TOLLGATE_REDIS alone may go by another", zap.Error(err))
		}
		if recorded != "" {
			s.logger.Warn("the days and months of limits and bills begin in another time zone than before",
				zap.String("before", recorded), zap.String("now", o.Timezone.String()))
		}
	}
	return nil
}

// verify looks at every shard: is it there, is it this ledger's, and has it
// all that this process has seen of it? Where the answer is no, the ledger
// stays closed; one with an archive is recovered instead (see readmit).
func (s *shards) verify(ctx context.Context) error {
	metas := make([]*redis.SliceCmd, len(s.tags))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range s.tags {
			metas[shard] = p.HMGet(ctx, s.metaKey(shard), metaIdentity, metaShards, metaCurrency, metaSeq, metaEpoch)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for shard, meta := range metas {
		if err := s.verifyShard(shard, meta.Val()); err != nil {
			return fmt.Errorf("%w: shard %d: %w", ErrUnavailable, shard, err)
		}
	}
	return nil
}

func (s *shards) verifyShard(shard int, meta []any) error {
	values := replyOf(meta)
	identity, shards, currency := values.text(0), values.text(1), values.text(2)
	at := positionOf(meta[3], meta[4])
	if meta[3] == nil {
		values.fail("a sequence", 3)
	}
	seen := s.at(shard)
	switch {
	case meta[0] == nil:
		return errors.New("its meta is gone: the ledger has been emptied, or this is another Redis")
	case values.err != nil:
		return fmt.Errorf("its meta is damaged: %w", values.err)
	case identity != s.identity:
		return fmt.Errorf("it belongs to another ledger (%s, not %s)", identity, s.identity)
	case shards != strconv.Itoa(len(s.tags)) || currency != s.currency:
		return fmt.Errorf("it says %s shards in %s, the ledger has %d in %s", shards, currency, len(s.tags), s.currency)
	case at < seen:
		return fmt.Errorf("it has gone back in time: its journal ends at %d, %d had been written", at.seq(), seen.seq())
	}
	if at.epoch() > seen.epoch() && seen != 0 {
		s.recoveredTo(shard, at)
		s.circuits.suspect()
	}
	s.see(shard, at)
	return nil
}

// recoveredTo takes in where a shard is after a recovery, and whether that is
// less than it had acknowledged to this process.
func (s *shards) recoveredTo(shard int, at position) {
	if at.seq() < s.at(shard).seq() {
		s.losses.add()
	}
	s.see(shard, at)
}

// learnRecovery takes in that a shard has been recovered by another process.
func (s *shards) learnRecovery(shard int, r *reply) error {
	seq, epoch := r.integer(1), r.integer(2)
	if err := r.problem(); err != nil {
		return err
	}
	s.recoveredTo(shard, positionAt(epoch, seq))
	s.circuits.suspect()
	return nil
}

// A node is a server and the shards that are on it.
type node struct {
	client *redis.Client
	shards []int
}

// nodes groups the shards by the masters that have them.
func (s *shards) nodes(ctx context.Context) ([]*node, error) {
	cluster, is := s.client.(*redis.ClusterClient)
	if !is {
		single, ok := s.client.(*redis.Client)
		if !ok {
			return nil, fmt.Errorf("%w: a client of kind %T cannot be recovered", ErrUnavailable, s.client)
		}
		all := &node{client: single}
		for shard := range s.tags {
			all.shards = append(all.shards, shard)
		}
		return []*node{all}, nil
	}
	var list []*node
	for shard := range s.tags {
		master, err := cluster.MasterForKey(ctx, s.metaKey(shard))
		if err != nil {
			return nil, fmt.Errorf("%w: shard %d: %w", ErrUnavailable, shard, err)
		}
		at := slices.IndexFunc(list, func(n *node) bool { return n.client == master })
		if at < 0 {
			at = len(list)
			list = append(list, &node{client: master})
		}
		list[at].shards = append(list[at].shards, shard)
	}
	return list, nil
}

// now is this process's clock, shifted as Redis's is in tests. It decides
// nothing about money but in which of a zone's offsets we are.
func (s *shards) now() time.Time {
	return time.Now().Add(time.Duration(s.clockOffset.Load()) * time.Millisecond)
}
