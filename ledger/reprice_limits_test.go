package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A pack that comes after the wallets pays what these lack. What the key may spend today says nothing of it: the call was
// another day's, and has been made.
func TestRepriceOfTheUnpricedAsksForNoLimit(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{SpendDaily: f.nano("3")})
		unpriced := meter.Charge{Lines: []meter.Line{{Dimension: meter.Input, Quantity: 1000, Unpriced: true}}, PriceVersion: "test"}
		old := f.settle(f.reserve(key, meter.Charge{}), unpriced)
		f.pass(24 * time.Hour)
		f.settle(f.reserve(key, charge(f, "input 3 1")), charge(f, "input 3 1"))
		f.grant(Grant{Account: "acme", Quantity: 400, Order: AfterBalance})
		list, _ := f.reprice(Repricing{}, func(e *Entry) (meter.Charge, error) {
			if e.RequestID == old.RequestID {
				return charge(f, "input 1000 0.001"), nil
			}
			return sameAs(e), nil
		})
		if len(list) != 1 || paid(list[0].Entry.Paid) != "recharge 1" {
			t.Errorf("paid %s", paid(list[0].Entry.Paid))
		}
	})
}
