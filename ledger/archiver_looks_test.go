package ledger

import (
	"testing"
	"time"
)

// A process that lets another archive knows how far that is: by that it lets go of its own settlement log.
func TestWhoDoesNotArchiveKnowsHowFarItIs(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	other := f.open(Options{Shards: 1, Archive: f.ledger.vault.address}).archiver
	f.ledger.archiver.round(f.ctx()) // it keeps the lease
	other.round(f.ctx())
	if at, want := other.watermark(0), f.shardSeq(0); at != want || other.state.Archived != 0 {
		t.Errorf("it takes the archive to be at %d, and has archived %d entries; want %d and 0", at, other.state.Archived, want)
	}
}

// What has waited is counted from the first entry that is not archived: the one before it may be old.
func TestLagIsOfWhatWaits(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	f.pass(30 * time.Minute)
	f.topup("acme", Bonus, "1")
	f.pass(time.Minute)
	w := f.ledger.archiver
	f.must(w.measureLag(f.ctx()))
	if w.state.Backlog != 1 || w.state.Lag < time.Minute || w.state.Lag > 10*time.Minute {
		t.Errorf("%d entries for %s, want one for a minute", w.state.Backlog, w.state.Lag)
	}
}

// A batch ends before a charge that is taken back to be booked at another price, never between the two.
func TestBatchEndsBetweenSteps(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.settle(f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 1 1")), charge(t, "input 1 1"))
	for f.shardSeq(0) < archiveBatch-1 {
		f.topup("acme", Bonus, "1")
	}
	f.reprice(Repricing{}, at(t, "input 1 2"))
	if last := f.shardSeq(0); last != archiveBatch+1 {
		t.Fatalf("the charge at its new price is %d, want it to be the first of the next batch", last)
	}
	a := f.store()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	for _, want := range []uint64{archiveBatch - 1, archiveBatch + 1} {
		head, err = f.ledger.archiver.archiveSome(f.ctx(), a, head)
		f.must(err)
		if head.Seq != want {
			t.Errorf("archived up to %d, want %d", head.Seq, want)
		}
	}
}
