package ledger

import "testing"

// Of one account alone, the charges of others in the same part of the journal are not looked at.
func TestRepriceOfOneAccount(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	for _, id := range []string{"acme", "bolt"} {
		f.account(id, "10", "0", AccountOptions{})
		f.settle(f.reserve(f.key(id, KeyLimits{}), charge(t, "input 1 1")), charge(t, "input 1 1"))
	}
	if list, sum := f.reprice(Repricing{}, at(t, "input 1 2")); len(list) != 1 || sum.Charges != 1 {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}
	f.balances("acme", "8 0 0")
	f.balances("bolt", "9 0 0")
}
