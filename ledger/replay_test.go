package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A snapshot of Redis, to go back to.
type snapshot map[string]string

func (f *fixture) snapshot() snapshot {
	f.Helper()
	s := make(snapshot)
	keys, err := f.server.Client().Keys(f.ctx(), "*").Result()
	f.must(err)
	for _, key := range keys {
		s[key], err = f.server.Client().Dump(f.ctx(), key).Result()
		f.must(err)
	}
	return s
}

func (f *fixture) goBack(s snapshot) {
	f.Helper()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	for key, value := range s {
		f.must(f.server.Client().Restore(f.ctx(), key, 0, value).Err())
	}
	for i := range f.ledger.heads {
		f.ledger.heads[i].Store(0) // as one that has not seen what is lost
	}
	f.must(f.ledger.verify(f.ctx()))
}

// Redis has lost what it acknowledged: the log brings it back, and the very
// packs and wallets pay of which the client has been told.
func TestReplayPaysAsTold(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.topup("acme", Bonus, "10")
	p.grant(Grant{Account: "acme", Quantity: 100})
	hold := p.reserveOn(l, charge(t, "input 200 0.01"))
	before := p.snapshot()
	first, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 150 0.01", "output 30 0.01")))
	p.must(err)
	if got := paid(first.Paid); got != "pack:p1 100, bonus 0.4, recharge 0.4" {
		t.Fatalf("paid %s", got)
	}
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.topup("acme", Bonus, "20") // and the waterfall has changed since
	p.start(Options{})
	p.charges(1)
	again, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
	p.must(err)
	if paid(again.Paid) != paid(first.Paid) || again.FeeDue() != first.FeeDue() || again.PriceVersion != first.PriceVersion {
		t.Errorf("RECEIPT-TRUE: first %s of %s, after the replay %s of %s", paid(first.Paid), first.FeeDue(), paid(again.Paid), again.FeeDue())
	}
	for i := range first.Lines {
		if !reflect.DeepEqual(first.Lines[i], again.Lines[i]) {
			t.Errorf("line %+v became %+v", first.Lines[i], again.Lines[i])
		}
	}
	p.balances("acme", "9.6 29.6 0")
}

// So it is where they can just about pay it, whatever others could by then.
func TestReplayPaysAsToldToTheLast(t *testing.T) {
	for name, c := range map[string]struct {
		pack  int64
		used  string
		since func(*logged)
		paid  string
	}{
		"all of a wallet":        {0, "input 100 0.1", func(*logged) {}, "recharge 10"},
		"a pack, beside a debt":  {100, "input 100 0.01", func(p *logged) { p.settle(p.reserve(p.key, cost(p, "10")), cost(p, "15")) }, "pack:p1 100"},
		"a pack and all of cash": {50, "input 100 0.2", func(*logged) {}, "pack:p1 50, recharge 10"},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			if c.pack > 0 {
				p.grant(Grant{Account: "acme", Quantity: c.pack})
			}
			hold := p.reserveOn(l, charge(t, c.used))
			before := p.snapshot()
			_, err := l.Settle(p.ctx(), settlement(hold, charge(t, c.used)))
			p.must(err)
			p.must(l.log.flush())
			p.die(l)
			p.goBack(before)
			p.release(hold)
			c.since(p)
			p.grant(Grant{Account: "acme", Quantity: 1000, Priority: -1})
			p.must(p.server.Client().Del(p.ctx(), p.ledger.markerKey(p.ledger.shardOf("acme"), mustMillis(t, hold.ID))).Err())
			p.start(Options{})
			again, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
			p.must(err)
			if got := paid(again.Paid); got != c.paid {
				t.Errorf("paid %s, want %s", got, c.paid)
			}
		})
	}
}

