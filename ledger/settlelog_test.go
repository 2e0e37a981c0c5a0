package ledger

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/meter"
)

// logged is a proxy's ledger with a settlement log, beside the fixture's own.
type logged struct {
	*fixture
	dir string
	key Credential
}

// newLogged makes an account with money and a ledger with a log.
func newLogged(t *testing.T, o Options, with ...redistest.Option) (*logged, *Ledger) {
	f := newFixture(t, Options{}, with...)
	f.account("acme", "10", "0", AccountOptions{})
	p := &logged{fixture: f, dir: filepath.Join(t.TempDir(), "log"), key: f.key("acme", KeyLimits{})}
	l := p.start(o)
	return p, l
}

// start is the start of a proxy on the log.
func (p *logged) start(o Options) *Ledger {
	p.Helper()
	o.Log = p.dir
	return p.open(o)
}

// die ends a proxy as kill -9 does: what it has not written is gone.
func (p *logged) die(l *Ledger) {
	p.Helper()
	p.must(l.log.wal.Close())
	p.must(l.closeClient())
}

// replaying lets RunReplay run until the test ends.
func (p *logged) replaying(l *Ledger) {
	ctx, cancel := context.WithCancel(p.ctx())
	done := make(chan struct{})
	go func() { defer close(done); l.RunReplay(ctx) }()
	p.Cleanup(func() { cancel(); <-done })
	eventually(p, "RunReplay watches", l.circuits.watched.Load)
}

func (p *logged) reserveOn(l *Ledger, quote meter.Charge) *Hold {
	p.Helper()
	h, err := l.Reserve(p.ctx(), p.reservation(p.key, quote))
	p.must(err)
	return h
}

