package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/ledger/archive"
)

// What is put back twice, since the first reply was lost, is there once. A server that has fallen between two batches, and now lacks
// the first, is looked at anew: the archive and Redis do not disagree, and archiving does not stop.
func TestPutBackAgain(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	before := f.snapshot()
	for range 10 {
		f.topup("acme", Bonus, "1")
	}
	f.archiveNow()
	f.goBack(before)
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	r := &recovery{recoverer: f.ledger.recoverer, node: list[0], lock: f.ledger.tags[0] + "recovery", token: "mine", store: f.store()}
	f.must(r.begin(f.ctx()))
	r.heads, err = r.store.RaiseEpochs(f.ctx(), r.node.shards)
	f.must(err)
	found, err := r.step(f.ctx(), "begin")
	f.must(err)
	begun := f.dump()
	var some []*archive.Entry
	f.must(r.store.Entries(f.ctx(), archive.Query{AfterSeq: uint64(found[0].seq)}, func(e *archive.Entry) error {
		some = append(some, e)
		return nil
	}))
	for range 2 {
		f.must(r.putBackBatch(f.ctx(), r.heads[0].Epoch, some[:5]))
	}
	f.restore(begun)
	wants(t, r.putBackBatch(f.ctx(), r.heads[0].Epoch, some[5:]), errLate)
	f.balances("acme", "10 10 0")
	f.archiveNow()
}
