package ledger

import (
	"testing"
	"time"
)

// A task is remembered no longer than the outcome of its request, which goes by the time in the request's id; but one that is parked
// late, when its hold still stands, is remembered for a while.
func TestTaskIsRememberedAsLongAsItsRequest(t *testing.T) {
	for name, c := range map[string]struct{ after, least, most time.Duration }{
		"at once":          {0, markerLife - time.Minute, markerLife},
		"after ten hours":  {10 * time.Hour, markerLife - 10*time.Hour - time.Minute, markerLife - 10*time.Hour},
		"after three days": {markerLife + time.Hour, time.Second, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "10", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{})
			h := f.reserve(key, cost(t, "1"))
			f.pass(c.after)
			f.park(h, "task-1", cost(t, "1"))
			left, err := f.server.Client().PTTL(f.ctx(), f.ledger.taskKey(f.ledger.shardOf("acme"), "task-1")).Result()
			f.must(err)
			if left < c.least || left > c.most {
				t.Errorf("remembered for %s, want %s to %s", left, c.least, c.most)
			}
			found, err := f.find(key, "task-1")
			f.must(err)
			if found.RequestID != h.ID {
				t.Errorf("found %+v", found)
			}
		})
	}
}
