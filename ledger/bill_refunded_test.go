package ledger

import (
	"testing"
	"time"
)

// refundOf gives back of a call: an amount, or with "" all that is left.
func (f *fixture) refundOf(h *Hold, amount string) {
	f.Helper()
	r := Refund{Account: "acme", RequestID: h.ID, Reason: "cut"}
	if amount != "" {
		part := f.nano(amount)
		r.Amount = &part
	}
	_, err := f.ledger.Refund(f.ctx(), r)
	f.must(err)
}

// A call that was swept, refunded and then settled late after all is one
// request on the bill, whether an operator gave all of it back or a part.
func TestBillOfARefundedAbandonSettledLate(t *testing.T) {
	for _, amount := range []string{"", "0.2"} {
		t.Run("refund of "+amount, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			k := f.key("acme", KeyLimits{})
			h := f.reserve(k, charge(t, "input 100 0.01"))
			f.abandoned(h, charge(t, "input 50 0.01"))
			f.refundOf(h, amount)
			f.settle(h, charge(t, "input 100 0.01"))

			requests, input := int64(0), int64(0)
			for _, line := range f.bill("acme").Lines {
				requests, input = requests+line.Requests, input+line.Usage["input"]
			}
			use := f.keyUse(k)
			if requests != 1 || input != 100 || use.Requests != requests || use.Tokens != input {
				t.Errorf("the bill has %d requests and %d tokens, the key %d and %d; want 1 and 100", requests, input, use.Requests, use.Tokens)
			}
		})
	}
}

// Also when the month has ended in between: the one that is over stays as it is, and the next takes it off.
func TestBillOfARefundedAbandonSettledInTheNextMonth(t *testing.T) {
	f := newFixture(t, Options{HoldTTL: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	k := f.key("acme", KeyLimits{})
	now := time.Now().UTC()
	f.pass(time.Date(now.Year(), now.Month()+2, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour).Sub(now))
	h := f.reserve(k, charge(t, "input 100 0.01"))
	f.abandoned(h, charge(t, "input 50 0.01"))
	f.refundOf(h, "")
	before := f.bill("acme")
	f.pass(2 * time.Hour)
	f.settle(h, charge(t, "input 100 0.01"))

	lines := f.bill("acme").Lines
	if len(lines) != 1 || lines[0].Requests != 0 || lines[0].Usage["input"] != 50 || lines[0].Fee.String() != "1" {
		t.Errorf("the month of the charge: %+v", lines)
	}
	closed, err := f.ledger.Bill(f.ctx(), "acme", f.ledger.now().Add(-24*time.Hour))
	f.must(err)
	if len(closed.Lines) != 1 || closed.Lines[0].Requests != 1 || before.Lines[0].Requests != 1 || closed.Lines[0].Usage["input"] != 50 {
		t.Errorf("the month before: %+v, was %+v", closed.Lines, before.Lines)
	}
}

// A call that was swept and then released is not on the bill.
func TestBillOfAnAbandonReleasedLate(t *testing.T) {
	f := newFixture(t, Options{HoldTTL: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	h := f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 100 0.01"))
	f.abandoned(h, charge(t, "input 50 0.01"))
	f.release(h)
	if bill := f.bill("acme"); bill.Fee != 0 || len(bill.Lines) != 0 {
		t.Errorf("bill %+v", bill)
	}
}

// A call that was swept in one month and settled in the next has been taken back there: the month that is over stays as it is,
// however long it took until the call ended, and whatever was refunded meanwhile.
func TestBillOfAnAbandonSettledInTheNextMonth(t *testing.T) {
	const hours = time.Hour
	for name, c := range map[string]struct {
		before  time.Duration   // the end of the month it is swept
		refunds []string        // of it, "" for all that is left
		pauses  []time.Duration // before each of these, and before it is settled
	}{
		"at once":                       {hours, nil, []time.Duration{2 * hours}},
		"a part refunded in between":    {hours, []string{"0.2"}, []time.Duration{30 * time.Minute, 2 * hours}},
		"all refunded on the third day": {85 * hours, []string{""}, []time.Duration{60 * hours, 60 * hours}},
		"parts refunded on and on":      {235 * hours, []string{"0.1", "0.1", "0.1", "0.1"}, []time.Duration{60 * hours, 60 * hours, 60 * hours, 50 * hours, 40 * hours}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Minute, Shards: 1})
			f.account("acme", "10", "0", AccountOptions{})
			k := f.key("acme", KeyLimits{})
			now := time.Now().UTC()
			f.pass(time.Date(now.Year(), now.Month()+2, 1, 0, 0, 0, 0, time.UTC).Add(-c.before).Sub(now))
			closed := f.ledger.now()
			h := f.reserve(k, charge(t, "input 100 0.01"))
			f.abandoned(h, charge(t, "input 50 0.01"))
			f.settle(f.reserve(k, charge(t, "input 7 0.01")), charge(t, "input 7 0.01")) // another one, in the same month
			for i, amount := range c.refunds {
				f.pass(c.pauses[i])
				f.refundOf(h, amount)
			}
			f.pass(c.pauses[len(c.refunds)])
			f.settle(h, charge(t, "input 100 0.01"))

			then, err := f.ledger.Bill(f.ctx(), "acme", closed)
			f.must(err)
			var calls, input int64
			for _, l := range then.Lines {
				calls, input = calls+l.Requests, input+l.Usage["input"]
			}
			if calls != 2 || input != 57 {
				t.Errorf("the month that is over has %d requests and %d tokens, want 2 and 57: %+v", calls, input, then.Lines)
			}
			is := f.bill("acme")
			if len(is.Lines) != 1 || is.Lines[0].Requests != 0 || is.Lines[0].Usage["input"] != 50 || is.Lines[0].Model != "glm-4" ||
				is.Lines[0].Day != f.ledger.now().UTC().Format(time.DateOnly) {
				t.Errorf("the next one: %+v", is.Lines)
			}
			if sum := then.Fee + is.Fee; sum.String() != "1.07" {
				t.Errorf("both come to %s, want 1.07", sum)
			}
		})
	}
}
