package ledger

import (
	"testing"
	"time"
)

// The note of who paid stands in the next segment where the charge was the last in its own: they pay again as the client was told,
// in whichever segment each stands.
func TestReplayFindsTheNoteInTheNextSegment(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.grant(Grant{Account: "acme", Quantity: 150})
	var holds []*Hold
	for range 2 {
		holds = append(holds, p.reserveOn(l, charge(t, "input 100 0.01")))
	}
	before := p.snapshot()
	var told []string
	for _, hold := range holds {
		first, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 100 0.01")))
		p.must(err)
		told = append(told, paid(first.Paid))
		p.must(l.log.wal.Rotate())
	}
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.topup("acme", Bonus, "20") // the waterfall has changed since
	p.start(Options{})
	for i, hold := range holds {
		again, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
		p.must(err)
		if paid(again.Paid) != told[i] {
			t.Errorf("paid %s, the client was told %s", paid(again.Paid), told[i])
		}
	}
}

// NO-LOST: a call whose charge Redis has lost, and which was then swept under the very id that the charge had had, is charged whole.
func TestAbandonInTheChargesPlaceIsNotTheCharge(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.25"))}))
	before := p.snapshot()
	first, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.pass(time.Hour)
	p.sweep()
	if swept := p.entries("acme", TypeAbandon); len(swept) != 1 || swept[0].ID != first.ID {
		t.Fatalf("swept as %+v, want it at %s", swept, first.ID)
	}
	p.start(Options{})
	p.charges(1)
	p.balances("acme", "9 0 0")
}

// ONCE: what a replay has booked long after its record was written, and Redis has forgotten, is found at the id that the replay noted.
func TestReplayFindsANoteOfLongAfter(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	b, err := l.bookingOf(ptr(settlement(hold, cost(t, "1"))))
	p.must(err)
	_, err = l.log.end(recordSettle, b) // with Redis away: it is a promise
	p.must(err)
	for range 3 {
		p.must(l.log.wal.Rotate())
		p.reserveOn(l, cost(t, "0.01"))
	}
	p.die(l)
	p.die(p.start(Options{}))                                      // with its replay, the notes are on disk
	p.must(p.server.Client().Del(p.ctx(), p.markerOf(hold)).Err()) // its clock stood ahead for a moment
	p.start(Options{})
	p.charges(1)
	p.balances("acme", "9 0 0")
}