// Who was told cannot pay any more: the charge stays, and others pay it.
func TestReplayPaysByTheWaterfallWhenItMust(t *testing.T) {
	grant := func(p *logged) { p.grant(Grant{Account: "acme", Quantity: 100}) }
	bonus := func(p *logged) { p.topup("acme", Bonus, "10") }
	reserve60 := func(p *logged) *Hold { return p.reserve(p.key, charge(p, "input 60 0.01")) }
	take := func(w Wallet) func(*logged) {
		return func(p *logged) {
			_, err := p.ledger.Adjust(p.ctx(), Adjustment{Account: "acme", Wallet: w, Amount: p.nano("-10"), Reason: "x"})
			p.must(err)
		}
	}
	for name, c := range map[string]struct {
		before, since func(*logged)
		lost          bool // what was before is lost, too
		balances      string
		remaining     int64 // of the pack
	}{
		"the pack has paid for others": {before: grant, since: func(p *logged) { p.settle(reserve60(p), charge(p, "input 60 0.01")) }, balances: "9.4 0 0"},
		"the pack is held by others":   {before: grant, since: func(p *logged) { reserve60(p) }, balances: "9.4 0 0", remaining: 60},
		"there is no such pack":        {before: grant, lost: true, since: func(*logged) {}, balances: "9 0 0"},
		"the bonus is gone":            {before: bonus, since: take(Bonus), balances: "9 0 0"},
		"the recharge is gone":         {before: bonus, since: take(Recharge), balances: "0 9 0"},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			kept := p.snapshot()
			c.before(p)
			hold := p.reserveOn(l, charge(t, "input 100 0.01"))
			if !c.lost {
				kept = p.snapshot()
			}
			_, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 100 0.01")))
			p.must(err)
			p.must(l.log.flush())
			p.die(l)
			p.goBack(kept)
			p.release(hold) // its marker is there, but not its charge
			c.since(p)
			p.must(p.server.Client().Del(p.ctx(), p.ledger.markerKey(p.ledger.shardOf("acme"), mustMillis(t, hold.ID))).Err())
			p.start(Options{})
			p.balances("acme", c.balances)
			for _, pack := range p.read("acme").Packs {
				p.pack("acme", pack.ID, c.remaining, 0)
			}
			if charges := p.entries("acme", TypeCharge); len(charges) == 0 || charges[len(charges)-1].RequestID != hold.ID {
				t.Errorf("charges: %+v", charges)
			}
		})
	}
}

func mustMillis(t *testing.T, id string) int64 {
	t.Helper()
	ms, err := idMillis(id)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

// A hold that the cut has raised from the dead is not swept: its end is in the log.
func TestReleasedHoldStaysReleased(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.5"))}))
	before := p.snapshot()
	_, err := l.Release(p.ctx(), "acme", hold.ID)
	p.must(err)
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.balances("acme", "10 0 1")
	p.start(Options{})
	p.balances("acme", "10 0 0")
	p.pass(time.Hour)
	if swept := p.sweep(); swept.Abandoned != 0 {
		t.Errorf("swept %+v", swept)
	}
}

// A call of a proxy that died, and that has ended after all, as another proxy knows: nobody need look at that.
func TestOpenCallThatHasEnded(t *testing.T) {
	p, l := newLogged(t, Options{})
	settled, released := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "1"))
	p.die(l)
	p.settle(settled, cost(t, "1"))
	p.release(released)
	l = p.start(Options{})
	if s, _ := l.LogState(); s.Doubts != 0 || s.Pending != 0 || s.InFlight != 0 {
		t.Errorf("state %+v", s)
	}
	p.balances("acme", "9 0 0")
}

// A charge or a task of an account that is not there is for a person to look at, and is not tried for ever; a hold given back needs nobody.
func TestReplayOfAnAccountThatIsNotThere(t *testing.T) {
	for name, c := range map[string]struct {
		kind   byte
		doubts int
	}{"charge": {recordSettle, 1}, "task": {recordPark, 1}, "release": {recordRelease, 0}} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			hold := &Hold{ID: NewRequestID(), Account: "nobody", Key: keyID("nobody", p.key.suffix())}
			b, err := l.bookingOf(ptr(settlement(hold, cost(t, "1"))))
			p.must(err)
			_, err = l.log.endWith(&logRecord{kind: c.kind, told: anyTask + "\t", booking: *b})
			p.must(err)
			l.log.postpone(hold.ID)
			p.must(l.replayer.waiting(p.ctx()))
			if s, _ := l.LogState(); s.Doubts != c.doubts || s.Pending != 0 {
				t.Errorf("state %+v, want %d doubts", s, c.doubts)
			}
		})
	}
}

// REPLAY-ID: replayed as often as one likes, also at the same time.
func TestReplayAtOnce(t *testing.T) {
	p, l := newLogged(t, Options{})
	before := p.snapshot()
	for range 20 {
		_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "0.1")), cost(t, "0.1")))
		p.must(err)
	}
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	again := p.start(Options{})
	done := make(chan error, 4)
	for range cap(done) {
		go func() { done <- again.replayer.own(p.ctx()) }()
	}
	for range cap(done) {
		p.must(<-done)
	}
	p.charges(20)
	p.balances("acme", "8 0 0")
}

