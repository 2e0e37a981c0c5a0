package ledger

import (
	"fmt"
	"strings"
	"testing"
)

// found audits, and returns what differs by a law.
func (f *fixture) found(law string) (list []string) {
	f.Helper()
	report, err := f.ledger.Audit(f.ctx(), "acme")
	f.must(err)
	for _, d := range report.Differences {
		if d.Law == law {
			list = append(list, d.What)
		}
	}
	return list
}

// repeat appends a journal entry once more, with other fields; it returns the seq of what was appended.
func (f *fixture) repeat(seq int64, fields map[string]string) int64 {
	f.Helper()
	shard := f.ledger.shardOf("acme")
	entry, err := f.ledger.entryFrom(f.ctx(), shard, seq)
	f.must(err)
	all := fieldMap(entry.Fields)
	for name, value := range fields {
		all[name] = value
	}
	var list []any
	for name, value := range all {
		if name != "m" && name != "a" && value != "" {
			list = append(list, name, value)
		}
	}
	f.must(f.forge(list...))
	return f.shardSeq(shard)
}

// EXACT-FEE: the audit adds up the lines of every charge, and who paid, and multiplies each line by its rate.
func TestAuditAddsUpEachCharge(t *testing.T) {
	for name, c := range map[string]struct {
		lines, fee, paid string // "cash:quantity", of input 150 at 0.001, of which a pack paid 100
		static           string
		what             string // "line 1" or "": the entry
		right            bool
	}{
		"as it was":                  {lines: "50000000:100", fee: "50000000", paid: "p1=100,r=50000000", right: true},
		"a line at another rate":     {lines: "50000001:100", fee: "50000001", paid: "p1=100,r=50000001", what: "line 1"},
		"a pack gave less than none": {lines: "160000000:-10", fee: "160000000", paid: "p1=-10,r=160000000", what: "line 1"},
		"a pack gave more than all":  {lines: "0:160", fee: "0", paid: "p1=160", what: "line 1"},
		"beyond all amounts": {
			lines: "0:0", fee: "0", what: "line 1",
			static: `{"m":"glm-4","e":"chat","l":[{"d":"input","n":9007199254740991,"r":"1000000"}]}`,
		},
		"the fee is not the lines":       {lines: "50000000:100", fee: "50000001", paid: "p1=100,r=50000001"},
		"the fee is not what was paid":   {lines: "50000000:100", fee: "50000000", paid: "p1=100,r=49999999"},
		"the pack gave not what is said": {lines: "50000000:100", fee: "50000000", paid: "p1=99,r=50000000"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			key := f.key("acme", KeyLimits{})
			r := f.settle(f.reserve(key, charge(t, "input 150 0.001")), charge(t, "input 150 0.001"))
			fields := map[string]string{"r": NewRequestID(), "l": c.lines, "f": c.fee, "p": c.paid}
			if c.static != "" {
				fields["s"] = c.static
			}
			entry := "entry " + entryID(f.repeat(r.seq(), fields))
			want := strings.TrimSuffix(fmt.Sprintf("%s, %s", entry, c.what), ", ")
			if got := f.found(lawExactFee); c.right && got != nil || !c.right && (len(got) != 1 || got[0] != want) {
				t.Errorf("found %q, want %s", got, want)
			}
		})
	}
}
