package ledger

import "testing"

// A pack after the wallets pays what they lack when the call ends, also where another call has taken what was held of them.
func TestPackAfterBalancePaysWhatAnOverrunTook(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1_000_000, Order: AfterBalance})
		key := f.key("acme", KeyLimits{})

		other := f.reserve(key, cost(f, "1"))
		used := charge(f, "input 15000 0.001") // 15 in cash
		hold := f.reserve(key, used)
		if hold.Cash != f.nano("9") || paid(hold.Packs) != "pack:p1 6000" {
			f.Errorf("hold %+v", hold)
		}
		f.settle(other, cost(f, "5"))
		if got := paid(f.settle(hold, used).Paid); got != "pack:p1 10000, recharge 5" {
			f.Errorf("paid %s", got)
		}
		f.balances("acme", "0 0 0")
	})
}

// What a call has used above its hold is the wallets' to pay first, as ever, where its hold has nothing of a pack after them.
func TestPackAfterBalanceLeavesAnOverrunToTheWallets(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000, Order: AfterBalance})
		if got := paid(f.settle(f.reserve(key, charge(f, "input 50 0.001")), charge(f, "input 300 0.001")).Paid); got != "recharge 0.3" {
			f.Errorf("paid %s", got)
		}
		f.grant(Grant{Account: "acme", Quantity: 100})
		if got := paid(f.settle(f.reserve(key, charge(f, "input 150 0.001")), charge(f, "input 300 0.001")).Paid); got != "pack:p2 100, recharge 0.2" {
			f.Errorf("paid %s", got)
		}
	})
}
