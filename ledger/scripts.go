package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// truth is a bool as the scripts take it.
func truth(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// whole and ms are numbers as the scripts read them.
func whole(n int64) string             { return strconv.FormatInt(n, 10) }
func ms(duration time.Duration) string { return whole(duration.Milliseconds()) }

// long is what lua/lib.lua has under that name.
func long(text string) string { return text + strings.Repeat(" ", max(0, 65-len(text))) }

// args begins ARGV of a script: identity, position (which runOnce fills in),
// clock offset.
func (s *shards) args(more int) []any {
	args := make([]any, 0, 3+more)
	offset := any("0")
	if shifted := s.clockOffset.Load(); shifted != 0 {
		offset = shifted
	}
	return append(args, &s.identity, "", offset)
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
		if err = l.reopen(ctx, s, shard); err == nil {
			r, err = l.runOnce(ctx, s, shard, keys, args)
		}
	}
	if l.vault.here() && errors.Is(err, errBehind) {
		// It went back without coming up anew: its library is still open.
		if err = l.recoverer.recoverBehind(ctx, shard, l.at(shard)); err == nil {
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

// reopen verifies a server that has come up anew since its library was opened, and
// opens it again. Nobody may write to it before, and there is no other way in.
func (l *Ledger) reopen(ctx context.Context, s *script, shard int) error {
	l.circuits.suspect()
	if s.brief && l.circuits.watched.Load() {
		l.circuits.foundAway(shard) // RunReplay sees to it; no client waits for a recovery
		return l.circuits.anew(shard)
	}
	patient, cancel := context.WithTimeout(ctx, recoveryPatience)
	defer cancel()
	err := l.recoverer.readmit(patient, shard)
	l.circuits.learnOpening(shard, err)
	return err
}

// runOnce asks a script, and takes in what its answer says of the shard.
func (s *shards) runOnce(ctx context.Context, called *script, shard int, keys []string, args []any) (*reply, error) {
	seen := s.at(shard)
	call := &scriptCall{script: called, keys: keys, args: args, seen: seen.String()}
	args[1] = &call.seen
	if err := s.ask(ctx, shard, call); err != nil {
		return nil, err
	}
	r := &call.reply
	outcome, seq := r.text(0), r.integer(1)
	if r.err != nil {
		return nil, fmt.Errorf("%s: %w", called.name, r.err)
	}
	switch outcome {
	case "AWAY":
		return nil, fmt.Errorf("%w: shard %d: %w", ErrUnavailable, shard, strangeError(r.text(2)))
	case "EPOCH":
		if err := s.learnRecovery(shard, r); err != nil {
			return nil, err
		}
		return s.runOnce(ctx, called, shard, keys, args) // epochs only rise, so this ends
	}
	s.see(shard, positionAt(seen.epoch(), seq))
	return r, nil
}

// ask makes a call: in a convoy, if it is one of a call's own.
func (s *shards) ask(ctx context.Context, shard int, c *scriptCall) error {
	if c.script.solo {
		ctx = brieflyIn(ctx, tryTimeout)
	} else if c.script.brief {
		return s.circuits.of(shard).convoy.send(brieflyIn(ctx, tryTimeout), c)
	}
	c.alone(ctx, s.client)
	return c.err
}

// areOpen reports whether the scripts can be called on every master.
func (s *shards) areOpen(ctx context.Context) (bool, error) {
	everywhere := true
	err := s.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		open, err := s.scripts.areOpen(ctx, c, s.identity)
		everywhere = everywhere && open
		return err
	})
	return everywhere, err
}

// takesCalls asks every server that can fail by itself whether it would place a hold:
// one that can be read may still be full, a replica or not verified, or its clock may
// make all that comes from here too old.
func (s *shards) takesCalls(ctx context.Context) error {
	if s.scripts.library == "" {
		return nil
	}
	var clock *redis.TimeCmd
	answers := make([]*redis.Cmd, len(s.circuits.list))
	sendAll(ctx, s.client, func(p redis.Pipeliner) error {
		clock = p.Time(ctx)
		for shard := range answers {
			answers[shard] = commandOf(ctx, "fcall", s.scripts.toTry(), []string{s.metaKey(shard)}, []any{s.identity})
			_ = p.Process(ctx, answers[shard])
		}
		return nil
	})
	for shard, answer := range answers {
		switch err := answer.Err(); {
		case isNoScript(err):
			return s.circuits.anew(shard)
		case err != nil:
			return unavailable(err)
		}
	}
	if there, err := clock.Result(); err == nil && time.Until(there) > admissible {
		return fmt.Errorf("%w: %w: Redis's clock says %s, this machine's says %s", ErrUnavailable, ErrClock, there.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
	}
	return nil
}

// openServer opens a server that has been verified, if it is closed.
func (s *shards) openServer(ctx context.Context, c redis.Cmdable) error {
	found, err := s.scripts.state(ctx, c, s.identity)
	if err != nil || found == libraryOpen {
		return err
	}
	if err := s.newAOF(ctx, c); err != nil {
		return err
	}
	if found == libraryClosed { // one command: a server that is full takes no MULTI
		return c.FCall(ctx, s.scripts.toOpen(), nil, s.identity).Err()
	}
	return atOnce(ctx, c, func(p redis.Pipeliner) error {
		s.scripts.open(ctx, p, found, s.identity)
		return nil
	})
}

// sendAll sends commands in one go, each of which then has an answer or an error of its own. go-redis sets none
// where the server has refused the connection (a password that was changed, a user that is gone): they would seem
// to have been answered with nothing.
func sendAll(ctx context.Context, c redis.Cmdable, fill func(redis.Pipeliner) error) {
	commands, err := c.Pipelined(ctx, fill)
	if err == nil || slices.ContainsFunc(commands, func(command redis.Cmder) bool { return command.Err() != nil }) {
		return
	}
	for _, command := range commands {
		command.SetErr(err)
	}
}

// atOnce sends commands as one transaction. If Redis refuses one of them, EXEC only
// says that it was aborted: the error returned is that of the refused command.
func atOnce(ctx context.Context, c interface {
	TxPipelined(ctx context.Context, fill func(redis.Pipeliner) error) ([]redis.Cmder, error)
}, fill func(redis.Pipeliner) error,
) error {
	commands, err := c.TxPipelined(ctx, fill)
	if redis.IsExecAbortError(err) {
		for _, one := range commands {
			if why := one.Err(); why != nil && !redis.IsExecAbortError(why) {
				return why
			}
		}
	}
	return err
}

// eachMaster calls f for every master of a cluster one after the other, or for the one server.
func (s *shards) eachMaster(ctx context.Context, f func(context.Context, redis.Cmdable) error) error {
	cluster, is := s.client.(*redis.ClusterClient)
	if !is {
		return f(ctx, s.client)
	}
	turn := make(chan struct{}, 1)
	return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		return f(ctx, c)
	})
}
