package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// What is met is counted, once, and nothing is counted that was not.
func TestTally(t *testing.T) {
	f := archived(t, Options{Shards: 1, Log: t.TempDir()}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	over := f.ledger.now().Add(time.Minute)
	f.grant(Grant{Account: "acme", Quantity: 5, ExpiresAt: &over})
	f.archiveNow()
	if got := f.ledger.Tally(); got != (Tally{}) {
		t.Errorf("nothing has happened, and %+v is counted", got)
	}
	size := f.aofSize()
	archivedOne, logged := f.reserve(key, cost(f, "1")), f.reserve(key, cost(f, "1"))
	f.settle(archivedOne, cost(f, "1"))
	f.archiveNow()
	f.settle(logged, cost(f, "1"))
	f.cut(func(int64) int64 { return size })
	f.read("acme")
	f.must(f.ledger.replayer.own(f.ctx()))
	_, err := f.ledger.Settle(f.ctx(), settlement(archivedOne, cost(f, "2")))
	wants(t, err, ErrConflict)

	dead, silent := f.reserve(key, cost(f, "1")), f.reserve(key, cost(f, "1"))
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(dead, cost(f, "1"))}))
	_ = silent
	f.pass(time.Hour)
	f.reserve(key, cost(f, "1"))
	swept := f.sweep()
	f.ledger.tally.swept(&swept)
	want := Tally{Losses: 1, PutBack: 1, Replayed: 1, Conflicts: 1, Abandoned: 1, Released: 1, Expired: 1, Open: 1}
	got := f.ledger.Tally()
	got.Losses = min(got.Losses, 1) // of one loss, both the archived part and the rest may be noticed
	if got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

// What was put back is counted entry by entry.
func TestWhatIsPutBackIsCounted(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	there := f.dump()
	for range 3 {
		f.topup("acme", Bonus, "1")
	}
	f.archiveNow()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	if tally := f.ledger.Tally(); tally.PutBack != 3 || tally.Losses != 1 {
		t.Errorf("%+v", tally)
	}
	f.balances("acme", "10 3 0")
}

// What rounds of the sweeper did adds up; what they left is what the last one left.
func TestTallyOfSweeps(t *testing.T) {
	l := Ledger{shards: new(shards), recoverer: new(recoverer)}
	for _, s := range []Swept{{Abandoned: 1, Released: 2, Expired: 3, Open: 9, Kept: 8}, {Abandoned: 10, Released: 20, Expired: 30, Open: 5, Kept: 4}} {
		l.tally.swept(&s)
	}
	if got, want := l.Tally(), (Tally{Abandoned: 11, Released: 22, Expired: 33, Open: 5, Kept: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