func (p *logged) charges(want int) {
	p.Helper()
	if n := len(p.entries("acme", TypeCharge)); n != want {
		p.Errorf("ONCE: %d charges, want %d", n, want)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// within fails when something takes longer than a client should wait.
func within(t testing.TB, limit time.Duration, what string, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > limit {
		t.Errorf("%s took %s, want at most %s", what, took, limit)
	}
}

// NO-LOST, ONCE: with Redis away, a charge is promised, and booked when it is back.
func TestOutageIsBookedLaterOnce(t *testing.T) {
	for _, durability := range []string{DurabilityNormal, DurabilityStrict} {
		t.Run(durability, func(t *testing.T) {
			p, l := newLogged(t, Options{Durability: durability}, redistest.WithAOF("always"))
			p.replaying(l)
			late := p.reservation(p.key, cost(t, "2"))
			settled := p.reserveOn(l, cost(t, "3"))
			released, err := l.Reserve(p.ctx(), late)
			p.must(err)
			p.server.Kill()
			receipt, err := l.Settle(p.ctx(), settlement(settled, cost(t, "1")))
			p.must(err)
			if !receipt.Pending || receipt.ID != "" || receipt.FeeDue() != p.nano("1") || len(receipt.Lines) != 1 || receipt.Usage.Quantities[meter.Call] == 0 {
				t.Errorf("receipt %+v", receipt)
			}
			_, err = l.Release(p.ctx(), "acme", released.ID)
			wants(t, err, ErrUnavailable)
			for range 20 {
				_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
				wants(t, err, errAway) // Redis is not even asked
			}
			if s, _ := l.LogState(); s.Pending != 2 || s.InFlight != 0 {
				t.Errorf("state %+v, want 2 pending", s)
			}
			p.server.Start()
			eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
			p.balances("acme", "9 0 0")
			again, err := l.Settle(p.ctx(), settlement(settled, cost(t, "1")))
			p.must(err)
			if !again.Repeated || again.Pending {
				t.Errorf("settled again: %+v", again)
			}
			p.charges(1)
			p.reserveOn(l, cost(t, "1"))
			_, err = p.ledger.Reserve(p.ctx(), late) // it was delayed on its way, and arrives after its release
			wants(t, err, ErrConflict)
		})
	}
}

// The proxy is killed while Redis is away; its next start books what it had promised.
func TestPromiseOutlivesTheProxy(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	promised, idle := p.reserveOn(l, cost(t, "3")), p.reserveOn(l, cost(t, "2"))
	p.server.Kill()
	_, err := l.Settle(p.ctx(), settlement(promised, cost(t, "1")))
	p.must(err)
	p.die(l)
	p.server.Start()
	p.start(Options{})
	p.balances("acme", "9 0 0")
	p.charges(1)
	// The call that had delivered nothing was given back at once, for good.
	_, err = p.ledger.Settle(p.ctx(), settlement(idle, cost(t, "1")))
	wants(t, err, ErrConflict)
}

// What a call of a dead proxy had last reported is charged by the policy, not at its deadline.
func TestReconciliationOfADeadProxy(t *testing.T) {
	for policy, want := range map[string]string{
		ChargeCheckpoint: "9.75 0 0", ReleaseAbandoned: "10 0 0", HoldAbandoned: "10 0 3",
	} {
		t.Run(policy, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			hold := p.reserveOn(l, cost(t, "3"))
			p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.1"))}))
			p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.25"))}))
			p.die(l)
			for range 2 {
				again := p.start(Options{OnAbandoned: policy})
				p.balances("acme", want)
				if s, _ := again.LogState(); s.Pending != 0 {
					t.Errorf("%d calls still wait", s.Pending)
				}
				p.die(again)
			}
			abandoned := 0
			if policy == ChargeCheckpoint {
				abandoned = 1
			}
			if n := len(p.entries("acme", TypeAbandon)); n != abandoned {
				t.Errorf("%d abandon entries, want %d", n, abandoned)
			}
		})
	}
}

// A log may be cut anywhere by a crash; what is whole counts, and a charge is never booked twice.
func TestTornLog(t *testing.T) {
	p, l := newLogged(t, Options{})
	for range 3 {
		_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
		p.must(err)
	}
	p.reserveOn(l, cost(t, "1"))
	p.die(l)
	segment := filepath.Join(p.dir, "0", "000000000001.log")
	data, err := os.ReadFile(segment)
	p.must(err)
	for cut := len(data); cut > 8; cut -= 1 + len(data)/23 {
		p.must(os.WriteFile(segment, data[:cut], 0o600))
		again := p.start(Options{})
		p.balances("acme", "7 0 0")
		p.die(again)
	}
	p.charges(3)
}

// A full log stops admission, and never a settlement.
func TestFullLogStopsAdmissionNeverSettlement(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 4 * settleRoom})
	var holds []*Hold
	var err error
	for len(holds) < 10 {
		var h *Hold
		if h, err = l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "0.1"))); err != nil {
			break
		}
		holds = append(holds, h)
	}
	wants(t, err, ErrUnavailable)
	if err == nil || !strings.Contains(err.Error(), "settlement log full") || len(holds) == 0 {
		t.Fatalf("%d holds, then %v", len(holds), err)
	}
	wants(t, l.Ready(p.ctx()), ErrUnavailable)
	for i, h := range holds {
		s := settlement(h, cost(t, "0.1"))
		s.Anomalies = []string{strings.Repeat("x", 3*settleRoom)} // more than its room
		_, err := l.Settle(p.ctx(), s)
		p.must(err)
		if i == 0 {
			_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "0.1")))
			wants(t, err, ErrUnavailable)
		}
	}
	p.charges(len(holds))
	p.must(l.log.purge(time.Now().Add(2*rotateAge), nil)) // begins a new segment
	if err := l.Ready(p.ctx()); err != nil {
		t.Errorf("after the purge: %v", err)
	}
	p.reserveOn(l, cost(t, "0.1"))
}

// What the archive does not have is not purged.
func TestPurgeByWatermark(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 1 << 20})
	receipt, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	flight := p.reserveOn(l, cost(t, "1"))
	later := time.Now().Add(time.Hour)
	segments := func() int { return len(l.log.wal.Segments()) }
	upTo := func(seq int64) func(int) int64 { return func(int) int64 { return seq } }
	p.must(l.log.purge(later, upTo(receipt.seq())))
	if segments() != 2 {
		t.Errorf("%d segments: a call in flight needs the first", segments())
	}
	_, err = l.Release(p.ctx(), "acme", flight.ID)
	p.must(err)
	p.must(l.log.purge(later.Add(time.Second), upTo(receipt.seq()-1)))
	if segments() != 2 {
		t.Errorf("%d segments: the archive lacks an entry of the first", segments())
	}
	p.must(l.log.purge(time.Now(), upTo(receipt.seq())))
	if segments() != 2 {
		t.Errorf("%d segments: the first is not old enough", segments())
	}
	p.must(l.log.purge(later.Add(time.Second), upTo(receipt.seq())))
	if segments() != 1 {
		t.Errorf("%d segments, want the current one alone", segments())
	}
}

