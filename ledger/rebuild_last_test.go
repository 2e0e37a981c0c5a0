package ledger

import (
	"fmt"
	"testing"
	"time"
)

// A rebuild says when the last of all entries was booked, in whichever shard that is, and how many there are.
func TestRebuildSaysWhereItEnds(t *testing.T) {
	for _, last := range []int{0, 1} {
		f := archived(t, Options{Shards: 2})
		f.broken = true // a rebuild audits it
		var accounts [2]string
		for n := 0; accounts[0] == "" || accounts[1] == ""; n++ {
			id := fmt.Sprintf("acme%d", n)
			accounts[f.ledger.shardOf(id)] = id
		}
		f.account(accounts[1-last], "10", "0", AccountOptions{})
		f.pass(time.Hour)
		f.account(accounts[last], "10", "0", AccountOptions{})
		f.archiveNow()
		entries := f.entries(accounts[last])
		f.must(f.server.Client().FlushAll(f.ctx()).Err())
		report, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: f.ledger.vault.address})
		f.must(err)
		if want := entries[len(entries)-1].Time; report.Last == nil || !report.Last.Equal(want) || report.Entries != 4 || !report.Audit.OK {
			t.Errorf("%d entries up to %v, audit %t; want 4 up to %s", report.Entries, report.Last, report.Audit.OK, want)
		}
	}
}

// A server that was emptied while it ran still has the scripts, and a proxy that has not noticed: it books nothing until all is restored.
func TestNobodyBooksWhileARebuildBegins(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.broken = true // a rebuild audits it
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	before := f.books()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
	report, owner, err := readOwner(f.ctx(), o.Archive)
	f.must(err)
	f.must(prepareRebuild(f.ctx(), &o, owner, report.Archive))
	if open, err := f.ledger.areOpen(f.ctx()); err != nil || open {
		t.Errorf("the server is open: %t, %v", open, err)
	}
	_, err = Rebuild(f.ctx(), Options{URL: o.URL, Archive: o.Archive})
	f.must(err)
	f.sameBooks(before, f.books())
}
