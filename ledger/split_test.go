package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// Who pays how much of a fee, by policy, and what is left.
func TestSplitOfAFee(t *testing.T) {
	cases := []struct {
		name            string
		split           Split
		recharge, bonus string
		fee             string
		paid            string
		left            string
	}{
		{"half and half", Proportional, "50", "50", "10", "bonus 5, recharge 5", "45 45 0"},
		{"80/20", Proportional, "80", "20", "10", "bonus 2, recharge 8", "72 18 0"},
		{"only recharge", Proportional, "10", "0", "10", "recharge 10", "0 0 0"},
		{"only bonus", Proportional, "0", "10", "10", "bonus 10", "0 0 0"},
		{"one nano", Proportional, "5", "5", "0.000000001", "recharge 0.000000001", "4.999999999 5 0"},
		{"everything", Proportional, "7.3", "2.7", "10", "bonus 2.7, recharge 7.3", "0 0 0"},
		{"thirds", Proportional, "2", "1", "1", "bonus 0.333333333, recharge 0.666666667", "1.333333333 0.666666667 0"},
		{"equal", Equal, "50", "50", "10", "bonus 5, recharge 5", "45 45 0"},
		{"equal, odd nano", Equal, "1", "1", "0.000000003", "bonus 0.000000001, recharge 0.000000002", "0.999999998 0.999999999 0"},
		{"equal, bonus short", Equal, "97", "3", "10", "bonus 3, recharge 7", "90 0 0"},
		{"equal, recharge short", Equal, "3", "97", "10", "bonus 7, recharge 3", "0 90 0"},
		{"bonus first", BonusFirst, "50", "4", "10", "bonus 4, recharge 6", "44 0 0"},
		{"recharge first", RechargeFirst, "4", "50", "10", "bonus 6, recharge 4", "0 44 0"},
		{"huge balances", Proportional, "9000000000", "3000000000", "8", "bonus 2, recharge 6", "8999999994 2999999998 0"},
		{"huge and odd", Proportional, "8999999999.999999999", "0.000000001", "0.000000001", "recharge 0.000000001", "8999999999.999999998 0.000000001 0"},
		{
			"huge, the most a request can cost", Equal, "9000000000", "9000000000", "9007199.254740991",
			"bonus 4503599.627370495, recharge 4503599.627370496", "8995496400.372629504 8995496400.372629505 0",
		},
	}
	onRealRedis(t, func(f *fixture) {
		for i, c := range cases {
			id := "split" + string(rune('a'+i))
			f.account(id, c.recharge, c.bonus, AccountOptions{Split: c.split})
			key := f.key(id, KeyLimits{})
			quote := cost(f, c.fee)
			hold := f.reserve(key, quote)
			f.balances(id, c.recharge+" "+c.bonus+" "+c.fee)
			receipt := f.settle(hold, quote)
			if got := paid(receipt.Paid); got != c.paid {
				f.Errorf("%s: paid %s, want %s", c.name, got, c.paid)
			}
			f.balances(id, c.left)
		}
	})
}

// Holds stand on the account's cash as a whole: each settlement splits by the
// balances of its time, and no wallet falls below zero while both can pay.
func TestSplitUnderOtherHolds(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		for _, split := range []Split{Proportional, Equal, BonusFirst, RechargeFirst} {
			id := "holds." + string(split)
			f.account(id, "6", "4", AccountOptions{Split: split})
			key := f.key(id, KeyLimits{})
			first, second, third := f.reserve(key, cost(f, "3")), f.reserve(key, cost(f, "3")), f.reserve(key, cost(f, "4"))
			_ = isReason(f, f.refused(key, cost(f, "0.000000001")), InFlight, "balance")
			for _, h := range []*Hold{second, first, third} {
				f.settle(h, cost(f, h.Cash.String()))
				a := f.read(id)
				if a.Wallets[Recharge].Balance < 0 || a.Wallets[Bonus].Balance < 0 {
					f.Errorf("%s: NONNEG: %+v", split, a.Wallets)
				}
			}
			f.balances(id, "0 0 0")
		}
	})
}

// Free shows what would be left if all that is held were charged now.
func TestFreeFollowsTheSplit(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "80", "20", AccountOptions{})
	hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "10"))
	a := f.read("acme")
	if a.Wallets[Recharge].Free != f.nano("72") || a.Wallets[Bonus].Free != f.nano("18") {
		f.Errorf("free: %+v", a.Wallets)
	}
	if hold.Standing.Recharge != f.nano("72") || hold.Standing.Bonus != f.nano("18") {
		f.Errorf("standing: %+v", hold.Standing)
	}
}

// An overrun is booked whole; what no wallet has, recharge owes; and nothing
// more is admitted until it is covered. A pack may pay all the same.
func TestOverrunBecomesDebt(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "1", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		receipt := f.settle(f.reserve(key, cost(f, "2")), cost(f, "5"))
		if receipt.Overrun != f.nano("3") || *receipt.Hold != f.nano("2") || *receipt.Fee != f.nano("5") {
			f.Errorf("receipt %+v", receipt.Entry)
		}
		f.balances("acme", "-3 0 0")
		no := f.refused(key, cost(f, "0.5"))
		_ = isReason(f, no, InsufficientFunds, "balance")
		if no.Available != 0 || no.Cash != 0 {
			f.Errorf("refusal %+v: nothing is available", no)
		}
		f.grant(Grant{Account: "acme", Quantity: 100})
		f.settle(f.reserve(key, charge(f, "input 60 2/1M")), charge(f, "input 50 2/1M"))
		f.pack("acme", "p1", 50, 50)
		f.balances("acme", "-3 0 0")
		f.topup("acme", Bonus, "3.5")
		f.settle(f.reserve(key, cost(f, "0.5")), cost(f, "0.5"))
		f.balances("acme", "-3 3 0")
	})
}

func TestOverdraft(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{Overdraft: f.nano("4")})
		key := f.key("acme", KeyLimits{})
		_ = isReason(f, f.refused(key, cost(f, "5.000000001")), InsufficientFunds, "balance")
		f.settle(f.reserve(key, cost(f, "5")), cost(f, "5"))
		f.balances("acme", "-4 0 0")
		_ = isReason(f, f.refused(key, cost(f, "0.000000001")), InsufficientFunds, "balance")
	})
}

// Numbers from 1e14 on are where Lua's own printing begins to lie.
func TestLargeNumbersPrintRight(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "9000000000", "123456.789012345", AccountOptions{Split: RechargeFirst})
		key := f.key("acme", KeyLimits{SpendTotal: meter.MaxBalance})
		f.grant(Grant{Account: "acme", Unit: "image", Quantity: 999_999_999_999_999})
		hold := f.reserve(key, cost(f, "123456.789012345"))
		receipt := f.settle(hold, cost(f, "100000"))
		if got := paid(receipt.Paid); got != "recharge 100000" {
			f.Errorf("paid %s", got)
		}
		f.balances("acme", "8999900000 123456.789012345 0")
		if got := after(&receipt.Entry, "recharge"); got != "8999900000" {
			f.Errorf("balance after %v", got)
		}
		image := charge(f, "image 100000000000000 0.000000001")
		f.settle(f.reserve(key, image), image)
		f.pack("acme", "p1", 899_999_999_999_999, 899_999_999_999_999)
	})
}
