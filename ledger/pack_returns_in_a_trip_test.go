package ledger

import (
	"slices"
	"testing"
	"time"
)

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

// A pack that is filled again by a call of a trip pays for the next one.
func TestPackFilledAgainInATripPays(t *testing.T) {
	for name, before := range map[string]bool{"and one before found that none fits": true, "where that was known": false} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.account("acme", "10", "0", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 50})
			key, used := f.key("acme", KeyLimits{}), charge(t, "input 50 0.01")
			abandoned := f.reserve(key, used)
			f.abandoned(abandoned, used)
			if !before {
				f.settle(f.reserve(key, used), used)
			}
			small := charge(t, "input 25 0.01")
			calls := []*scriptCall{f.releaseCall(abandoned), f.reserveCall(f.reservation(key, small))}
			if before {
				calls = append([]*scriptCall{f.reserveCall(f.reservation(key, used))}, calls...)
			}
			if got := f.trip(calls...); slices.ContainsFunc(got, func(s string) bool { return s != "OK" }) {
				t.Errorf("the trip brought %v", got)
			}
			f.pack("acme", "p1", 50, 25)
			if got := paid(f.reserve(key, small).Packs); got != "pack:p1 25" {
				t.Errorf("after the trip is held of %q", got)
			}
		})
	}
}

// What comes back by each call of a trip to a pack past its expiry goes at once, and no more: what was free before goes with the
// sweeper, and may be used until then.
func TestUnitsComeBackToAnExpiredPackInATrip(t *testing.T) {
	for name, c := range map[string]struct {
		used      string // by the first of the trip, which holds 60; 30 are held by the second, and 10 are free
		remaining int64
	}{
		"less than held": {"input 20 0.01", 10},
		"more than held": {"input 65 0.01", 5},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.account("acme", "10", "0", AccountOptions{})
			f.expiring(100, 10*time.Minute)
			key := f.key("acme", KeyLimits{})
			first, second := f.reserve(key, charge(t, "input 60 0.01")), f.reserve(key, charge(t, "input 30 0.01"))
			third := f.reserve(key, cost(t, "1"))
			f.pass(11 * time.Minute)
			f.trip(f.settleCall(settlement(first, charge(t, c.used))), f.releaseCall(second), f.settleCall(settlement(third, cost(t, "1"))))
			f.pack("acme", "p1", c.remaining, c.remaining)
		})
	}
}
