package ledger

import (
	"testing"
	"time"
)

// A late settlement takes an abandoned call's charge back and books its own, in two entries. Where the archive has the first of them
// alone and Redis has lost both, the call is not charged, and not released either: its settlement, which comes again out of the log,
// is booked.
func TestPutBackOfATakenBackChargeAlone(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour, HoldTTL: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	h := f.reserve(f.key("acme", KeyLimits{}), cost(t, "2"))
	f.abandoned(h, cost(t, "1"))
	f.archiveNow()
	there := f.dump()
	f.settle(h, cost(t, "1.5"))
	head, err := f.store().Head(f.ctx(), 0)
	f.must(err)
	next, err := rawEntries(0, f.server.Client().Do(f.ctx(), "XRANGE", f.ledger.journalKey(0), entryID(int64(head.Seq)+1), "+"))
	f.must(err)
	if len(next) != 2 || next[0].Type != TypeRefund || next[1].Type != TypeCharge {
		t.Fatalf("entries %+v", next)
	}
	_, err = f.store().Append(f.ctx(), head, next[:1])
	f.must(err)
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.balances("acme", "10 0 0")
	f.settle(h, cost(t, "1.5"))
	f.balances("acme", "8.5 0 0")
}
