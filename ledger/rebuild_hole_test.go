package ledger

import (
	"database/sql"
	"strings"
	"testing"
)

// archiveFile opens the fixture's SQLite archive, past what the ledger knows of it.
func (f *fixture) archiveFile() *sql.DB {
	f.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(f.ledger.vault.address, "sqlite:"))
	f.must(err)
	f.Cleanup(func() { _ = db.Close() })
	return db
}

// From an archive that lacks an entry no ledger is rebuilt, and the error says which it is. Once it has it again, the same command goes
// on, and the ledger is archived as any other.
func TestRebuildFromAnArchiveWithAHole(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true // a rebuild audits it
	f.account("acme", "10", "5", AccountOptions{})
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	before := f.books()
	db := f.archiveFile()
	for _, statement := range []string{`CREATE TABLE kept AS SELECT * FROM entries WHERE seq = 3`, `DELETE FROM entries WHERE seq = 3`} {
		_, err := db.ExecContext(f.ctx(), statement)
		f.must(err)
	}
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
	_, err := Rebuild(f.ctx(), o)
	f.says(err, ErrUnavailable, "the archive lacks entry 3-0")
	f.says(err, ErrUnavailable, "backup")
	if open, err := f.ledger.areOpen(f.ctx()); err != nil || open {
		t.Errorf("open: %t, %v", open, err)
	}
	_, err = db.ExecContext(f.ctx(), `INSERT INTO entries SELECT * FROM kept`)
	f.must(err)
	_, err = Rebuild(f.ctx(), o)
	f.must(err)
	f.sameBooks(before, f.books())
	f.ledger = f.open(Options{Shards: 1, Archive: o.Archive})
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	if head, err := f.store().Head(f.ctx(), 0); err != nil || int64(head.Seq) != f.shardSeq(0) {
		t.Errorf("archived up to %d of %d: %v", head.Seq, f.shardSeq(0), err)
	}
	f.audit()
}
