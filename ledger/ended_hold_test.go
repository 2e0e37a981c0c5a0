package ledger

import (
	"testing"
	"time"
)

// Nothing is left of a hold that has ended, however it did: neither it nor what was kept of its progress.
func TestNothingIsLeftOfAHoldThatEnded(t *testing.T) {
	for how, end := range map[string]func(f *fixture, h *Hold){
		"settled":  func(f *fixture, h *Hold) { f.settle(h, cost(f, "1")) },
		"released": func(f *fixture, h *Hold) { f.release(h) },
		"swept":    func(f *fixture, _ *Hold) { f.pass(time.Hour); f.sweep() },
	} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "10", "0", AccountOptions{})
			h := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, cost(f, "0.5"))}))
			end(f, h)
			shard := f.ledger.shardOf("acme")
			holds, err := f.server.Client().HGetAll(f.ctx(), f.ledger.accountKey(shard, "acme")+":holds").Result()
			f.must(err)
			due, err := f.server.Client().ZCard(f.ctx(), f.ledger.dueKey(shard)).Result()
			f.must(err)
			if len(holds) != 0 || due != 0 {
				t.Errorf("left are %v and %d that are due", holds, due)
			}
		})
	}
}
