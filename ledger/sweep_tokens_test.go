package ledger

import (
	"testing"
	"time"
)

// A hold that is swept without a checkpoint gives its tokens back to the key's token bucket, as if its call had never come.
func TestSweptHoldGivesItsTokensBack(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.ledger.holdTTL = time.Second // in which the bucket gains little
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{TPM: 1000})
		all := charge(f, "input 1000 0.001")
		f.reserve(key, all)
		_ = isReason(f, f.refused(key, all), RateLimited, "key.tpm")
		f.pass(2 * time.Second)
		if s := f.sweep(); s != (Swept{Released: 1}) {
			f.Fatalf("swept %+v", s)
		}
		f.reserve(key, all)
	})
}
