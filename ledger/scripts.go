package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// args begins ARGV of a script on a shard: identity, position, clock offset.
func (l *Ledger) args(shard, more int) []any {
	args := make([]any, 0, 3+more)
	return append(args, l.identity, l.at(shard), strconv.FormatInt(l.clockOffset.Load(), 10))
}

// run runs a script, in one round trip. Whatever keeps it from an answer that
// can be trusted is ErrUnavailable.
func (l *Ledger) run(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
	start := time.Now()
	r, err := l.runOnce(ctx, s, shard, keys, args)
	if isNoScript(err) {
		// The server has come up anew since its scripts were loaded, and has
		// lost its script cache with that: nobody may write to it before it
		// has been looked at again. This is the one way back in.
		l.suspect()
		if s.brief && l.circuits.watched.Load() {
			l.trip(shard) // RunReplay sees to it; no client waits for a recovery
			err = errAnew
		} else if err = l.readmit(ctx, shard); err == nil {
			r, err = l.runOnce(ctx, s, shard, keys, args)
		}
	}
	if seen, ok := args[1].(position); ok && l.vault != nil && errors.Is(err, errBehind) {
		// It went back without coming up anew: its scripts are still there.
		if err = l.recoverBehind(ctx, shard, seen); err == nil {
			r, err = l.runOnce(ctx, s, shard, keys, args)
		}
	}
	l.learn(shard, err)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %s: %w", ErrUnavailable, s.name, err)
	}
	if l.observe != nil {
		l.observe(s.name, time.Since(start), err)
	}
	return r, err
}

func (l *Ledger) runOnce(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
	command, err := s.command(ctx, keys, args), error(nil)
	if s.brief {
		brief, cancel := context.WithTimeout(ctx, tryTimeout)
		defer cancel()
		err = l.circuits.of(shard).convoy.send(brief, command)
	} else {
		err = l.client.Process(ctx, command)
	}
	if err != nil {
		return nil, err
	}
	values, err := command.Slice()
	if err != nil {
		return nil, err
	}
	r := &reply{values: values}
	outcome, seq := r.text(0), r.integer(1)
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, r.err)
	}
	switch outcome {
	case "AWAY":
		if r.text(2) == errBehind.Error() {
			return nil, fmt.Errorf("%w: shard %d: %w", ErrUnavailable, shard, errBehind)
		}
		return nil, fmt.Errorf("%w: shard %d: %s", ErrUnavailable, shard, r.text(2))
	case "EPOCH":
		if err := l.learnRecovery(shard, r); err != nil {
			return nil, err
		}
		args[1] = l.at(shard)
		return l.runOnce(ctx, s, shard, keys, args) // epochs only rise, so this ends
	}
	sent, _ := args[1].(position)
	l.see(shard, positionAt(sent.epoch(), seq))
	return r, nil
}

// readmit looks at the servers when one is closed, and opens them when they
// are still the ledger that this process knows. One does it for all.
// A ledger with an archive is compared with that: see recovery.go.
func (l *Ledger) readmit(ctx context.Context, shard int) error {
	if l.vault != nil {
		return l.recoverShard(ctx, shard)
	}
	if l.archiveRecorded != "" {
		return fmt.Errorf("%w: Redis came up anew, and must be compared with the ledger's archive (%s), which is not configured here: name it as archive.url",
			ErrUnavailable, l.archiveRecorded)
	}
	select {
	case l.admitting <- struct{}{}:
		defer func() { <-l.admitting }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if open, err := l.areOpen(ctx); err != nil || open {
		return err
	}
	if err := l.verify(ctx); err != nil {
		return err
	}
	return l.eachMaster(ctx, l.openServer)
}

// areOpen reports whether the scripts can be called on every master.
func (l *Ledger) areOpen(ctx context.Context) (bool, error) {
	everywhere := true
	err := l.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		open, err := l.scripts.areOpen(ctx, c)
		everywhere = everywhere && open
		return err
	})
	return everywhere, err
}

// openServer opens a server that has been verified, if it is closed.
func (l *Ledger) openServer(ctx context.Context, c redis.Cmdable) error {
	found, err := l.scripts.state(ctx, c)
	if err != nil || found == libraryOpen {
		return err
	}
	if err := l.newAOF(ctx, c); err != nil {
		return err
	}
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		l.scripts.open(ctx, p, found)
		return nil
	})
	return err
}

// eachMaster calls f for every master of a cluster one after the other, or for the one server.
func (l *Ledger) eachMaster(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	cluster, is := l.client.(*redis.ClusterClient)
	if !is {
		return f(ctx, l.client)
	}
	turn := make(chan struct{}, 1)
	return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		return f(ctx, c)
	})
}