// Without an archive an hour of records is kept while there is room: no more goes than makes the log half empty.
func TestPurgeKeepsWhatThereIsRoomFor(t *testing.T) {
	_, l := newLogged(t, Options{LogSize: 1 << 20})
	for range 100 {
		b := &booking{id: NewRequestID(), account: "acme", static: strings.Repeat("x", 8<<10)}
		if _, err := l.log.end(recordRelease, b); err != nil {
			t.Fatal(err)
		}
		l.log.done(b)
	}
	if err := l.log.purge(time.Now().Add(2*purgeFloor), nil); err != nil {
		t.Fatal(err)
	}
	if used, bound := l.log.wal.Used(); used > bound/2 || used < bound/4 {
		t.Errorf("%d bytes are left of at most %d", used, bound)
	}
}

// How old a record is, the next life knows too: what was booked a moment ago is not purged for a restart.
func TestPurgeAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		watermark func(int) int64
		age       time.Duration // at which records go
	}{"with an archive": {func(int) int64 { return 1 << 40 }, purgeFloor}, "without": {nil, purgeAge}} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
			p.must(err)
			p.must(l.log.flush())
			p.must(l.log.wal.Rotate())
			p.die(l)
			again := p.start(Options{})
			p.must(again.log.purge(time.Now().Add(c.age-20*time.Second), c.watermark))
			if n := len(again.log.wal.Segments()); n < 2 {
				t.Error("the record is purged before its time")
			}
			p.must(again.log.purge(time.Now().Add(c.age+20*time.Second), c.watermark))
			if n := len(again.log.wal.Segments()); n > 2 { // the current one, and what the first purge began
				t.Errorf("%d segments are kept", n)
			}
		})
	}
}

// The log of a proxy that does not come back is adopted, once and again, and never that of a living one.
func TestAdoption(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	booked, promised, idle, halfway := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(halfway, cost(t, "0.25"))}))
	_, err := l.Settle(p.ctx(), settlement(booked, cost(t, "1")))
	p.must(err)
	p.server.Kill()
	_, err = l.Settle(p.ctx(), settlement(promised, cost(t, "0.5")))
	p.must(err)
	p.server.Start()
	_, err = p.ledger.AdoptLog(p.ctx(), p.dir)
	wants(t, err, ErrInvalid)
	p.die(l)
	adopt(t, p, Replayed{Records: 4, There: 1, Settled: 1, Released: 1, Abandoned: 1})
	adopt(t, p, Replayed{Records: 4, There: 4})
	p.balances("acme", "8.25 0 0")
	_, err = p.ledger.Settle(p.ctx(), settlement(idle, cost(t, "1")))
	wants(t, err, ErrConflict)
	_, err = p.ledger.AdoptLog(p.ctx(), t.TempDir())
	wants(t, err, ErrNotFound)
}

func adopt(t *testing.T, p *logged, want Replayed) {
	t.Helper()
	got, err := p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	if len(got.Doubts) != 0 {
		t.Errorf("doubts %+v", got.Doubts)
	}
	got.Doubts = nil
	if got.Records != want.Records || got.There != want.There || got.Settled != want.Settled || got.Released != want.Released || got.Abandoned != want.Abandoned {
		t.Errorf("adopted %+v, want %+v", *got, want)
	}
}

// loseReply loses the reply of the next script, after it has run.
type loseReply struct{ armed bool }

func (h *loseReply) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *loseReply) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if h.armed && cmd.Name() == "fcall" {
			h.armed = false
			err = errors.New("connection reset by peer")
			cmd.SetErr(err)
		}
		return err
	}
}

func (h *loseReply) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A reserve whose reply was lost is taken back, and one that is still on its way comes too late.
func TestReserveWhoseReplyWasLost(t *testing.T) {
	p, l := newLogged(t, Options{})
	lose := &loseReply{armed: true}
	l.client.AddHook(lose)
	r := p.reservation(p.key, cost(t, "1"))
	_, err := l.Reserve(p.ctx(), r)
	wants(t, err, ErrUnavailable)
	p.balances("acme", "10 0 1") // it was placed, and nobody knows
	p.replaying(l)
	eventually(t, "the hold is given back", func() bool { return p.read("acme").Held == 0 })
	_, err = p.ledger.Reserve(p.ctx(), r) // the one that was delayed in a socket
	wants(t, err, ErrConflict)
	p.balances("acme", "10 0 0")
	p.reserveOn(l, cost(t, "1"))
}

