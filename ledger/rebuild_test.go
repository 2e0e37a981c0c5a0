package ledger

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger/archive"
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
			var last time.Time
			f.must(f.ledger.Journal(f.ctx(), "", JournalQuery{}, func(e *Entry) error {
				if e.Time.After(last) {
					last = e.Time
				}
				return nil
			}))
			if where == "emptied" {
				f.must(f.server.Client().FlushAll(f.ctx()).Err())
			} else {
				f.server = redistest.Start(t)
			}
			o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
			report, err := Rebuild(f.ctx(), o)
			f.must(err)
			if !report.Audit.OK || report.Entries != int64(len(journal)) || report.Audit.Accounts != 4 || report.Took <= 0 ||
				report.Last == nil || !report.Last.Equal(last) {
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
	_, err = Rebuild(f.ctx(), Options{URL: other.URL(), Archive: o.Archive, Currency: "USD"})
	wants(t, err, ErrInvalid)
	empty := sqlite(t)
	a, err := archive.Open(f.ctx(), empty)
	f.must(err)
	f.must(a.Close())
	_, err = Rebuild(f.ctx(), Options{URL: other.URL(), Archive: empty})
	wants(t, err, ErrNotFound)
	_, err = f.archiveFile().ExecContext(f.ctx(), `UPDATE ledger SET format = 'later'`)
	f.must(err)
	_, err = Rebuild(f.ctx(), Options{URL: other.URL(), Archive: o.Archive})
	f.says(err, ErrInvalid, `has format "later"`)
	if n, err := other.Client().DBSize(f.ctx()).Result(); err != nil || n != 0 {
		t.Errorf("a refused rebuild left %d keys", n)
	}
}

// What is in a Redis decides whether a rebuild may begin there: not beside a ledger, nor on the marks of another rebuild; but on its own,
// and beside the lock of a proxy that is about to find out that there is nothing to recover.
func TestRebuildGoesByWhatIsThere(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.broken = true // a rebuild audits it
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	before, mine := f.books(), f.ledger.vault.identity
	for name, c := range map[string]struct {
		there [][]any
		err   error
	}{
		"the mark of another rebuild":  {[][]any{{"HSET", f.ledger.metaKey(0), metaRebuilding, "another"}}, ErrConflict},
		"another ledger with its mark": {[][]any{{"HSET", f.ledger.metaKey(0), metaRebuilding, mine, "id", "ledger_another"}}, ErrConflict},
		"another ledger in a later shard": {[][]any{
			{"HSET", f.ledger.metaKey(0), metaRebuilding, mine}, {"HSET", f.ledger.metaKey(1), "id", "ledger_another", "seq", "0"},
		}, ErrConflict},
		"somebody's account": {[][]any{{"HSET", f.ledger.accountKey(1, "bolt"), "recharge", "1"}}, ErrConflict},
		"somebody's account among many others' keys": {[][]any{
			{"EVAL", "for i = 1, 3000 do redis.call('SET', 'session:' .. i, i) end return 1", "0"}, {"HSET", f.ledger.accountKey(1, "bolt"), "recharge", "1"},
		}, ErrConflict},
		"its own mark": {[][]any{{"HSET", f.ledger.metaKey(0), metaRebuilding, mine}}, nil},
		"a lock":       {[][]any{{"SET", f.ledger.tags[0] + "recovery", "x"}}, nil},
		"others' keys": {[][]any{{"SET", "session:1", "x"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f.must(f.server.Client().FlushAll(f.ctx()).Err())
			for _, command := range c.there {
				f.must(f.server.Client().Do(f.ctx(), command...).Err())
			}
			found := f.snapshot()
			_, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: f.ledger.vault.address})
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if left := f.snapshot(); err != nil && name != "another ledger in a later shard" && !maps.Equal(left, found) {
				t.Errorf("a refused rebuild has changed what was there: %q", slices.Sorted(maps.Keys(left)))
			}
			if err == nil {
				f.sameBooks(before, f.books())
				if mark := f.server.Client().HGet(f.ctx(), f.ledger.metaKey(1), metaRebuilding).Val(); mark != "" {
					t.Errorf("the mark stays: %s", mark)
				}
			}
		})
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
