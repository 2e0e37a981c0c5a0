package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

// A process may die between any two of its commands to Redis, before one is
// executed or after it was and the reply is lost. Here it dies at each of them
// in turn, and another has to go on from there.

// mortal is a client's hook: at its nth command from now the process dies.
type mortal struct {
	left  int  // commands it has to live, a pipeline being one; 0: it is dead
	after bool // the last one is executed, and nobody hears of it
}

var errDead = errors.New("the process is dead")

func (*mortal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *mortal) live(command func() error) error {
	if m.left == 0 {
		return errDead
	}
	if m.left--; m.left > 0 {
		return command()
	}
	if m.after {
		_ = command() // it happens, and does not matter to the dead
	}
	return errDead
}

func (m *mortal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := m.live(func() error { return next(ctx, command) })
		if errors.Is(err, errDead) {
			command.SetErr(err)
		}
		return err
	}
}

func (m *mortal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := m.live(func() error { return next(ctx, commands) })
		if errors.Is(err, errDead) {
			for _, command := range commands {
				command.SetErr(err)
			}
		}
		return err
	}
}

// dying lets do be done again and again by a process that dies one command
// later each time, until it has lived through it.
func (f *fixture) dying(o Options, prepare func(), do func(l *Ledger) error, check func(died bool)) {
	f.Helper()
	deaths := 0
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			l := f.open(o)
			prepare()
			m := &mortal{left: n, after: after}
			l.client.AddHook(m)
			err := do(l)
			died := m.left == 0
			if died {
				deaths++
			} else {
				f.must(err)
			}
			check(died)
			if f.Failed() {
				f.Fatalf("it died at command %d, after it was executed: %t", n, after)
			}
			if !died {
				break
			}
		}
	}
	if deaths < 6 {
		f.Errorf("it died %d times: this proves little", deaths)
	}
	f.Logf("it died %d times", deaths)
}

// withoutLock does as if the lock of a recovery that died had run out.
func (f *fixture) withoutLock() {
	f.Helper()
	f.must(f.server.Client().Del(f.ctx(), f.ledger.tags[0]+"recovery").Err())
}

// SAME-FATE, ARCHIVE-PREFIX: wherever a recovery dies, the next one goes on.
func TestRecoveryDiesAnywhere(t *testing.T) {
	f := archived(t, Options{Shards: 2, ArchiveKeep: time.Hour}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
	tr := f.traffic(3, "acme", "bolt")
	start := f.dump()
	tr.run(40)
	tr.finish()
	f.archiveNow()
	before, journal := withoutHolds(f.books()), f.journals(f.ledger)
	o := Options{Shards: 2, Archive: f.ledger.vault.address, ArchiveKeep: time.Hour}
	f.dying(o, func() {
		f.restore(start)
		f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	}, func(l *Ledger) error { return l.recoverer.recoverShard(f.ctx(), 0) }, func(died bool) {
		if died {
			f.withoutLock()
		}
		_, err := f.ledger.Account(f.ctx(), "acme")
		f.must(err)
		f.sameBooks(before, withoutHolds(f.books()))
		f.sameBooks(journal, f.journals(f.ledger))
	})
}

// ONCE, NO-LOST: wherever a replay dies, the next start of its proxy books what is missing.
func TestReplayDiesAnywhere(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	var ids []string
	p.dying(Options{}, func() {
		ids = ids[:0]
		away := l.circuits.of(l.shardOf("acme"))
		for i := range 5 { // two promises, a release and two calls that never end, one of which has delivered something
			h := p.reserveOn(l, cost(t, "0.01"))
			ids = append(ids, h.ID)
			if i == 4 {
				p.must(l.Extend(p.ctx(), Checkpoint{settlement(h, cost(t, "0.005"))}))
			}
			away.until.Store(time.Now().Add(time.Hour).UnixNano())
			switch i {
			case 0, 1:
				r, err := l.Settle(p.ctx(), settlement(h, cost(t, "0.01")))
				p.must(err)
				if !r.Pending {
					t.Fatal("it is booked already")
				}
			case 2:
				_, err := l.Release(p.ctx(), h.Account, h.ID)
				wants(t, err, ErrUnavailable)
			}
			away.until.Store(0)
		}
		p.die(l)
	}, func(dying *Ledger) error {
		log, err := openSettleLog(p.dir+"/0", dying.identity, dying.shardOf, false, 0)
		p.must(err)
		defer log.wal.Close()
		r := &replay{ledger: dying, log: log}
		return r.run(p.ctx())
	}, func(bool) {
		l = p.start(Options{})
		for i, id := range ids {
			charges := 0
			for _, e := range p.entries("acme", TypeCharge, TypeAbandon) {
				if e.RequestID == id {
					charges++
				}
			}
			if want := map[int]int{0: 1, 1: 1, 4: 1}[i]; charges != want {
				t.Errorf("ONCE: call %d is charged %d times, want %d", i, charges, want)
			}
		}
		if held := p.read("acme").Held; held != 0 {
			t.Errorf("RESOLVE: %s is held", held)
		}
	})
}

// DENSE, ARCHIVE-PREFIX: wherever an archiver dies, the next one goes on.
func TestArchiverDiesAnywhere(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("bolt", "10", "0", AccountOptions{})
	o := Options{Shards: 2, Archive: f.ledger.vault.address}
	f.dying(o, func() {
		for range 3 {
			f.topup("acme", Bonus, "0.1")
			f.topup("bolt", Bonus, "0.1")
		}
	}, func(l *Ledger) error {
		w := l.archiver
		w.round(f.ctx())
		w.endLease(f.ctx()) // as when it runs out
		return w.state.Err
	}, func(bool) {
		f.archiveNow()
		f.audit()
		for shard := range f.ledger.tags {
			if n := f.hot(shard); n != 1 {
				t.Errorf("shard %d keeps %d entries, want the last archived one", shard, n)
			}
		}
	})
}
