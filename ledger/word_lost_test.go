package ledger

import (
	"errors"
	"testing"
)

// An operator's word that Redis lost before it was archived is not told as archived, though the archive has all that is
// there after the recovery.
func TestWordThatIsLostIsNotTold(t *testing.T) {
	f, l := lostWord(t)
	_, err := l.Account(f.ctx(), "acme")
	f.must(err)
	f.balances("acme", "10 0 0")
	if err := l.ArchiveWord(f.ctx()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a word that is lost is told as archived: %v", err)
	}
	_, err = l.TopUp(f.ctx(), Topup{Account: "acme", Amount: f.nano("5")}) // again
	f.must(err)
	f.must(l.ArchiveWord(f.ctx()))
	f.archiveNow()
	f.balances("acme", "15 0 0")
}

// Nor by who has not heard of the recovery: the archive has another entry under the id that the word had.
func TestWordWhoseIDIsAnothersIsNotTold(t *testing.T) {
	f, l := lostWord(t)
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "2")
	f.archiveNow()
	if err := l.ArchiveWord(f.ctx()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a word that is lost is told as archived: %v", err)
	}
	f.balances("acme", "10 3 0")
}

// lostWord is a ledger by which a top-up of 5 was booked that Redis has lost since; it has come up anew.
func lostWord(t *testing.T) (*fixture, *Ledger) {
	t.Helper()
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	l := f.open(Options{Shards: 1, Archive: f.ledger.vault.address})
	before := f.snapshot()
	_, err := l.TopUp(f.ctx(), Topup{Account: "acme", Amount: f.nano("5")})
	f.must(err)
	f.goBack(before)
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	return f, l
}
