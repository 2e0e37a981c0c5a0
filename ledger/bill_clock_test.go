package ledger

import (
	"testing"
	"time"
)

// Redis's clock stands hours ahead until it is set, as after a start by a hardware
// clock in local time, and a month ends in between: no charge is in no bill.
func TestBillsWhenTheClockStoodAhead(t *testing.T) {
	f := newFixture(t, Options{Timezone: time.UTC})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	now := f.ledger.now().UTC()
	border := time.Date(now.Year(), now.Month()+2, 1, 0, 0, 0, 0, time.UTC)
	f.pass(border.Add(-6 * time.Hour).Sub(now))
	spend := func() { f.settle(f.reserve(key, cost(t, "1")), cost(t, "1")) }
	spend()
	f.pass(12 * time.Hour)
	spend()
	f.pass(-12 * time.Hour)
	spend()
	for month, want := range map[time.Time]string{border.AddDate(0, -1, 0): "2", border: "1"} {
		bill, err := f.ledger.Bill(f.ctx(), "acme", month)
		f.must(err)
		if bill.Fee.String() != want {
			t.Errorf("%s: %s, want %s", bill.Month, bill.Fee, want)
		}
	}
}
