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
	left := make(map[string]*Repriced)
	sum, err := f.ledger.Reprice(f.ctx(), Repricing{Reason: "x"}, func(*Entry) (meter.Charge, error) { return charge(f, "input 1 2"), nil },
		func(r *Repriced) { left[r.Charge.Account] = r })
	if err != nil || sum.Repriced != 1 || sum.Left != 1 || left["bad"] == nil || !left["bad"].Damaged() || left["acme"].Damaged() {
		f.Errorf("%+v, left %+v: %v", sum, left["bad"], err)
	}
	f.balances("acme", "8 0 0")
}

// An entry that cannot be read is left alone, and told of as such; the charges behind it are priced anew.
func TestRepriceGoesOnAfterADamagedEntry(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	once := charge(t, "input 1 1")
	first := f.settle(f.reserve(key, once), once)
	damaged := f.repeat(first.seq(), map[string]string{"f": "damaged", "r": "req_damaged"})
	f.settle(f.reserve(key, once), once)
	list, sum := f.reprice(Repricing{}, at(t, "input 1 2"))
	if len(list) != 3 || sum.Charges != 3 || sum.Repriced != 2 || sum.Left != 1 {
		t.Fatalf("%d repriced, %+v", len(list), sum)
	}
	f.says(list[1].Left, ErrUnavailable, "journal entry "+entryID(damaged))
	if c := list[1].Charge; !list[1].Damaged() || c.Account != "acme" || c.RequestID != "req_damaged" || c.ID != entryID(damaged) {
		t.Errorf("told of %+v", c)
	}
	f.balances("acme", "6 0 0")
}
