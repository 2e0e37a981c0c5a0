package ledger

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
)

// exchange puts another file, of the same content, in the place of the fixture's archive.
func (f *fixture) exchange(path string) {
	f.Helper()
	_, err := f.archiveFile().ExecContext(f.ctx(), `VACUUM INTO $1`, path+".copy")
	f.must(err)
	for _, tail := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+tail, path+".was"+tail); !os.IsNotExist(err) {
			f.must(err)
		}
	}
	f.must(os.Rename(path+".copy", path))
}

// headOf is how far the archive at an address is with the first shard.
func (f *fixture) headOf(address string) archive.Head {
	f.Helper()
	a, err := archive.OpenExisting(f.ctx(), address)
	f.must(err)
	defer a.Close()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	return head
}

// A recovery goes by the archive that stands in its place now, and not by a file that has been moved away: of that nobody else would
// know that it has begun.
func TestRecoveryFromAnExchangedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.db")
	f := archived(t, Options{Shards: 1, Archive: "sqlite:" + path, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	there := f.dump()
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	f.exchange(path)
	f.lose(there)
	eventually(t, "it is recovered", func() bool { return f.ledger.recoverer.recoverShard(f.ctx(), 0) == nil })
	f.balances("acme", "10 1 0")
	f.topup("acme", Bonus, "2")
	f.archiveNow()
	if head, err := f.store().Head(f.ctx(), 0); err != nil || head.Epoch != f.ledger.at(0).epoch() || int64(head.Seq) != f.shardSeq(0) {
		t.Errorf("archived up to %d of epoch %d, Redis is at %s: %v", head.Seq, head.Epoch, f.ledger.at(0), err)
	}
}

// What an operator says is archived where the archive is now.
func TestWordGoesIntoTheExchangedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.db")
	f := archived(t, Options{Shards: 1, Archive: "sqlite:" + path})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	f.exchange(path)
	f.topup("acme", Bonus, "1")
	eventually(t, "it is archived", func() bool { return f.ledger.ArchiveWord(f.ctx()) == nil })
	if head := f.headOf("sqlite:" + path); int64(head.Seq) != f.shardSeq(0) {
		t.Errorf("archived up to %d of %d", head.Seq, f.shardSeq(0))
	}
}
