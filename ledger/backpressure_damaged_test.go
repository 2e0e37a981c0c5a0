package ledger

import (
	"strings"
	"testing"
	"time"
)

// An entry that cannot be read is not archived, and nothing behind it: what then waits stops admission as whatever waits does.
func TestBackpressureBehindADamagedEntry(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveBacklog: 5})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	client, seq := f.server.Client(), f.shardSeq(0)+1
	f.must(client.Do(f.ctx(), "XADD", f.ledger.journalKey(0), entryID(seq), "t", "topup", "m", "damaged").Err())
	f.must(client.HSet(f.ctx(), f.ledger.metaKey(0), "seq", seq).Err())
	for range 6 {
		f.topup("acme", Bonus, "1")
	}
	w := f.ledger.archiver
	w.round(f.ctx())
	if w.state.Err == nil || !strings.Contains(w.state.Err.Error(), "damaged") {
		t.Errorf("told %v", w.state.Err)
	}
	if w.state.Backlog != 7 || w.state.Lag > time.Hour {
		t.Errorf("%d wait, for %s", w.state.Backlog, w.state.Lag)
	}
	_, err := f.tryReserve(key, cost(t, "1"))
	wants(t, err, ErrUnavailable)
	if err == nil || !strings.Contains(err.Error(), "archive lags") {
		t.Errorf("error %v", err)
	}
}
