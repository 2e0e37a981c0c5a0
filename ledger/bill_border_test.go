package ledger

import (
	"fmt"
	"testing"
	"time"
)

// Every month ends with its last day, however long it is: a charge of the next one's first instants is on the next bill.
func TestBillEndsWithItsMonth(t *testing.T) {
	zone := fixedZone(8 * 3600)
	f := newFixture(t, Options{Timezone: zone})
	f.account("acme", "100", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	first := time.Date(time.Now().Year()+1, 1, 1, 0, 0, 0, 0, zone)
	spend := func(at time.Time, amount string) {
		f.pass(at.Sub(f.ledger.now()))
		f.settle(f.reserve(key, cost(t, amount)), cost(t, amount))
	}
	for month := range 12 {
		begin, end := first.AddDate(0, month, 0), first.AddDate(0, month+1, 0)
		spend(begin.Add(time.Hour), fmt.Sprintf("0.0%02d", month+1))
		spend(end.Add(-time.Hour), "1")
	}
	for month := range 12 {
		bill, err := f.ledger.Bill(f.ctx(), "acme", first.AddDate(0, month, 0))
		f.must(err)
		if want := fmt.Sprintf("1.0%02d", month+1); bill.Fee != f.nano(want) || len(bill.Lines) != 2 {
			t.Errorf("%s: %s in %d lines, want %s", bill.Month, bill.Fee, len(bill.Lines), want)
		}
	}
}
