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

// What a replay has booked, Redis may lose, too: the second replay has the same pay as the first.
func TestSecondReplayPaysAsTheFirst(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.grant(Grant{Account: "acme", Quantity: 100})
	hold := p.reserveOn(l, charge(t, "input 200 0.01"))
	b, err := l.bookingOf(ptr(settlement(hold, charge(t, "input 200 0.01"))))
	p.must(err)
	_, err = l.log.end(recordSettle, b) // with Redis away: it is a promise
	p.must(err)
	p.die(l)
	before := p.snapshot()
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
