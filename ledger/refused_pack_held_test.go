package ledger

import "testing"

// What other requests hold of a pack is on its way back. A key whose own limit covers this request only once the pack pays
// again is told to come back, not that it is exhausted; and the refusal's numbers say what the pack would have spared it.
func TestPackHeldByOthersIsNotAnExhaustedKey(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "100", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 1000})
		other, limited := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{SpendTotal: f.nano("0.1")})
		quote := charge(f, "input 1000 0.001") // 1 in cash

		hold := f.reserve(other, quote)
		no := isReason(f, f.refused(limited, quote), InFlight, "key.spend_total")
		if no.Required != 1e9 || no.Available != 1e8 || no.Held != 1e9 {
			f.Errorf("refusal %+v", no)
		}
		// The pack has no more than 1000: of 1101 tokens the key would have to pay for 101.
		_ = isReason(f, f.refused(limited, charge(f, "input 1101 0.001")), KeySpendExhausted, "key.spend_total")
		_ = isReason(f, f.refused(limited, charge(f, "input 1100 0.001")), InFlight, "key.spend_total")

		f.release(hold)
		f.release(f.reserve(limited, charge(f, "input 1100 0.001")))
		f.settle(f.reserve(other, quote), quote) // and now the pack is used up
		no = isReason(f, f.refused(limited, quote), KeySpendExhausted, "key.spend_total")
		if no.Held != 0 {
			f.Errorf("refusal %+v", no)
		}
	})
}

// An account that lives on packs alone is told what its requests in flight hold of them.
func TestRefusalTellsWhatIsHeldOfPacks(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "0", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Unit: "image", Quantity: 4})
		key := f.key("acme", KeyLimits{})
		quote := charge(f, "image 3 0.06")
		hold := f.reserve(key, quote)
		no := isReason(f, f.refused(key, quote), InFlight, "balance")
		if no.Required != 12e7 || no.Available != 0 || no.Held != 12e7 || no.PackFree != 0 { // what is free is told of tokens alone
			f.Errorf("refusal %+v", no)
		}
		f.release(hold)
	})
}

// What a pack after the wallets pays now, because other requests hold those, it would not then: the wallets would. It is no more
// held of the pack for that, and the key is not exhausted before the least that it may have to pay is more than it has.
func TestRefusalWhereAPackAfterTheWalletsPaysNow(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100, Order: AfterBalance})
		f.reserve(f.key("acme", KeyLimits{}), cost(f, "8"))
		limited := f.key("acme", KeyLimits{SpendTotal: f.nano("4")})
		f.reserve(limited, cost(f, "1.5"))
		ask := charge(f, "input 250 0.02") // 3 of 5 in cash; the wallets have 0.5 now
		no := isReason(f, f.refused(f.key("acme", KeyLimits{}), ask), InFlight, "balance")
		if no.Required != 3e9 || no.Held != 95e8 || no.PackFree != 100 {
			f.Errorf("refusal %+v", no)
		}
		f.topup("acme", Recharge, "3")
		no = isReason(f, f.refused(limited, ask), InFlight, "key.spend_total")
		if no.Available != 25e8 || no.PackFree != 0 { // which gives what the wallets lack, and never what a limit of the key does
			f.Errorf("refusal %+v", no)
		}
	})
}

// Looking at how it would be without what is held changes nothing for a call that packs pay for, by a key that is above its limit.
func TestPacksPayForAKeyAboveItsLimitWithWhatIsFree(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1.2", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{SpendTotal: f.nano("0.1")})
		f.settle(f.reserve(key, cost(f, "0.1")), cost(f, "0.2"))
		f.grant(Grant{Account: "acme", Quantity: 10, Order: AfterBalance})
		f.reserve(f.key("acme", KeyLimits{}), cost(f, "1")) // so the pack pays now, and the wallets would without this
		if hold := f.reserve(key, charge(f, "input 10 0.001")); hold.Cash != 0 || paid(hold.Packs) != "pack:p1 10" {
			f.Errorf("hold %+v", hold)
		}
	})
}
