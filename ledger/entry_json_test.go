package ledger

import (
	"encoding/json"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// What reads charges finds usage, lines, who paid and what is left in each,
// though a call was free or used nothing; other entries do not carry them.
func TestChargesHaveAllTheirMembers(t *testing.T) {
	fee := meter.Nano(0)
	for _, c := range []struct {
		entry any
		all   bool
	}{
		{Entry{ID: "1-0", Type: TypeCharge, Fee: &fee}, true},
		{&Entry{ID: "2-0", Type: TypeAbandon, Fee: &fee}, true},
		{Receipt{Entry: Entry{ID: "1-0", Type: TypeCharge, Fee: &fee}}, true},
		{Entry{ID: "3-0", Type: TypeTopup}, false},
	} {
		data, err := json.Marshal(c.entry)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatal(err)
		}
		for name, empty := range map[string]string{"usage": "{}", "lines": "[]", "paid": "[]", "balances_after": "{}"} {
			got, there := members[name]
			if there != c.all || there && string(got) != empty {
				t.Errorf("%s is %s in %s", name, got, data)
			}
		}
	}
}

// What a charge does have is written once, and read back as it was.
func TestChargeReadBack(t *testing.T) {
	fee := meter.Nano(7)
	e := Entry{
		ID: "1-0", Type: TypeCharge, Fee: &fee, Usage: Usage{meter.Quantities{meter.Input: 3}},
		Lines: []ChargeLine{{Line: meter.Line{Dimension: meter.Input, Quantity: 3}}},
		Paid:  []Payment{{From: "bonus", Amount: 7}}, BalancesAfter: Balances{{From: "bonus", Amount: 5}},
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back Entry
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.Usage != e.Usage || len(back.Lines) != 1 || len(back.Paid) != 1 || back.Paid[0] != e.Paid[0] || len(back.BalancesAfter) != 1 || *back.Fee != fee {
		t.Errorf("%s is read as %+v", data, back)
	}
}
