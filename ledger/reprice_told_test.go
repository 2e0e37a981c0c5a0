package ledger

import "testing"

// Who paid at another price could not pay at the first: a charge that Redis has lost with its repricing is booked as it
// was sent, though its log has seen the other.
func TestReplayIsNotToldOfAnotherPrice(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, charge(t, "input 2 1"))
	before := p.snapshot()
	_, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 2 1")))
	p.must(err)
	p.reprice(Repricing{}, at(t, "input 2 1.5"))
	again, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 2 1")))
	p.must(err)
	if again.FeeDue() != p.nano("3") {
		t.Fatalf("the charge is of %s", again.FeeDue())
	}
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	p.start(Options{})
	p.charges(1)
	booked, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
	p.must(err)
	if booked.FeeDue() != p.nano("2") {
		t.Errorf("booked for %s", booked.FeeDue())
	}
	p.audit()
}
