package ledger

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// What a replay says it has done is what it has done, over all logs that it replays, and no record is left out; a task is looked at
// twice. Done again, it finds all of it there.
func TestReplayTellsWhatItDid(t *testing.T) {
	p, l := newLogged(t, Options{})
	second := p.start(Options{})
	for _, l := range []*Ledger{l, second} {
		reserve := func() *Hold { time.Sleep(2 * time.Millisecond); return p.reserveOn(l, cost(t, "0.1")) }
		noted := func(err error) { p.must(err); l.log.notes = l.log.notes[:0] } // killed before it was noted

		p.must(ended(t, l, recordSettle, reserve(), "0.1"))
		p.must(ended(t, l, recordRelease, reserve(), "0.1"))
		reserve()
		p.must(l.Extend(p.ctx(), Checkpoint{settlement(reserve(), cost(t, "0.1"))}))
		parked := reserve()
		b, err := l.bookingOf(ptr(settlement(parked, cost(t, "0.1"))))
		p.must(err)
		_, err = l.log.endWith(&logRecord{kind: recordPark, told: parked.ID + "\t{}", booking: *b})
		p.must(err)
		booked := reserve()
		_, err = l.Settle(p.ctx(), settlement(booked, cost(t, "0.1")))
		noted(err)
		_, err = l.Release(p.ctx(), "acme", reserve().ID)
		noted(err)
		forgotten := reserve()
		_, err = l.Settle(p.ctx(), settlement(forgotten, cost(t, "0.1")))
		p.must(err)
		p.must(l.log.flush())
		p.must(p.server.Client().HDel(p.ctx(), p.markerOf(forgotten), forgotten.ID).Err()) // its clock stood ahead for a moment
		conflict := reserve()
		p.must(ended(t, l, recordSettle, conflict, "0.1"))
		p.settle(conflict, cost(t, "0.05"))
	}
	p.die(l)
	p.die(second)
	done, err := p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	for _, d := range done.Doubts {
		if d.Account != "acme" || d.RequestID == "" || d.Why == "" {
			t.Errorf("doubt %+v", d)
		}
	}
	if doubts := len(done.Doubts); doubts != 2 {
		t.Errorf("%d doubts, want 2", doubts)
	}
	done.Doubts = nil
	if want := (&Replayed{Records: 20, There: 6, Settled: 2, Released: 6, Abandoned: 2, Parked: 2}); !reflect.DeepEqual(done, want) {
		t.Errorf("replayed %+v, want %+v", done, want)
	}
	done, err = p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	if done.changed() || done.Records != done.There {
		t.Errorf("replayed again: %+v", done)
	}
}

// A call whose hold is kept, since a person is to look, counts as that.
func TestReplayTellsOfKeptHolds(t *testing.T) {
	o := Options{OnAbandoned: HoldAbandoned}
	p, l := newLogged(t, o)
	second := p.start(o)
	for _, l := range []*Ledger{l, second} {
		p.must(l.Extend(p.ctx(), Checkpoint{settlement(p.reserveOn(l, cost(t, "1")), cost(t, "0.5"))}))
	}
	p.die(l)
	p.die(second)
	done, err := p.open(o).AdoptLog(p.ctx(), p.dir)
	p.must(err)
	if done.Kept != 2 || done.Records != 2 || done.changed() {
		t.Errorf("replayed %+v", done)
	}
	p.balances("acme", "10 0 2")
}

// One log of several is replayed by its own name.
func TestOneLogIsReplayed(t *testing.T) {
	p, l := newLogged(t, Options{})
	second := p.start(Options{})
	for _, l := range []*Ledger{l, second} {
		p.must(ended(t, l, recordSettle, p.reserveOn(l, cost(t, "1")), "1"))
	}
	dir := second.log.dir
	p.die(l)
	p.die(second)
	done, err := p.ledger.AdoptLog(p.ctx(), dir)
	p.must(err)
	if done.Settled != 1 || done.Records != 1 {
		t.Errorf("replayed %+v", done)
	}
	p.charges(1)
}

// A log that was left alone is named: whoever replays it may take the wrong Redis for the right one.
func TestLogsLeftAloneAreNamed(t *testing.T) {
	p, l := newLogged(t, Options{})
	second, foreign := p.start(Options{}), filepath.Join(p.dir, "7")
	p.must(ended(t, l, recordSettle, p.reserveOn(l, cost(t, "1")), "1"))
	p.die(l)
	p.must(os.Mkdir(foreign, 0o700))
	p.must(os.WriteFile(filepath.Join(foreign, identityFile), []byte("ledger_other\n"), 0o600))
	done, err := p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	if done.Settled != 1 || len(done.LeftAlone) != 2 ||
		!strings.Contains(done.LeftAlone[0], second.log.dir) || !strings.Contains(done.LeftAlone[1], foreign) || !strings.Contains(done.LeftAlone[1], "ledger_other") {
		t.Errorf("replayed %+v", done)
	}
}
