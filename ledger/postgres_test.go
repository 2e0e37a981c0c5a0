package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/internal/pgtest"
	"github.com/tollgate/tollgate/internal/redistest"
)

// All of it on PostgreSQL: archive, trim, lose, recover, audit, rebuild.
func TestArchiveInPostgres(t *testing.T) {
	address := pgtest.Start(t)
	f := archived(t, Options{Shards: 2, Archive: address}, redistest.WithAOF("always"))
	f.broken = true // it is audited below, while its PostgreSQL is there
	tr := f.traffic(12, "acme", "bolt", "cork")
	size := f.aofSize()
	tr.run(150)
	tr.finish()
	f.archiveNow()
	before, journal := f.books(), f.journals(f.ledger)
	f.cut(func(int64) int64 { return size })
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.sameBooks(before, f.books())
	f.sameBooks(journal, f.journals(f.ledger))
	f.billIsTheJournal("acme")
	f.audit()

	f.server = redistest.Start(t)
	report, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: address})
	f.must(err)
	if !report.Audit.OK {
		t.Errorf("audit %+v", report.Audit)
	}
	f.sameBooks(before, f.books())
}
