package ledger

import "testing"

// A journal entry that cannot be read, such as one with a dimension that only a later version of this program knows, keeps the
// journal and the bill of its own account back; others that stand in the same part of the journal have theirs.
func TestDamagedEntryIsNobodyElses(t *testing.T) {
	for name, damage := range map[string]map[string]string{
		"a number that is none": {"f": "damaged"},
		"an unknown dimension":  {"s": `{"l":[{"d":"holograms","n":1,"r":"1"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.broken = true
			for _, id := range []string{"acme", "bolt"} {
				f.account(id, "10", "0", AccountOptions{})
				entry := f.settle(f.reserve(f.key(id, KeyLimits{}), cost(t, "1")), cost(t, "1"))
				if id == "acme" {
					f.repeat(entry.seq(), damage)
				}
			}
			if bill := f.bill("bolt"); bill.Fee.String() != "1" {
				t.Errorf("the bill of the other account: %s, want 1", bill.Fee)
			}
			if n := len(f.entries("bolt", TypeCharge)); n != 1 {
				t.Errorf("%d charges in the journal of the other account, want one", n)
			}
			_, err := f.ledger.Bill(f.ctx(), "acme", f.ledger.now())
			f.says(err, ErrUnavailable, "journal entry")
		})
	}
}
