package ledger

import "testing"

// A pack that is granted after the hold pays nothing of that call, whatever its units: it was quoted, and admitted, without.
func TestPackGrantedAfterTheHoldPaysNothing(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		for id, c := range map[string]struct {
			before, later string // units of packs
			lines         []string
			paid          string
		}{
			"none":   {"", "token", []string{"input 10 0.1"}, "recharge 1"},
			"other":  {"image", "token", []string{"input 10 0.1"}, "recharge 1"},
			"second": {"token", "call", []string{"input 10 0.1", "call 1 0.5"}, "pack:p1 5, recharge 1"},
			"first":  {"call", "token", []string{"input 10 0.1", "call 1 0.5"}, "pack:p1 1, recharge 1"},
			"third":  {"call", "image", []string{"input 10 0.1", "call 1 0.5", "image 1 0.25"}, "pack:p1 1, recharge 1.25"},
		} {
			f.account(id, "10", "0", AccountOptions{})
			if c.before != "" {
				f.grant(Grant{Account: id, Unit: c.before, Quantity: 5})
			}
			h := f.reserve(f.key(id, KeyLimits{}), charge(f, c.lines...))
			f.grant(Grant{Account: id, Unit: c.later, Quantity: 5})
			if got := paid(f.settle(h, charge(f, c.lines...)).Paid); got != c.paid {
				t.Errorf("%s: paid %s, want %s", id, got, c.paid)
			}
		}
		f.audit()
	})
}
