package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// An account that cannot be booked on keeps no other from being priced anew.
func TestRepriceGoesOnAfterADamagedAccount(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.broken = true
	for _, id := range []string{"bad", "acme"} {
		f.account(id, "10", "0", AccountOptions{})
		f.settle(f.reserve(f.key(id, KeyLimits{}), charge(f, "input 1 1")), charge(f, "input 1 1"))
	}
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(0, "bad"), "recharge", "damaged").Err())
	left := make(map[string]error)
	sum, err := f.ledger.Reprice(f.ctx(), Repricing{Reason: "x"}, func(*Entry) (meter.Charge, error) { return charge(f, "input 1 2"), nil },
		func(r *Repriced) { left[r.Charge.Account] = r.Left })
	if err != nil || sum.Repriced != 1 || sum.Left != 1 || left["bad"] == nil {
		t.Errorf("%+v, left %v: %v", sum, left, err)
	}
	f.balances("acme", "8 0 0")
}
