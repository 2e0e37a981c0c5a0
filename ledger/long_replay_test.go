package ledger

import "testing"

// A replay of very many calls, such as that of a Redis which was restored from an hour ago, makes a note of each, and nobody
// writes to the log meanwhile. The log takes new calls after it.
func TestLongReplayLeavesTheLogOpen(t *testing.T) {
	p, l := newLogged(t, Options{})
	b := &booking{id: NewRequestID(), account: "acme"}
	const most = 16 << 20 // of one record, in bytes
	for range most / len(b.id) {
		l.log.booked(b, l.shardOf("acme"), 1, "")
	}
	p.must(l.log.flush())
	p.release(p.reserveOn(l, cost(t, "1")))
}
