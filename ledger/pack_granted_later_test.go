package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

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

// So it is where nobody hears of the call before the sweeper has ended it, and where it settles after that.
func TestPackGrantedAfterTheHoldPaysNothingLate(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		used := charge(f, "input 100 0.01")
		for id, c := range map[string]struct {
			checkpoint bool
			refund     meter.Nano // -1 all of it
			swept      string
		}{
			"released":         {false, 0, ""},
			"abandoned":        {true, 0, "pack:p1 60, recharge 0.4"},
			"refunded":         {true, -1, "pack:p1 60, recharge 0.4"},
			"refunded in part": {true, f.nano("0.1"), "pack:p1 60, recharge 0.4"},
		} {
			id = strings.ReplaceAll(id, " ", "-")
			f.account(id, "10", "0", AccountOptions{})
			f.grant(Grant{Account: id, Quantity: 60})
			hold := f.reserve(f.key(id, KeyLimits{}), used)
			if c.checkpoint {
				f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, used)}))
			}
			f.grant(Grant{Account: id, Quantity: 1000, Priority: -1})
			f.pass(time.Hour)
			f.sweep()
			swept := ""
			for _, e := range f.entries(id, TypeAbandon) {
				swept = paid(e.Paid)
			}
			if c.refund != 0 {
				r := Refund{Account: id, RequestID: hold.ID, Amount: &c.refund, Reason: "x"}
				if c.refund < 0 {
					r.Amount = nil
				}
				_, err := f.ledger.Refund(f.ctx(), r)
				f.must(err)
			}
			if got := paid(f.settle(hold, used).Paid); swept != c.swept || got != "pack:p1 60, recharge 0.4" {
				f.Errorf("%s: paid %q when it was swept and %s at its end", id, swept, got)
			}
		}
		f.audit()
	})
}
