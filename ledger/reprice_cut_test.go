package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// What is archived never ends between the two entries of a repricing: a Redis that has lost both would come
// back with the charge taken back, and never booked again.
func TestArchiveNeverEndsWithinARepricing(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	r := f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	for f.shardSeq(0) < archiveBatch-1 {
		f.topup("acme", Recharge, "1")
	}
	size := f.aofSize()
	f.reprice(Repricing{}, at(f, "input 1 3"))
	a := f.store()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	_, err = f.ledger.archiver.archiveSome(f.ctx(), a, head)
	f.must(err)
	f.cut(func(int64) int64 { return size })
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	stands, err := f.ledger.Receipt(f.ctx(), "acme", r.RequestID)
	f.must(err)
	if stands.FeeDue() != f.nano("1") && stands.FeeDue() != f.nano("3") {
		t.Errorf("the receipt is of %s", stands.FeeDue())
	}
	if bill := f.bill("acme"); bill.Fee != stands.FeeDue() {
		t.Errorf("the receipt is of %s, the bill of %s", stands.FeeDue(), bill.Fee)
	}
}
