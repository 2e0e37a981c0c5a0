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

// By what a caller has seen of a shard, its recoveries first, a script says whether that is where it was.
func TestShardIsWhereItWasSeen(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for _, c := range []struct{ epoch, head, seen, want string }{
		{"", "50", "0 50", "OK"},
		{"", "50", "0 51", "AWAY"},
		{"2", "50", "2 50", "OK"},
		{"2", "50", "2 51", "AWAY"},
		{"2", "50", "1 9", "EPOCH"}, // the caller has to learn of it
		{"2", "50", "1 90", "EPOCH"},
		{"2", "50", "3 9", "AWAY"}, // from before its last recovery
		{"2", "", "2 9", "AWAY"},
		{"2", "", "1 9", "AWAY"},
	} {
		meta := f.ledger.metaKey(0)
		f.must(f.server.Client().HDel(f.ctx(), meta, "epoch", "seq").Err())
		for field, value := range map[string]string{"epoch": c.epoch, "seq": c.head} {
			if value != "" {
				f.must(f.server.Client().HSet(f.ctx(), meta, field, value).Err())
			}
		}
		call := f.reserveCall(f.reservation(key, cost(f, "0.1")))
		call.args[1] = c.seen
		if got := f.trip(call); got[0] != c.want {
			t.Errorf("%+v: %s", c, got[0])
		}
	}
}
