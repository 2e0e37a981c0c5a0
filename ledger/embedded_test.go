package ledger

import (
	"testing"
	"time"
)

// The embedded ledger is for trying out: the same scripts go through the whole life of a request.
func TestEmbedded(t *testing.T) {
	l, err := Open(t.Context(), Options{URL: Embedded, Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, ledger: l}
	t.Cleanup(func() { f.must(l.Close()) })
	f.account("acme", "50", "50", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 300})
	key := f.key("acme", KeyLimits{RPM: 10, TPM: 10_000, Parallel: 5, SpendDaily: f.nano("40")})
	used := charge(f, "input 1000 2/1M", "output 500 8/1M")
	hold := f.reserve(key, used)
	for range 2 {
		if got := paid(f.settle(hold, used).Paid); got != "pack:p1 300, bonus 0.0024, recharge 0.0024" {
			t.Errorf("paid %s", got)
		}
	}
	f.settle(f.reserve(key, cost(f, "10")), cost(f, "10"))
	f.release(f.reserve(key, cost(f, "10")))
	_ = isReason(t, f.refused(key, cost(f, "100")), InsufficientFunds, "balance")
	abandoned := f.reserve(key, cost(f, "1"))
	f.must(l.Extend(f.ctx(), Checkpoint{settlement(abandoned, cost(f, "0.5"))}))
	f.pass(time.Hour)
	if s := f.sweep(); s.Abandoned != 1 {
		t.Errorf("swept %+v", s)
	}
	f.settle(abandoned, cost(f, "1"))
	f.audit()
	server, err := l.Describe(f.ctx())
	f.must(err)
	if server.Mode != "embedded" || len(server.Warnings) != 1 || server.Shards != defaultShards {
		t.Errorf("server %+v", server)
	}
}
