package ledger

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// A rebuilt ledger is the one that was, to the nano: balances, packs, keys with
// limits and counters, markers, references, journal.
func TestRebuild(t *testing.T) {
	for _, where := range []string{"emptied", "another server"} {
		t.Run(where, func(t *testing.T) {
			f := archived(t, Options{Shards: 3})
			f.broken = true // it is audited below, while the rebuilt ledger is open
			tr := f.traffic(5, "acme", "bolt", "cork", "dune")
			tr.run(400)
			tr.finish()
			f.archiveNow()
			before, journal := f.books(), f.journals(f.ledger)
			if where == "emptied" {
				f.must(f.server.Client().FlushAll(f.ctx()).Err())
			} else {
				f.server = redistest.Start(t)
			}
			o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
			report, err := Rebuild(f.ctx(), o)
			f.must(err)
			if !report.Audit.OK || report.Entries != int64(len(journal)) || report.Audit.Accounts != 4 || report.Last == nil {
				t.Errorf("report %+v, audit %+v", report, report.Audit)
			}
			f.sameBooks(before, f.books())
			f.ledger = f.open(Options{Shards: 3, Archive: o.Archive})
			f.sameBooks(journal, f.journals(f.ledger))
			if _, err := Rebuild(f.ctx(), o); err == nil {
				t.Error("a ledger that is there was rebuilt")
			} else {
				wants(t, err, ErrConflict)
			}
			first := tr.charged[0] // it is still charged once
			_, err = f.ledger.Release(f.ctx(), first.account, first.request)
			wants(t, err, ErrConflict)
			tr.run(50)
			tr.finish()
			f.archiveNow()
			f.audit()
		})
	}
}

// A rebuild that was broken off is taken up again, and nobody books in between.
func TestRebuildBrokenOff(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	tr := f.traffic(6, "acme", "bolt")
	tr.run(100)
	tr.finish()
	f.archiveNow()
	before := f.books()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))

	o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
	report, owner, err := readOwner(f.ctx(), o.Archive)
	f.must(err)
	f.must(prepareRebuild(f.ctx(), &o, owner, report.Archive))
	_, err = Open(f.ctx(), Options{URL: f.server.URL()})
	wants(t, err, ErrUnavailable)
	report, err = Rebuild(f.ctx(), Options{URL: o.URL, Archive: o.Archive})
	f.must(err)
	if !report.Audit.OK {
		t.Errorf("audit %+v", report.Audit)
	}
	f.sameBooks(before, f.books())
}

func TestRebuildRefuses(t *testing.T) {
	f := archived(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
	_, err := Rebuild(f.ctx(), o)
	wants(t, err, ErrConflict) // not empty
	other := redistest.Start(t)
	_, err = Rebuild(f.ctx(), Options{URL: other.URL()})
	wants(t, err, ErrInvalid) // from what?
	_, err = Rebuild(f.ctx(), Options{URL: other.URL(), Archive: sqlite(t)})
	wants(t, err, ErrUnavailable) // there is none
	_, err = Rebuild(f.ctx(), Options{URL: other.URL(), Archive: o.Archive, Shards: 8})
	wants(t, err, ErrInvalid)
	if n, err := other.Client().DBSize(f.ctx()).Result(); err != nil || n != 0 {
		t.Errorf("a refused rebuild left %d keys", n)
	}
}

// A long history is put back for what it booked, and does not stay in memory.
func TestRebuildOfALongHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("it books twelve thousand entries")
	}
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Millisecond})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	for range putBackKeep + 2000 {
		f.topup("acme", Bonus, "0.000000001")
	}
	f.archiveNow()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	report, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: f.ledger.vault.address})
	f.must(err)
	if n := f.hot(0); !report.Audit.OK || n == 0 || n > 1000 { // the last stays
		t.Errorf("audit %+v, %d entries in Redis", report.Audit, n)
	}
	f.ledger = f.open(Options{Shards: 1, Archive: f.ledger.vault.address})
	f.topup("acme", Bonus, "1")
	f.audit()
}
