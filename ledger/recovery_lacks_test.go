package ledger

import (
	"testing"
	"time"
)

// The last entry that both should have must be there to be compared: an archive that has lost it is not believed.
func TestArchiveThatLacksItsLastEntry(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	_, err := f.archiveFile().ExecContext(f.ctx(), `DELETE FROM entries WHERE seq = 2`)
	f.must(err)
	f.lose(f.dump())
	f.says(f.ledger.recoverer.recoverShard(f.ctx(), 0), errDisagree, "the archive lacks entry 2-0")
	if open, err := f.ledger.areOpen(f.ctx()); err != nil || open {
		t.Errorf("open: %t, %v", open, err)
	}
}
