package ledger

import (
	"reflect"
	"testing"
)

// Each call of a trip is held against what its own caller has seen of the shard: one that has seen what Redis has lost is turned
// away, though the others of its trip have not.
func TestCallsOfATripHaveSeenDifferently(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		call := func(seen string) *scriptCall {
			c := f.reserveCall(f.reservation(key, cost(f, "1")))
			c.args[1] = seen
			return c
		}
		if got, want := f.trip(call("0 0"), call("0 1000"), call("0 0")), []string{"OK", "AWAY", "OK"}; !reflect.DeepEqual(got, want) {
			f.Errorf("answers %v, want %v", got, want)
		}
		f.balances("acme", "10 0 2")
	})
}
