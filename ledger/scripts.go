package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// args begins ARGV of a script: identity, position (which runOnce fills in),
// clock offset.
func (l *Ledger) args(more int) []any {
	args := make([]any, 0, 3+more)
	offset := any("0")
	if shifted := l.clockOffset.Load(); shifted != 0 {
		offset = shifted
	}
	return append(args, &l.identity, "", offset)
}

// texts appends arguments. The client takes a *string as it takes a string,
// and a pointer fits into an interface without an allocation of its own.
func texts(args []any, list ...string) []any {
	for i := range list {
		args = append(args, &list[i])
	}
	return args
}

// briefly is a context whose deadline ends the waiting for the network without a
// timer: what waits for something else in it must be bounded otherwise.
type briefly struct {
	context.Context //nolint:containedctx // it is one
	deadline        time.Time
}

func brieflyIn(ctx context.Context, limit time.Duration) context.Context {
	deadline := time.Now().Add(limit)
	if earlier, is := ctx.Deadline(); is && earlier.Before(deadline) {
		return ctx
	}
	return briefly{ctx, deadline}
}

func (b briefly) Deadline() (time.Time, bool) { return b.deadline, true }

// run runs a script, in one round trip. Whatever keeps it from an answer that
// can be trusted is ErrUnavailable.
func (l *Ledger) run(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
	start := time.Now()
	r, err := l.runOnce(ctx, s, shard, keys, args)
	if isNoScript(err) {
		// The server has come up anew since its library was opened, and has it
		// closed: nobody may write to it before it
		// has been looked at again. This is the one way back in.
		l.circuits.suspect()
		if s.brief && l.circuits.watched.Load() {
			l.circuits.foundAway(shard) // RunReplay sees to it; no client waits for a recovery
			err = errAnew
		} else {
			patient, cancel := context.WithTimeout(ctx, recoveryPatience)
			if err = l.readmit(patient, shard); err == nil {
				r, err = l.runOnce(ctx, s, shard, keys, args)
			}
			cancel()
		}
	}
	if l.vault != nil && errors.Is(err, errBehind) {
		// It went back without coming up anew: its library is still open.
		if err = l.recoverBehind(ctx, shard, l.at(shard)); err == nil {
			r, err = l.runOnce(ctx, s, shard, keys, args)
		}
	}
	l.circuits.learn(shard, err)
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %s: %w", ErrUnavailable, s.name, err)
	}
	if l.observe != nil {
		l.observe(s.name, time.Since(start), err)
	}
	return r, err
}

func (l *Ledger) runOnce(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error) {
	seen := l.at(shard)
	args[1] = seen.String()
	call := &scriptCall{script: s, keys: keys, args: args}
	ask := l.alone
	if s.brief {
		ctx, ask = brieflyIn(ctx, tryTimeout), l.circuits.of(shard).convoy.send
	}
	values, err := ask(ctx, call)
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
		return l.runOnce(ctx, s, shard, keys, args) // epochs only rise, so this ends
	}
	l.see(shard, positionAt(seen.epoch(), seq))
	return r, nil
}

// alone makes a call by itself.
func (l *Ledger) alone(ctx context.Context, c *scriptCall) ([]any, error) {
	c.alone(ctx, l.client)
	return c.reply, c.err
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
		open, err := l.scripts.areOpen(ctx, c, l.identity)
		everywhere = everywhere && open
		return err
	})
	return everywhere, err
}

// openServer opens a server that has been verified, if it is closed.
func (l *Ledger) openServer(ctx context.Context, c redis.Cmdable) error {
	found, err := l.scripts.state(ctx, c, l.identity)
	if err != nil || found == libraryOpen {
		return err
	}
	if err := l.newAOF(ctx, c); err != nil {
		return err
	}
	if found == libraryClosed { // one command: a server that is full takes no MULTI
		return c.FCall(ctx, l.scripts.toOpen(), nil, l.identity).Err()
	}
	_, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		l.scripts.open(ctx, p, found, l.identity)
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