// A settlement whose reply was lost is promised, and was booked.
func TestSettleWhoseReplyWasLost(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	l.client.AddHook(&loseReply{armed: true})
	receipt, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	if !receipt.Pending {
		t.Error("nothing was lost")
	}
	p.replaying(l)
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	p.charges(1)
	p.balances("acme", "9 0 0")
}

// The sweeper of another proxy took a call for dead; its settlement comes late, out of the log.
func TestLateSettlementOutOfTheLog(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	hold := p.reserveOn(l, cost(t, "3"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.5"))}))
	p.server.Kill()
	_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	p.server.Start()
	p.pass(time.Hour)
	p.sweep()
	p.balances("acme", "9.5 0 0")
	p.replaying(l)
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	p.balances("acme", "9 0 0")
	p.charges(1)
}

// A Redis that hangs costs one try, and then nothing.
func TestHangingRedisIsBounded(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("no"))
	p.replaying(l)
	first, second := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1"))
	p.server.Pause()
	within(t, 5*tryTimeout, "the first settlement", func() {
		r, err := l.Settle(p.ctx(), settlement(first, cost(t, "1")))
		p.must(err)
		if !r.Pending {
			t.Error("booked by a Redis that hangs")
		}
	})
	// Whoever asks waits that long at least.
	within(t, tryTimeout, "the second", func() {
		_, err := l.Settle(p.ctx(), settlement(second, cost(t, "1")))
		p.must(err)
	})
	_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
	wants(t, err, errAway)
	p.server.Resume()
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	p.balances("acme", "8 0 0")
	p.charges(2)
}

// Unwatched, a caller finds out by itself that Redis is back.
func TestCircuitClosesByItself(t *testing.T) {
	f := newFixture(t, Options{}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.server.Kill()
	_, err := f.tryReserve(key, cost(t, "1"))
	wants(t, err, ErrUnavailable)
	f.server.Start()
	eventually(t, "calls are admitted", func() bool { _, err := f.tryReserve(key, cost(t, "1")); return err == nil })
}

// Proxies of one host share a directory: each has a log of its own in it, the
// first that no living process has, and another ledger's is left alone.
func TestEachProxyHasALogOfItsOwn(t *testing.T) {
	p, first := newLogged(t, Options{})
	takes := func(want string) *Ledger {
		t.Helper()
		l, err := Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
		p.must(err)
		t.Cleanup(func() { _ = l.Close() })
		if got := filepath.Base(l.log.dir); got != want {
			t.Errorf("the log is %s, want %s", got, want)
		}
		return l
	}
	second := takes("1")
	takes("2")
	p.die(first)
	takes("0")
	p.must(second.Close())
	p.must(os.WriteFile(filepath.Join(p.dir, "1", identityFile), []byte("another\n"), 0o600))
	takes("3")
	_, err := Open(p.ctx(), Options{URL: p.server.URL(), Durability: "much"})
	wants(t, err, ErrInvalid)
}

// Whoever starts next books what a dead neighbour has left.
func TestNeighboursLogIsBooked(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	living, err := Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
	p.must(err)
	t.Cleanup(func() { _ = living.Close() })
	promised := p.reserveOn(living, cost(t, "1"))
	p.server.Kill()
	_, err = living.Settle(p.ctx(), settlement(promised, cost(t, "0.5")))
	p.must(err)
	p.server.Start()
	p.die(living) // its log is 1; the next to start takes 0
	p.die(l)
	p.start(Options{})
	p.balances("acme", "9.5 0 0")
}

// A clean restart of Redis costs no client a wait: calls are refused or
// promised for a moment, while the server is looked at in the background.
func TestRestartIsLookedAtInTheBackground(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	p.replaying(l)
	hold := p.reserveOn(l, cost(t, "1"))
	p.server.Stop()
	p.server.Start()
	_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	eventually(t, "calls are admitted", func() bool {
		_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
		return err == nil
	})
	eventually(t, "the log is replayed", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	p.charges(1)
}

func BenchmarkLoggedCall(b *testing.B) {
	g, err := openSettleLog(b.TempDir(), "bench", func(string) int { return 0 }, false, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer g.close()
	call := booking{id: NewRequestID(), account: "acme", suffix: "0123456789ab", model: "glm-4.6", static: strings.Repeat("s", 400), lines: strings.Repeat("l", 100)}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.open(&call); err != nil {
			b.Fatal(err)
		}
		if _, err := g.end(recordSettle, &call); err != nil {
			b.Fatal(err)
		}
		g.booked(&call, 0, 1, "5\t5:0\tr=5")
		if err := g.purge(time.Now().Add(2*purgeAge), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Neither log nor Redis takes the end of a call: nothing is promised, and replay has nothing to do with it.
func TestNeitherLogNorRedis(t *testing.T) {
	for _, durability := range []string{DurabilityNormal, DurabilityStrict} {
		t.Run(durability, func(t *testing.T) {
			p, l := newLogged(t, Options{Durability: durability}, redistest.WithAOF("always"))
			settled, released, parked := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1"))
			p.server.Kill()
			p.must(l.log.wal.Close()) // no record can be written any more
			_, err := l.Settle(p.ctx(), settlement(settled, cost(t, "1")))
			wants(t, err, ErrUnavailable)
			_, err = l.Release(p.ctx(), "acme", released.ID)
			wants(t, err, ErrUnavailable)
			wants(t, l.Park(p.ctx(), task(parked, anyTask, cost(t, "1"))), ErrUnavailable)
			p.server.Start()
			p.must(l.replayer.waiting(p.ctx()))
			p.balances("acme", "10 0 3")
		})
	}
}

// With Redis away a charge, or a task, is promised only once its record is on the disk: one whose fsync fails is not. It is booked
// all the same, if the process lives until Redis is back.
func TestPromiseIsOnDisk(t *testing.T) {
	for name, c := range map[string]struct {
		durability string
		taskFirst  bool // after a sync that failed the log takes nothing more
	}{
		"normal": {DurabilityNormal, false}, "normal, task first": {DurabilityNormal, true},
		"strict": {DurabilityStrict, false}, "strict, task first": {DurabilityStrict, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{Durability: c.durability}, redistest.WithAOF("always"))
			settled, parked, there := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "2")), p.reserveOn(l, cost(t, "3"))
			failSyncs(t, l)
			p.server.Kill()
			park := func() { wants(t, l.Park(p.ctx(), task(parked, anyTask, cost(t, "2"))), ErrUnavailable) }
			if c.taskFirst {
				park()
			}
			receipt, err := l.Settle(p.ctx(), settlement(settled, cost(t, "1")))
			wants(t, err, ErrUnavailable)
			if receipt != nil {
				t.Errorf("a receipt of what is nowhere for sure: %+v", receipt)
			}
			if !c.taskFirst {
				park()
			}
			p.server.Start()
			eventually(t, "Redis is back", func() bool { return l.replayer.awaitRedis(p.ctx()) && l.replayer.waiting(p.ctx()) == nil })
			_, err = l.Settle(p.ctx(), settlement(there, cost(t, "3"))) // Redis has it
			p.must(err)
			if s, _ := l.LogState(); s.Pending > 1 {
				t.Errorf("the log has %+v", s)
			}
		})
	}
}

// The second try of a reserve cannot even connect: the first may have run all the same.
func TestReserveWhoseReplyWasLostWithTheServer(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	silent, address := dropReplies(t, f.server.Addr())
	l, err := Open(f.ctx(), Options{URL: "redis://" + address, Shards: 1, Log: filepath.Join(t.TempDir(), "log")})
	f.must(err)
	defer l.Close()
	silent.Store(true)
	_, err = l.Reserve(f.ctx(), f.reservation(key, cost(t, "4")))
	wants(t, err, ErrUnavailable)
	f.balances("acme", "10 0 4")
	if state, _ := l.LogState(); state.Pending != 1 {
		t.Errorf("a reserve that has run waits for no release: %+v", state)
	}
	f.release(&Hold{ID: l.log.waiting()[0].record().id, Account: "acme"})
}

// dropReplies stands before a server. Once silent is set, it is gone as soon as the server answers: the answer is lost, and
// nobody listens any more.
func dropReplies(t *testing.T, server string) (silent *atomic.Bool, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	silent = new(atomic.Bool)
	pass := func(client, server net.Conn) {
		defer client.Close()
		defer server.Close()
		answer := make([]byte, 64<<10)
		for {
			n, err := server.Read(answer)
			if err != nil {
				return
			}
			if silent.Load() {
				_ = listener.Close()
				return
			}
			if _, err := client.Write(answer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			behind, err := net.Dial("tcp", server)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(behind, client) }()
			go pass(client, behind)
		}
	}()
	return silent, listener.Addr().String()
}
