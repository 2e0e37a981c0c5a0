package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// An account that cannot be booked on keeps no other from being priced anew.
func TestRepriceGoesOnAfterADamagedAccount(t *testing.T) {
	for name, damage := range map[string]func(f *fixture, bad string) error{
		"a balance that is none": func(f *fixture, bad string) error {
			return f.server.Client().HSet(f.ctx(), bad, "recharge", "damaged").Err()
		},
		"another type": func(f *fixture, bad string) error {
			f.must(f.server.Client().Del(f.ctx(), bad).Err())
			return f.server.Client().Set(f.ctx(), bad, "damaged", 0).Err()
		},
		"it is gone": func(f *fixture, bad string) error { return f.server.Client().Del(f.ctx(), bad).Err() },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.repriceBeside(func(bad string) error { return damage(f, bad) })
		})
	}
}

// repriceBeside prices anew the charges of two accounts, one of which has been damaged.
func (f *fixture) repriceBeside(damage func(bad string) error) {
	f.Helper()
	f.broken = true
	for _, id := range []string{"bad", "acme"} {
		f.account(id, "10", "0", AccountOptions{})
		f.settle(f.reserve(f.key(id, KeyLimits{}), charge(f, "input 1 1")), charge(f, "input 1 1"))
	}
	f.must(damage(f.ledger.accountKey(0, "bad")))
	left := make(map[string]error)
	sum, err := f.ledger.Reprice(f.ctx(), Repricing{Reason: "x"}, func(*Entry) (meter.Charge, error) { return charge(f, "input 1 2"), nil },
		func(r *Repriced) { left[r.Charge.Account] = r.Left })
	if err != nil || sum.Repriced != 1 || sum.Left != 1 || left["bad"] == nil {
		f.Errorf("%+v, left %v: %v", sum, left, err)
	}
	f.balances("acme", "8 0 0")
}
