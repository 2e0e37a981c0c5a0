package ledger

import "testing"

// A call of a trip gives units back to several packs, of which a call before it has looked at some: what comes back to the revoked
// one is withdrawn all the same.
func TestUnitsComeBackToSeveralPacksInATrip(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 50})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{})
		one := f.reserve(key, charge(f, "input 10 0.001"))
		two := f.reserve(key, charge(f, "input 60 0.001"))
		if got := paid(one.Packs) + "; " + paid(two.Packs); got != "pack:p1 10; pack:p1 40, pack:p2 20" {
			f.Errorf("held %s", got)
		}
		_, err := f.ledger.RevokePack(f.ctx(), "acme", "p2", "sent back")
		f.must(err)
		f.trip(f.settleCall(settlement(one, charge(f, "input 10 0.001"))), f.releaseCall(two))
		f.pack("acme", "p1", 40, 40)
		f.pack("acme", "p2", 0, 0)
	})
}
