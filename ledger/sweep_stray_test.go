package ledger

import (
	"testing"
	"time"
)

// What is due and has no hold any more, as where somebody has mended the books by hand, is taken off the list, and does not come
// up in every round.
func TestSweepForgetsWhatHasNoHold(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.broken = true // what was held stays so
		f.account("acme", "10", "0", AccountOptions{})
		h := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
		shard := f.ledger.shardOf("acme")
		f.must(f.server.Client().HDel(f.ctx(), f.ledger.accountKey(shard, "acme")+":holds", h.ID).Err())
		f.pass(time.Hour)
		f.sweep()
		due, err := f.server.Client().ZCard(f.ctx(), f.ledger.dueKey(shard)).Result()
		f.must(err)
		if due != 0 {
			f.Errorf("%d are due still", due)
		}
	})
}
