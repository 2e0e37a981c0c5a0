package ledger

import (
	"fmt"
	"strings"
	"testing"
)

// A shard that cannot be asked, damaged here, or of a master that is away, keeps no other from being archived, and the backlog
// of the others is known.
func TestOneShardStopsNoOthersArchiving(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.broken = true // it is damaged
	var ids [2]string
	for n := 0; ids[0] == "" || ids[1] == ""; n++ {
		id := fmt.Sprintf("a%d", n)
		ids[f.ledger.shardOf(id)] = id
	}
	for _, id := range ids {
		f.account(id, "10", "0", AccountOptions{})
	}
	client, meta := f.server.Client(), f.ledger.metaKey(0)
	for name, damage := range map[string]func() error{
		"of another kind": func() error { return client.Set(f.ctx(), meta, "x", 0).Err() },
		"gone":            func() error { return client.Del(f.ctx(), meta).Err() },
	} {
		f.topup(ids[1], Recharge, "1")
		f.must(client.Rename(f.ctx(), meta, "aside").Err())
		f.must(damage())
		w := f.ledger.archiver
		w.round(f.ctx())
		if w.state.Err == nil || !strings.Contains(w.state.Err.Error(), "shard 0: ") {
			t.Errorf("%s: told %v", name, w.state.Err)
		}
		head, err := f.store().Head(f.ctx(), 1)
		f.must(err)
		if want := f.shardSeq(1); int64(head.Seq) != want || w.state.Backlog != 0 {
			t.Errorf("%s: shard 1 is archived up to %d of %d, backlog %d", name, head.Seq, want, w.state.Backlog)
		}
		if report, err := f.ledger.Audit(f.ctx(), ids[1]); err != nil || !report.OK {
			t.Errorf("%s: the account of the other shard, audited: %+v, %v", name, report, err)
		}
		f.must(client.Rename(f.ctx(), "aside", meta).Err())
	}
	f.archiveNow()
	if head, err := f.store().Head(f.ctx(), 0); err != nil || int64(head.Seq) != f.shardSeq(0) {
		t.Errorf("repaired, shard 0 is archived up to %d, %v", head.Seq, err)
	}
}
