package ledger

import (
	"fmt"
	"slices"
	"testing"
)

// A fault is told once, though it shows in all entries that follow, and differences stand in one order.
func TestAuditTellsAFaultOnce(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 1000})
	f.topup("acme", Recharge, "1")
	f.must(f.server.Client().XDel(f.ctx(), f.ledger.journalKey(0), "3-0").Err()) // the first topup of the bonus
	for range 2 {
		f.must(f.forge("t", TypeResume, "z", "r=5,p1=5"))
	}
	report, err := f.ledger.Audit(f.ctx(), "")
	f.must(err)
	got := make([]string, len(report.Differences))
	for i, d := range report.Differences {
		got[i] = fmt.Sprint(d.Account, " ", d.Law, " ", d.What)
	}
	want := []string{" DENSE entry 4-0", "acme CONSERVE bonus", "acme CHAIN entry 6-0, pack:p1", "acme CHAIN entry 6-0, recharge"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
