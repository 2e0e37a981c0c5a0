package ledger

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
)

// halfRecovered begins a recovery of a server that lacks entries, and returns those that it is to put back.
func (f *fixture) halfRecovered() (r *recovery, lacking []*archive.Entry) {
	f.Helper()
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	r = &recovery{recoverer: f.ledger.recoverer, node: list[0], lock: f.ledger.tags[0] + "recovery", token: "mine", store: f.store()}
	f.must(r.begin(f.ctx()))
	r.heads, err = r.store.RaiseEpochs(f.ctx(), r.node.shards)
	f.must(err)
	found, err := r.step(f.ctx(), "begin")
	f.must(err)
	f.must(r.store.Entries(f.ctx(), archive.Query{AfterSeq: uint64(found[0].seq)}, func(e *archive.Entry) error {
		lacking = append(lacking, e)
		return nil
	}))
	return r, lacking
}

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
	r, some := f.halfRecovered()
	begun := f.dump()
	for range 2 {
		f.must(r.putBackBatch(f.ctx(), r.heads[0].Epoch, some[:5]))
	}
	f.restore(begun)
	wants(t, r.putBackBatch(f.ctx(), r.heads[0].Epoch, some[5:]), errLate)
	f.balances("acme", "10 10 0")
	f.archiveNow()
}

// What is put back is the same, however many entries one call of the script books: of all types, of several accounts, and of calls
// whose holds are there still.
func TestPutBackByAnyNumber(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	tr := f.traffic(17, "acme", "bolt")
	tr.run(100)
	before := f.snapshot()
	tr.run(250)
	f.archiveNow()
	f.goBack(before)
	r, lacking := f.halfRecovered()
	begun := f.dump()
	known := func() []string { return f.server.Client().Keys(f.ctx(), "*:scope").Val() } // of packs that fit a model
	if len(known()) != len(tr.accounts) {
		t.Errorf("known before: %v", known())
	}
	ofBoth := 1 + slices.IndexFunc(lacking, func(e *archive.Entry) bool { return fieldMap(e.Fields)["a"] != fieldMap(lacking[0].Fields)["a"] })
	f.must(r.putBackBatch(f.ctx(), r.heads[0].Epoch, lacking[:ofBoth]))
	if len(known()) > 0 || ofBoth > putBackAtOnce {
		t.Errorf("after %d entries, still known: %v", ofBoth, known())
	}

	var one map[string]string
	for _, n := range []int{1, 2, 7, putBackAtOnce} {
		f.restore(begun)
		for some := range slices.Chunk(lacking, n) {
			f.must(r.putBackBatch(f.ctx(), r.heads[0].Epoch, some))
		}
		if one == nil {
			one = f.books()
			continue
		}
		f.sameBooks(one, f.books())
	}
	if len(lacking) < 5*putBackAtOnce {
		t.Errorf("only %d entries", len(lacking))
	}
}

// Into a server that is emptied, or becomes another ledger's, while entries are put back, nothing more is written, and the error says why.
func TestPutBackIntoAnothersShard(t *testing.T) {
	for why, become := range map[string]func(f *fixture) error{
		"the shard is empty": func(f *fixture) error { return f.server.Client().FlushAll(f.ctx()).Err() },
		"the shard belongs to another ledger": func(f *fixture) error {
			return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(0), "id", "ledger_another").Err()
		},
	} {
		t.Run(why, func(t *testing.T) {
			f := archived(t, Options{Shards: 1})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			before := f.snapshot()
			f.topup("acme", Bonus, "1")
			f.archiveNow()
			f.goBack(before)
			r, lacking := f.halfRecovered()
			f.must(become(f))
			then := f.dump()
			err := r.putBackBatch(f.ctx(), r.heads[0].Epoch, lacking)
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("error %v", err)
			}
			if !maps.Equal(then, f.dump()) {
				t.Errorf("it has written %q", slices.Sorted(maps.Keys(f.dump())))
			}
		})
	}
}

// A server that becomes full while entries are put back takes them.
func TestPutBackIntoAFullRedis(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	before := f.snapshot()
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	f.goBack(before)
	r, lacking := f.halfRecovered()
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "1").Err())
	f.must(r.putBackBatch(f.ctx(), r.heads[0].Epoch, lacking))
	f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "0").Err())
	f.balances("acme", "10 1 0")
}

// A pack that is put back pays like any other: what was known of the packs that fit a model, from before, does not leave it out.
// Nor do outcomes that are remembered for longer anyway go sooner; and of the calls that the entries ended nothing is due.
func TestPutBackPackPays(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	f.settle(f.reserve(key, charge(t, "input 10 0.01")), charge(t, "input 10 0.01"))
	hold := f.reserve(key, charge(t, "input 10 0.01"))
	before := f.snapshot()
	f.grant(Grant{Account: "acme", Quantity: 1000})
	f.settle(hold, charge(t, "input 10 0.01"))
	f.archiveNow()
	f.goBack(before)
	client := f.server.Client()
	idMS, err := idMillis(hold.ID)
	f.must(err)
	bucket := f.ledger.markerKey(0, idMS)
	f.must(client.Expire(f.ctx(), bucket, 2*markerLife).Err())
	f.must(f.ledger.scripts.close(f.ctx(), client))
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	if left := client.PTTL(f.ctx(), bucket).Val(); left <= markerLife {
		t.Errorf("outcomes are remembered for %s, and were for %s", left, 2*markerLife)
	}
	if due := client.ZCard(f.ctx(), f.ledger.dueKey(0)).Val(); due != 0 {
		t.Errorf("%d holds are due", due)
	}
	r := f.settle(f.reserve(key, charge(t, "input 500 0.01")), charge(t, "input 500 0.01"))
	if got := paid(r.Paid); got != "pack:p1 80, pack:p2 420" {
		t.Errorf("paid by %s", got)
	}
}
