package ledger

import (
	"testing"
	"time"
)

// A charge that was booked anew under another id is in the archive when that one is: until then its record is kept, by the process
// that booked it and by the next.
func TestReplayedRecordIsKeptUntilItsNewEntryIsArchived(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	before := p.snapshot()
	first, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.must(l.log.wal.Rotate())
	p.die(l)
	p.goBack(before)
	for range 3 {
		p.topup("acme", Bonus, "1") // under the id that the charge had, and those that follow
	}
	later := time.Now().Add(time.Hour)
	for range 2 {
		again := p.start(Options{})
		p.must(again.log.purge(later, func(int) int64 { return first.seq() + 2 }))
		if n := len(again.log.wal.Segments()); n < 2 {
			t.Fatal("the record is purged, and its entry is not archived")
		}
		p.die(again)
	}
	again := p.start(Options{})
	p.must(again.log.purge(later, func(int) int64 { return first.seq() + 3 }))
	if n := len(again.log.wal.Segments()); n != 1 {
		t.Errorf("%d segments are kept, of which all but the last are archived", n)
	}
	p.charges(1)
}

// What a replay has booked, or has found booked, Redis may lose, too: the second replay has the same pay as the first.
func TestSecondReplayPaysAsTheFirst(t *testing.T) {
	for name, booked := range map[string]bool{"promised": false, "booked, and not noted": true} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			p.grant(Grant{Account: "acme", Quantity: 100})
			hold := p.reserveOn(l, charge(t, "input 200 0.01"))
			before := p.snapshot()
			if used := settlement(hold, charge(t, "input 200 0.01")); booked {
				_, err := l.Settle(p.ctx(), used)
				p.must(err)
				l.log.notes = l.log.notes[:0] // killed before it was noted
			} else {
				b, err := l.bookingOf(&used)
				p.must(err)
				_, err = l.log.end(recordSettle, b) // with Redis away: it is a promise
				p.must(err)
			}
			p.die(l)
			again := p.start(Options{})
			first, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
			p.must(err)
			p.must(again.log.flush())
			p.die(again)
			p.goBack(before)
			p.topup("acme", Bonus, "20") // the waterfall has changed since
			p.start(Options{})
			second, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
			p.must(err)
			if paid(second.Paid) != paid(first.Paid) {
				t.Errorf("paid %s, at first %s", paid(second.Paid), paid(first.Paid))
			}
		})
	}
}

// ONCE: what a replay has booked, and Redis has forgotten, is found at the id that the replay noted.
func TestReplayedAndForgottenIsNotBookedAgain(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	b, err := l.bookingOf(ptr(settlement(hold, cost(t, "1"))))
	p.must(err)
	_, err = l.log.end(recordSettle, b) // with Redis away: it is a promise
	p.must(err)
	p.die(l)
	again := p.start(Options{})
	p.must(again.log.flush())
	p.die(again)
	p.must(p.server.Client().Del(p.ctx(), p.markerOf(hold)).Err()) // its clock stood ahead for a moment
	p.start(Options{})
	p.charges(1)
	p.balances("acme", "9 0 0")
}

// ONCE: of a call that was noted twice, since Redis had lost it in between, the last note says where it is: where the first
// says that it is, another entry may stand now.
func TestReplayGoesByTheLastNote(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	before := p.snapshot()
	_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.must(l.log.wal.Rotate()) // the second note stands in another segment
	p.die(l)
	p.goBack(before)
	p.topup("acme", Bonus, "1") // under the id that the charge had
	again := p.start(Options{})
	p.must(again.log.flush())
	p.die(again)
	p.must(p.server.Client().Del(p.ctx(), p.markerOf(hold)).Err()) // its clock stood ahead for a moment
	p.start(Options{})
	p.charges(1)
	p.balances("acme", "9 1 0")
}

// A record is kept until the archive has what it was booked as, also when a later life has found that by the note alone, or as
// the charge of a call that was abandoned.
func TestFoundRecordIsKeptUntilItsEntryIsArchived(t *testing.T) {
	for name, end := range map[string]func(p *logged, l *Ledger, hold *Hold){
		"by the note": func(p *logged, l *Ledger, hold *Hold) {
			_, err := l.Settle(p.ctx(), settlement(hold, cost(p, "1")))
			p.must(err)
			p.must(l.log.flush())
			p.die(l)
			p.must(p.server.Client().Del(p.ctx(), p.markerOf(hold)).Err()) // its clock stood ahead for a moment
		},
		"as abandoned": func(p *logged, l *Ledger, hold *Hold) {
			p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(p, "0.25"))}))
			p.must(l.log.flush())
			p.die(l)
			again := p.start(Options{})
			p.must(again.log.flush())
			p.must(again.log.wal.Rotate())
			p.die(again)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			end(p, l, p.reserveOn(l, cost(t, "1")))
			list := p.entries("acme", TypeCharge, TypeAbandon)
			if len(list) != 1 {
				t.Fatalf("%d charges", len(list))
			}
			again := p.start(Options{})
			p.must(again.log.wal.Rotate())
			later := time.Now().Add(time.Hour)
			p.must(again.log.purge(later, func(int) int64 { return list[0].seq() - 1 }))
			if n := len(again.log.wal.Segments()); n < 2 {
				t.Error("the record is purged, and its entry is not archived")
			}
			p.must(again.log.purge(later, func(int) int64 { return list[0].seq() }))
			if n := len(again.log.wal.Segments()); n != 1 {
				t.Errorf("%d segments are kept, of which all but the last are archived", n)
			}
			if n := len(p.entries("acme", TypeCharge, TypeAbandon)); n != 1 {
				t.Errorf("ONCE: %d charges, want 1", n)
			}
		})
	}
}

// A hold that a start gave back, of a call that had delivered nothing or is not to be charged, and that Redis has again since it
// lost that, is given back again.
func TestHoldComesBackTwice(t *testing.T) {
	for name, c := range map[string]struct{ policy, delivered string }{
		"begun": {}, "of no progress": {delivered: "call 0 1"}, "not to be charged": {ReleaseAbandoned, "call 1 0.5"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{OnAbandoned: c.policy}
			p, l := newLogged(t, o)
			hold := p.reserveOn(l, cost(t, "1"))
			if c.delivered != "" {
				p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, charge(t, c.delivered))}))
			}
			before := p.snapshot()
			p.die(l)
			for range 2 {
				again := p.start(o)
				p.balances("acme", "10 0 0")
				p.must(again.log.flush())
				p.die(again)
				p.goBack(before)
				p.balances("acme", "10 0 1")
			}
		})
	}
}

// All records of a segment are looked up, however many there are.
func TestReplayOfMoreThanIsLookedUpAtOnce(t *testing.T) {
	p, l := newLogged(t, Options{})
	s := settlement(&Hold{Account: "acme", Key: keyID("acme", p.key.suffix())}, cost(t, "0.001"))
	for range markerBatch + 1 {
		s.ID = NewRequestID()
		b, err := l.bookingOf(&s)
		p.must(err)
		_, err = l.log.end(recordSettle, b)
		p.must(err)
		l.log.done(b) // it was booked; Redis has lost it
	}
	p.must(l.Close())
	p.start(Options{})
	p.charges(markerBatch + 1)
}