// A log that is replayed when Redis has forgotten: the archive is asked.
func TestReplayOfWhatIsForgotten(t *testing.T) {
	for name, tt := range map[string]struct {
		archived func(context.Context, string, string) (string, error)
		balances string
		doubts   int
		pending  int
	}{
		"no archive":             {nil, "10 0 0", 1, 0},
		"the archive has it":     {func(context.Context, string, string) (string, error) { return TypeCharge, nil }, "10 0 0", 0, 0},
		"the archive has it not": {func(context.Context, string, string) (string, error) { return "", nil }, "9 0 0", 0, 0},
		"the archive is away":    {func(context.Context, string, string) (string, error) { return "", errors.New("away") }, "10 0 0", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			old := &Hold{ID: newID("req_", time.Now().Add(-markerLife-time.Hour)), Account: "acme", Key: keyID("acme", p.key.suffix())}
			b, err := l.bookingOf(ptr(settlement(old, cost(t, "1"))))
			p.must(err)
			_, err = l.log.end(recordSettle, b)
			p.must(err)
			l.log.postpone(old.ID)
			r := &replay{ledger: l, log: l.log, everCharged: tt.archived}
			for range 2 {
				if err := r.run(p.ctx()); (err != nil) != (tt.pending > 0) {
					t.Errorf("replay: %v", err)
				}
			}
			p.balances("acme", tt.balances)
			s, _ := l.LogState()
			if s.Doubts != tt.doubts || s.Pending != tt.pending {
				t.Errorf("state %+v, want %d doubts and %d pending", s, tt.doubts, tt.pending)
			}
			kept, _ := os.ReadFile(filepath.Join(p.dir, "0", doubtsFile))
			if strings.Count(string(kept), old.ID) != tt.doubts {
				t.Errorf("doubts.jsonl: %s", kept)
			}
			p.die(l)
			again := p.start(Options{})
			if s, _ := again.LogState(); s.Doubts < tt.doubts {
				t.Errorf("after a restart: %+v", s)
			}
			// Somebody has looked, and moved the file away: the alert is over.
			if err := os.RemoveAll(filepath.Join(p.dir, "0", doubtsFile)); err != nil {
				t.Fatal(err)
			}
			if s, _ := again.LogState(); s.Doubts != 0 {
				t.Errorf("with doubts.jsonl moved away: %+v", s)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

// Deadlines that passed while heartbeats could not arrive prove nothing.
func TestSweeperWaitsAfterAnOutage(t *testing.T) {
	const ttl = 200 * time.Millisecond
	f := newFixture(t, Options{HoldTTL: ttl})
	waits := func(l *Ledger) bool { grace, _ := l.inGrace(f.ctx()); return grace }
	eventually(t, "a Redis that has run for a while is swept", func() bool { return !waits(f.ledger) })
	f.ledger.circuits.learn(0, errors.New("connection refused"))
	if !waits(f.ledger) {
		t.Error("swept at once after an outage")
	}
	eventually(t, "the outage lasts", func() bool { return !waits(f.ledger) })
	f.ledger.circuits.learn(0, nil)
	if !waits(f.ledger) {
		t.Error("swept as soon as Redis was back")
	}
	eventually(t, "it is swept again", func() bool { return !waits(f.ledger) })
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.metaKey(1), metaRecovered, time.Now().UnixMilli()).Err())
	if !waits(f.ledger) {
		t.Error("swept at once after a recovery")
	}
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.metaKey(2), metaRecovered, time.Now().Add(time.Hour).UnixMilli()).Err())
	if !waits(f.ledger) {
		t.Error("swept at once after a recovery, since another is said to come")
	}
	eventually(t, "a clock that was set back keeps nothing from being swept", func() bool { return !waits(f.ledger) })
	young, err := Open(f.ctx(), Options{URL: f.server.URL(), HoldTTL: 24 * time.Hour})
	f.must(err)
	defer young.Close()
	if !waits(young) {
		t.Error("a Redis that has just started is swept")
	}
}

func TestLogRecords(t *testing.T) {
	b := booking{
		id: NewRequestID(), account: "acme", suffix: "0123456789ab", model: "glm-4", static: `{"m":"glm-4"}`,
		lines: "token 1 2 3 4\n", tokens: 1<<53 - 1,
	}
	written := logRecord{kind: recordSettle, atMS: 1_790_000_000_000, seq: 7, told: "5\t5:0\tr=5", booking: b}
	note := logRecord{kind: noteDone, booking: booking{id: b.id, account: "acme"}}
	payload := note.appendTo(written.appendTo([]byte{recordVersion}))
	var got []*logRecord
	if err := eachRecord(payload, func(r *logRecord) { got = append(got, r) }); err != nil || len(got) != 2 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	written.idMS, note.idMS = got[0].idMS, got[1].idMS
	if *got[0] != written || *got[1] != note {
		t.Errorf("got %+v and %+v", got[0], got[1])
	}
	for cut := range payload {
		if cut > 1 && eachRecord(payload[:cut], func(*logRecord) {}) == nil && cut != len(written.appendTo([]byte{recordVersion})) {
			t.Errorf("a record cut at %d of %d was read", cut, len(payload))
		}
	}
	payload[0]++
	if err := eachRecord(payload, func(*logRecord) {}); !errors.Is(err, errForeignRecord) {
		t.Errorf("another version: %v", err)
	}
}

func FuzzLogRecord(f *testing.F) {
	r := logRecord{kind: recordOpen, booking: booking{id: NewRequestID(), account: "acme"}}
	f.Add(r.appendTo([]byte{recordVersion}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var again []byte
		err := eachRecord(p, func(r *logRecord) { again = r.appendTo(again) })
		if err == nil && len(again) > len(p) {
			t.Errorf("%d bytes became %d", len(p), len(again))
		}
	})
}
