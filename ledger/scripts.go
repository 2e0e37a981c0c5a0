package ledger

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names scripts by SHA-1
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// A script is one Lua program: its file under lua/, the shared parts it is built on, and its SHA-1.
type script struct {
	name   string
	source string
	sha    string
	// brief scripts are those that a client waits for: one try is bounded by tryTimeout.
	brief bool
}

// scripts holds all of them.
type scripts struct {
	reserve, settle, release, extend, sweep, due, receipt, authenticate *script
	snapshot, create, status, topup, grant, revoke, createKey           *script
	revokeKey, refund, adjust, set, expire                              *script

	// watermark is the archiver's; recover and putback are loaded by a recovery alone.
	watermark, recover, putback *script

	all []*script
}

// buildScripts puts the scripts together. The embedded ledger does not know
// the shebang, and has no cluster to protect.
func buildScripts(embedded bool) (*scripts, error) {
	return buildScriptsFrom(luaFiles.ReadFile, embedded)
}

// buildScriptsFrom takes the files from read, which a test may have patched.
func buildScriptsFrom(read func(name string) ([]byte, error), embedded bool) (*scripts, error) {
	s := new(scripts)
	var failures []error
	build := func(name string, parts ...string) *script {
		built, err := buildScript(read, name, embedded, parts)
		if err != nil {
			failures = append(failures, err)
			return nil
		}
		s.all = append(s.all, built)
		return built
	}
	s.reserve = build("reserve", "pay", "use")
	s.settle = build("settle", "pay", "use", "charge")
	s.release = build("release", "pay", "use", "charge")
	s.extend = build("extend", "pay")
	s.sweep = build("sweep", "pay", "use", "charge")
	s.due = build("due")
	s.receipt = build("receipt")
	s.authenticate = build("authenticate", "pay", "use")
	s.snapshot = build("snapshot")
	s.create = build("create", "pay")
	s.status = build("status", "pay")
	s.topup = build("topup", "pay", "ref")
	s.grant = build("grant", "pay", "ref")
	s.revoke = build("revoke", "pay")
	s.createKey = build("key_create", "pay")
	s.revokeKey = build("key_revoke", "pay")
	s.refund = build("refund", "pay", "use", "charge", "ref")
	s.adjust = build("adjust", "pay", "ref")
	s.set = build("set", "pay")
	s.expire = build("expire", "pay")
	s.watermark = build("watermark")
	all := s.all
	s.recover, s.putback = build("recover"), build("putback", "pay")
	s.all = all // a recovery alone loads those two, before all others
	if len(failures) > 0 {
		return nil, errors.Join(failures...)
	}
	for _, brief := range []*script{s.reserve, s.settle, s.release, s.extend} {
		brief.brief = true
	}
	return s, nil
}

// buildScript puts lib.lua and the parts between the shebang and the body, so
// that a script can use what they define.
func buildScript(read func(string) ([]byte, error), name string, embedded bool, parts []string) (*script, error) {
	body, err := read("lua/" + name + ".lua")
	if err != nil {
		return nil, err
	}
	shebang, rest, found := strings.Cut(string(body), "\n")
	if !found || !strings.HasPrefix(shebang, "#!lua") {
		return nil, fmt.Errorf("lua/%s.lua does not begin with #!lua", name)
	}
	var source strings.Builder
	if !embedded {
		source.WriteString(shebang + "\n")
	}
	for _, part := range append([]string{"lib"}, parts...) {
		text, err := read("lua/" + part + ".lua")
		if err != nil {
			return nil, err
		}
		source.Write(text)
	}
	source.WriteString(rest)
	sum := sha1.Sum([]byte(source.String())) //nolint:gosec // as above
	return &script{name: name, source: source.String(), sha: hex.EncodeToString(sum[:])}, nil
}

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
		} else if err = l.readmit(ctx, s, shard); err == nil {
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
	if s.brief {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, tryTimeout)
		defer cancel()
	}
	values, err := l.client.EvalSha(ctx, s.sha, keys, args...).Slice()
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

func isNoScript(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }

// readmit looks at a server that has lost its scripts, and loads them when it
// is still the ledger that this process knows. One does it for all.
// A ledger with an archive is compared with that: see recovery.go.
func (l *Ledger) readmit(ctx context.Context, missing *script, shard int) error {
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
	if loaded, err := l.loaded(ctx, missing); err != nil || loaded {
		return err
	}
	if err := l.verify(ctx); err != nil {
		return err
	}
	err := l.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		if exists, err := c.ScriptExists(ctx, missing.sha).Result(); err != nil || exists[0] {
			return err
		}
		return l.newAOF(ctx, c)
	})
	if err != nil {
		return err
	}
	return l.load(ctx)
}

// loaded reports whether every master has the script: another may have been here first.
func (l *Ledger) loaded(ctx context.Context, s *script) (bool, error) {
	everywhere := true
	err := l.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		exists, err := c.ScriptExists(ctx, s.sha).Result()
		if err == nil && !exists[0] {
			everywhere = false
		}
		return err
	})
	return everywhere, err
}

// load gives the scripts to every master. It is called when the server has
// been verified, and never otherwise: the script cache is the fence that keeps
// everybody from writing to a server that has gone back in time.
func (l *Ledger) load(ctx context.Context) error {
	return l.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, s := range l.scripts.all {
				p.ScriptLoad(ctx, s.source)
			}
			return nil
		})
		return err
	})
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
