package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A refund that is repeated under its reference is the first one, also when
// there is no charge any more: the call was released after all, or forgotten.
func TestRefundIsRepeatedWhenTheChargeIsGone(t *testing.T) {
	for _, gone := range []string{"released", "forgotten"} {
		t.Run(gone, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			h := f.reserve(f.key("acme", KeyLimits{}), cost(t, "2"))
			f.abandoned(h, cost(t, "1"))
			part := f.nano("0.4")
			r := Refund{Account: "acme", RequestID: h.ID, Amount: &part, Reason: "cut", Ref: "ticket-7"}
			first, err := f.ledger.Refund(f.ctx(), r)
			f.must(err)
			if gone == "released" {
				f.release(h)
			} else {
				f.must(f.server.Client().Del(f.ctx(), f.markerOf(h)).Err())
				f.pass(markerLife + 2*time.Hour)
			}
			again, err := f.ledger.Refund(f.ctx(), r)
			f.must(err)
			if why := sameEntry(first, again); why != "" {
				t.Error(why)
			}
			for _, other := range []Refund{
				{Account: "acme", RequestID: h.ID, Reason: "cut", Ref: "ticket-7"},
				{Account: "acme", RequestID: h.ID, Amount: &part, Reason: "late", Ref: "ticket-7"},
				{Account: "acme", RequestID: h.ID, Amount: new(meter.Nano(1)), Reason: "cut", Ref: "ticket-7"},
			} {
				_, err = f.ledger.Refund(f.ctx(), other)
				wants(t, err, ErrConflict)
			}
			r.Ref = "ticket-8"
			_, err = f.ledger.Refund(f.ctx(), r)
			wants(t, err, ErrNotFound)
		})
	}
}

func (f *fixture) markerOf(h *Hold) string {
	f.Helper()
	idMS, err := idMillis(h.ID)
	f.must(err)
	return f.ledger.markerKey(f.ledger.shardOf(h.Account), idMS)
}

// The same reference, amount and reason for another call are another refund: a reference that was copied must not pass
// for one that gave this call's money back.
func TestRefundUnderTheReferenceOfAnotherCalls(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	first := f.settle(f.reserve(key, cost(t, "1")), cost(t, "1"))
	second := f.settle(f.reserve(key, cost(t, "1")), cost(t, "1"))
	for _, amount := range []*meter.Nano{new(f.nano("0.4")), nil} {
		r := Refund{Account: "acme", RequestID: first.RequestID, Amount: amount, Reason: "cut", Ref: "ticket-" + (&Refund{Amount: amount}).nanos()}
		_, err := f.ledger.Refund(f.ctx(), r)
		f.must(err)
		r.RequestID = second.RequestID
		_, err = f.ledger.Refund(f.ctx(), r)
		wants(t, err, ErrConflict)
	}
	f.balances("acme", "9 0 0")
}
