package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// ONCE: the audit finds a second charge of a request, also where nothing is left of the first one, or nothing ever was.
func TestAuditFindsASecondCharge(t *testing.T) {
	for name, first := range map[string]func(f *fixture, key Credential) int64{
		"of one that stands": func(f *fixture, key Credential) int64 {
			return f.settle(f.reserve(key, cost(f, "1")), cost(f, "1")).seq()
		},
		"of one that was given back by hand": func(f *fixture, key Credential) int64 {
			r := f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
			f.refund(r.RequestID, "")
			return r.seq()
		},
		"of one that cost nothing": func(f *fixture, key Credential) int64 {
			free := meter.Charge{Lines: []meter.Line{{Dimension: meter.Input, Quantity: 1000, Unpriced: true}}, PriceVersion: "test"}
			return f.settle(f.reserve(key, meter.Charge{}), free).seq()
		},
		"of a call that was abandoned": func(f *fixture, key Credential) int64 {
			f.abandoned(f.reserve(key, cost(f, "1")), cost(f, "1"))
			return f.entries("acme", TypeAbandon)[0].seq()
		},
		"of one that was abandoned, and given back in part": func(f *fixture, key Credential) int64 {
			f.abandoned(f.reserve(key, cost(f, "1")), cost(f, "1"))
			e := f.entries("acme", TypeAbandon)[0]
			f.refund(e.RequestID, "0.5")
			return e.seq()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			seq := first(f, f.key("acme", KeyLimits{}))
			f.audit()
			f.broken = true
			want := "entry " + entryID(f.repeat(seq, map[string]string{"t": TypeCharge}))
			if got := f.found(lawOnce); len(got) != 1 || got[0] != want {
				t.Errorf("found %q, want %s", got, want)
			}
		})
	}
}
