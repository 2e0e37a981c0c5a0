package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// A Redis that can be read and would let no hold be placed is not ready: every call is refused.
func TestReadyWhereNoHoldCanBePlaced(t *testing.T) {
	f := newFixture(t, Options{Shards: 2}, redistest.WithConfig("--maxmemory-policy", "noeviction"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	c := f.server.Client()
	set := func(name, value string) func() error {
		return func() error { return c.ConfigSet(f.ctx(), name, value).Err() }
	}
	type state struct{ begin, end func() error }
	right := func(command string) state {
		set := func(sign string) func() error {
			return func() error { return c.Do(f.ctx(), "ACL", "SETUSER", "default", sign+command).Err() }
		}
		return state{set("-"), set("+")}
	}
	cases := map[string]state{
		"full":             {set("maxmemory", "1"), set("maxmemory", "0")},
		"without replicas": {set("min-replicas-to-write", "1"), set("min-replicas-to-write", "0")},
		"a replica": {
			func() error { return c.ReplicaOf(f.ctx(), "127.0.0.1", "1").Err() },
			func() error { return c.ReplicaOf(f.ctx(), "no", "one").Err() },
		},
		"without the library": {
			func() error { return c.FunctionFlush(f.ctx()).Err() },
			func() error { return f.ledger.recoverer.readmit(f.ctx(), 0) },
		},
		"without the right to":                      right("fcall"),
		"without the right to what a hold does":     right("hset"),
		"without the right to what a charge does":   right("xadd"),
		"without the right to what a deadline does": right("zadd"),
	}
	for name, state := range cases {
		t.Run(name, func(t *testing.T) {
			f.must(f.ledger.Ready(f.ctx()))
			f.must(state.begin())
			if err := f.ledger.Ready(f.ctx()); err == nil {
				t.Error("ready")
			} else {
				wants(t, err, ErrUnavailable)
			}
			f.must(state.end())
			f.must(f.ledger.Ready(f.ctx()))
		})
	}
	f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
}

// Whoever asks gives up before a Redis that stands still does: the reason says who did not answer.
func TestReadyNamesASilentRedis(t *testing.T) {
	f := newFixture(t, Options{})
	f.server.Pause()
	defer f.server.Resume()
	short, cancel := context.WithTimeout(f.ctx(), 50*time.Millisecond)
	defer cancel()
	err := f.ledger.Ready(short)
	wants(t, err, ErrUnavailable)
	if !strings.Contains(err.Error(), "Redis does not answer") {
		t.Errorf("Ready says %q", err)
	}
}

// Redis 8 does not answer whether a command is allowed unless it is given as many arguments as it takes, and Redis 7.0, which
// the tests mostly run on, whatever it is given.
func TestReadyWhereArgumentsAreCounted(t *testing.T) {
	f := newFixture(t, Options{Shards: 2})
	const counting = `(function(command, ...)
		local takes, given = redis.call('COMMAND', 'INFO', command)[1][2], select('#', ...) + 1
		if takes > 0 and given ~= takes or given < -takes then error('Wrong number of args') end
		return redis.acl_check_cmd(command, ...)
	end)`
	c, library := f.server.Client(), f.ledger.scripts.library
	strict := strings.ReplaceAll(library, "redis.acl_check_cmd", counting)
	if strict == library {
		t.Fatal("the library does not ask whether a command is allowed")
	}
	f.must(c.FunctionLoadReplace(f.ctx(), strict).Err())
	f.must(f.ledger.openServer(f.ctx(), c))
	f.must(f.ledger.Ready(f.ctx()))
	f.must(c.Do(f.ctx(), "ACL", "SETUSER", "default", "-xadd").Err())
	wants(t, f.ledger.Ready(f.ctx()), ErrUnavailable)
	f.must(c.Do(f.ctx(), "ACL", "SETUSER", "default", "+xadd").Err())
	f.must(f.ledger.Ready(f.ctx()))
}
