package ledger

import (
	"testing"
	"time"
)

// A Redis that is behind the archive and has another entry where both should have the same is of another journal: nothing is put
// back on that, though the entries that it lacks would fit, and archiving has stopped until a person has looked.
func TestRedisThatIsBehindAndOfAnotherJournal(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	common := f.dump()
	f.topup("acme", Bonus, "1")
	other := f.dump()
	f.restore(common)
	f.ledger = f.open(Options{Shards: 1, Archive: f.ledger.vault.address, ArchiveKeep: time.Hour})
	f.topup("acme", Bonus, "2")
	f.topup("acme", Recharge, "1")
	f.archiveNow()
	f.lose(other)
	err := f.ledger.recoverer.recoverShard(f.ctx(), 0)
	wants(t, err, ErrUnavailable)
	f.says(err, errDisagree, "other content")
	if fork := f.server.Client().HGet(f.ctx(), f.ledger.metaKey(0), metaFork).Val(); fork == "" {
		t.Error("archiving goes on")
	}
	if open, err := f.ledger.areOpen(f.ctx()); err != nil || open {
		t.Errorf("open: %t, %v", open, err)
	}
	if fields := f.server.Client().HMGet(f.ctx(), f.ledger.accountKey(0, "acme"), "recharge", "bonus").Val(); fields[0] != "10000000000" || fields[1] != "1000000000" {
		t.Errorf("balances are %v", fields)
	}
}
