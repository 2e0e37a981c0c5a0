package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// A Redis that is full is emptied by nothing but the archiver's trimming: that must go on.
func TestFullRedisIsTrimmed(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: 0}, redistest.WithConfig("--maxmemory-policy", "noeviction"))
	f.account("acme", "100", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range 50 {
		f.settle(f.reserve(key, cost(t, "1")), cost(t, "1"))
	}
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "1").Err())
	before := f.hot(0)
	w := f.ledger.archiver
	w.round(f.ctx())
	if w.state.Err != nil {
		t.Errorf("archiving on a full Redis: %v", w.state.Err)
	}
	if n := f.hot(0); n > 1 {
		t.Errorf("a full Redis keeps %d of %d entries that are archived", n, before)
	}
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "0").Err())
}

// A full Redis that restarts is opened again: what is in flight must be booked.
func TestFullRedisIsOpenedAgain(t *testing.T) {
	f := newFixture(t, Options{Shards: 1}, redistest.WithConfig("--maxmemory-policy", "noeviction"), redistest.WithAOF("always"))
	f.account("acme", "100", "0", AccountOptions{})
	hold := f.reserve(f.key("acme", KeyLimits{}), cost(t, "1"))
	f.server.Stop()
	f.server.Start()
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "1").Err())
	if _, err := f.ledger.Settle(f.ctx(), settlement(hold, cost(t, "1"))); err != nil {
		t.Errorf("settling after a restart of a full Redis: %v", err)
	}
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "0").Err())
	f.must(f.ledger.Ready(f.ctx()))
}

// A Redis that refuses every hold (no replica in reach, its disk full, a right missing, a shard that has gone back in
// time) costs a refused call nothing that stays.
func TestRefusedWritesDoNotPileUp(t *testing.T) {
	for name, set := range map[string]func(p *logged, l *Ledger, refuses bool) error{
		"no replica": func(p *logged, _ *Ledger, refuses bool) error {
			return p.server.Client().ConfigSet(p.ctx(), "min-replicas-to-write", truth(refuses)).Err()
		},
		"no right": func(p *logged, _ *Ledger, refuses bool) error {
			return p.server.Client().Do(p.ctx(), "ACL", "SETUSER", "default", map[bool]string{true: "-fcall", false: "+fcall"}[refuses]).Err()
		},
		"no right to what a script does": func(p *logged, _ *Ledger, refuses bool) error {
			return p.server.Client().Do(p.ctx(), "ACL", "SETUSER", "default", map[bool]string{true: "-hset", false: "+hset"}[refuses]).Err()
		},
		"gone back": func(p *logged, l *Ledger, refuses bool) error {
			back := map[bool]int64{true: -1, false: 1}[refuses]
			return p.server.Client().HIncrBy(p.ctx(), l.metaKey(l.shardOf("acme")), "seq", back).Err()
		},
	} {
		t.Run(name, func(t *testing.T) { refusedWritesDoNotPileUp(t, set) })
	}
}

func refusedWritesDoNotPileUp(t *testing.T, set func(p *logged, l *Ledger, refuses bool) error) {
	t.Helper()
	p, l := newLogged(t, Options{}, redistest.WithConfig("--save", ""))
	p.settle(p.reserve(p.key, cost(t, "1")), cost(t, "1"))
	p.must(l.Ready(p.ctx()))
	p.replaying(l)
	p.must(set(p, l, true))
	before, _ := l.LogState()
	for range 500 {
		_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
		wants(t, err, ErrUnavailable)
	}
	after, _ := l.LogState()
	if after.Pending > 20 {
		t.Errorf("%d releases are pending after 500 refused calls, and the log has grown by %d bytes", after.Pending, after.Bytes-before.Bytes)
	}
	p.must(set(p, l, false))
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	if n := fieldsIn(p.fixture); n > 20 {
		t.Errorf("%d markers of calls that were never placed", n)
	}
}

// Calls that a full Redis refuses leave nothing behind in it.
func TestFullRedisDoesNotGrowByRefusals(t *testing.T) {
	p, l := newLogged(t, Options{Shards: 4}, redistest.WithConfig("--maxmemory-policy", "noeviction"))
	p.must(p.server.Client().ConfigSet(p.ctx(), "maxmemory", "1").Err())
	before := fieldsIn(p.fixture)
	p.replaying(l)
	for range 200 {
		_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
		wants(t, err, ErrUnavailable)
	}
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	if after := fieldsIn(p.fixture); after-before > 20 {
		t.Errorf("a full Redis has %d markers more after 200 refused calls", after-before)
	}
	p.must(p.server.Client().ConfigSet(p.ctx(), "maxmemory", "0").Err())
}

func fieldsIn(f *fixture) (n int64) {
	f.Helper()
	keys, err := f.server.Client().Keys(f.ctx(), "*done:*").Result()
	f.must(err)
	for _, k := range keys {
		m, err := f.server.Client().HLen(f.ctx(), k).Result()
		f.must(err)
		n += m
	}
	return n
}
