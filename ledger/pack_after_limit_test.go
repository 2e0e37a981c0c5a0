package ledger

import (
	"testing"
	"time"
)

// A key that is admitted because a pack after the wallets pays, though its spend limit would not do, must not spend cash
// instead when the wallets have come up meanwhile.
func TestPackAfterBalanceKeepsAKeyWithinItsSpendLimit(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1_000_000, Order: AfterBalance})
		f.settlesWithinItsSpendLimit("input 10000 0.5/1K", "pack:p1 10000", "pack:p1 10000")
	})
}

// Nor when the answer was of another unit than the quote, for which a pack after the wallets is there as well.
func TestPackAfterBalanceKeepsAKeyWithinItsSpendLimitInAnotherUnit(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Unit: "image", Quantity: 100, Order: AfterBalance})
		f.grant(Grant{Account: "acme", Quantity: 1_000_000, Order: AfterBalance})
		f.settlesWithinItsSpendLimit("image 10 0.5", "pack:p1 10", "pack:p2 10000")
	})
}

// settlesWithinItsSpendLimit holds a quote, all of it on packs since another call has the wallets, which then come up, and settles
// 5 in cash by a key that may spend 0.5.
func (f *fixture) settlesWithinItsSpendLimit(quote, held, paidBy string) {
	f.Helper()
	other, limited := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{SpendTotal: f.nano("0.5")})
	whole := f.reserve(other, charge(f, "input 10 1")) // all that the wallets have
	hold := f.reserve(limited, charge(f, quote))
	if hold.Cash != 0 || paid(hold.Packs) != held {
		f.Errorf("hold %+v", hold)
	}
	f.release(whole)
	receipt := f.settle(hold, charge(f, "input 10000 0.5/1K"))
	if got := paid(receipt.Paid); got != paidBy || receipt.Overrun != 0 {
		f.Errorf("paid %s, overrun %s", got, receipt.Overrun)
	}
	f.balances("acme", "10 0 0")
	if use := f.keyUse(limited); use.SpendTotal > f.nano("0.5") {
		f.Errorf("the key may spend 0.5, and has spent %s", use.SpendTotal)
	}
}

// Nor when the call has no hold any more: it was swept, and settles late.
func TestPackAfterBalanceKeepsAKeyWithinItsSpendLimitWithoutAHold(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "0", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1_000_000, Order: AfterBalance})
		limited := f.key("acme", KeyLimits{SpendTotal: f.nano("0.5")})

		used := charge(f, "input 10000 0.5/1K") // 5 in cash
		hold := f.reserve(limited, used)
		f.pass(time.Hour)
		f.sweep()
		f.topup("acme", Recharge, "10")
		receipt := f.settle(hold, used)
		if got := paid(receipt.Paid); got != "pack:p1 9000, recharge 0.5" {
			f.Errorf("paid %s", got)
		}
		if use := f.keyUse(limited); use.SpendTotal > f.nano("0.5") {
			f.Errorf("the key may spend 0.5, and has spent %s", use.SpendTotal)
		}
	})
}

// Nor does it take what other calls of the key hold of its limit.
func TestPackAfterBalanceLeavesWhatOtherCallsOfTheKeyHold(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "0", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1_000_000, Order: AfterBalance})
		limited := f.key("acme", KeyLimits{SpendTotal: f.nano("0.5")})

		used := charge(f, "input 10000 0.5/1K") // 5 in cash
		hold := f.reserve(limited, used)
		f.pass(time.Hour)
		f.sweep()
		f.topup("acme", Recharge, "10")
		other := f.reserve(limited, cost(f, "0.3"))
		if got := paid(f.settle(hold, used).Paid); got != "pack:p1 9600, recharge 0.2" {
			f.Errorf("paid %s", got)
		}
		f.settle(other, cost(f, "0.3"))
		if use := f.keyUse(limited); use.SpendTotal != f.nano("0.5") {
			f.Errorf("the key may spend 0.5, and has spent %s", use.SpendTotal)
		}
	})
}
