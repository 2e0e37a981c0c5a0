package ledger

import "testing"

// What packs paid for stays paid for, on whichever lines it then stands. Of a charge that is to be of less than that, nothing is booked.
func TestRepriceKeepsWhatPacksPaid(t *testing.T) {
	for name, c := range map[string]struct {
		lines    []string
		balances string
		left     string
	}{
		"in two lines":        {[]string{"input 60 0.002", "input 90 0.002"}, "9.9 0 0", ""},
		"of less than before": {[]string{"input 60 0.002"}, "9.95 0 0", "packs paid for 40 of input"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "10", "0", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			once := charge(t, "input 150 0.001")
			f.settle(f.reserve(f.key("acme", KeyLimits{}), once), once)
			list, _ := f.reprice(Repricing{}, at(t, c.lines...))
			if len(list) != 1 || (list[0].Left == nil) != (c.left == "") {
				t.Fatalf("repriced %+v", list)
			}
			if c.left != "" {
				f.says(list[0].Left, ErrInvalid, c.left)
			}
			f.balances("acme", c.balances)
		})
	}
}
