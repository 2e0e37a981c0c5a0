package ledger

import (
	"testing"
	"time"
)

// A call that is released tells what is left by then: of its packs with what it gave back, and of its key's day, which may have
// begun meanwhile.
func TestStandingAtARelease(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key := f.key("acme", KeyLimits{SpendDaily: f.nano("2")})
		f.settle(f.reserve(key, cost(f, "1.5")), cost(f, "1.5"))
		hold := f.reserve(key, charge(f, "input 60 0.01"))
		f.pass(24 * time.Hour)
		s := f.release(hold)
		if !s.HasPacks || s.PackFree != 100 || s.KeySpendLeft == nil || *s.KeySpendLeft != f.nano("2") {
			f.Errorf("standing %+v, of the key's spend is left %v", s, s.KeySpendLeft)
		}
	})
}
