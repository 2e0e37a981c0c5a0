package ledger

import (
	"testing"
	"time"
)

// A clock that is set back a little takes nothing out of the buckets of a key's rates.
func TestClockSetBackALittleTakesNoRate(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{RPM: 2})
	f.release(f.reserve(key, cost(t, "1")))
	f.pass(-40 * time.Second)
	f.release(f.reserve(key, cost(t, "1")))
	_ = f.refused(key, cost(t, "1"))
}
