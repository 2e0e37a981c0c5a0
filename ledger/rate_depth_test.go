package ledger

import (
	"strings"
	"testing"
)

// A bucket of tokens does not fall so low that its numbers are not exact, whatever upstreams say was used.
func TestRateFallsNoLowerThanItsNumbersAreExact(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{TPM: 1000})
	for range 3 {
		f.settle(f.reserve(key, charge(f)), charge(f, "input 100000000000 0"))
	}
	level, err := f.server.Client().HGet(f.ctx(), f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")+":keys", key.suffix()+":tb").Result()
	f.must(err)
	if !strings.HasPrefix(level, "-4503599627370496 ") { // 2^52
		t.Errorf("level %s", level)
	}
}
