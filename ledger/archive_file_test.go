package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// An archive whose file is taken away under the running proxy is gone: nothing is trimmed that is nowhere else.
func TestArchiveFileTakenAway(t *testing.T) {
	for _, how := range []string{"removed", "exchanged for its backup"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "archive.db")
			f := archived(t, Options{Shards: 1, Archive: "sqlite:" + path})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			f.archiveNow()
			files, _ := filepath.Glob(path + "*")
			for _, name := range files {
				data, err := os.ReadFile(name)
				f.must(err)
				f.must(os.Remove(name))
				if how != "removed" {
					f.must(os.WriteFile(name, data, 0o600))
				}
			}
			f.topup("acme", Bonus, "1")
			f.topup("acme", Bonus, "2")
			w := f.ledger.archiver
			for range 2 {
				w.round(f.ctx())
			}
			t.Logf("state %+v", w.state)
			if w.state.Err == nil {
				if head := f.headOf("sqlite:" + path); int64(head.Seq) != f.shardSeq(0) {
					t.Errorf("entries went into a file that nobody has any more, and Redis was trimmed: what is there now ends at %d", head.Seq)
				}
			}
		})
	}
}

// An archive that has gone back to before a recovery is noticed as any other.
func TestArchiveGoneBackBeyondARecoveryIsNoticed(t *testing.T) {
	dir := t.TempDir()
	f := archived(t, Options{Shards: 1, Archive: "sqlite:" + filepath.Join(dir, "archive.db")}, redistest.WithAOF("always"))
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	f.must(f.ledger.Close())
	backup := make(map[string][]byte)
	files, _ := filepath.Glob(filepath.Join(dir, "archive.db*"))
	for _, name := range files {
		data, err := os.ReadFile(name)
		f.must(err)
		backup[name] = data
	}
	f.server.Stop() // an ordinary restart: it is recovered
	f.server.Start()
	f.ledger = f.open(Options{Shards: 1, Archive: "sqlite:" + filepath.Join(dir, "archive.db")})
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "2")
	f.archiveNow()
	f.must(f.ledger.Close())
	files, _ = filepath.Glob(filepath.Join(dir, "archive.db*"))
	for _, name := range files {
		f.must(os.Remove(name))
	}
	for name, data := range backup { // the disk was restored from its backup
		f.must(os.WriteFile(name, data, 0o600))
	}
	l, err := Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY", Shards: 1, Archive: "sqlite:" + filepath.Join(dir, "archive.db")})
	if err != nil {
		t.Logf("noticed at start: %v", err)
		return
	}
	t.Cleanup(func() { _ = l.Close() })
	f.ledger = l
	f.topup("acme", Bonus, "4")
	w := l.archiver
	for range 3 {
		w.round(f.ctx())
	}
	if w.state.Err == nil && len(w.state.Forked) == 0 && l.Ready(f.ctx()) == nil {
		head, err := f.store().Head(f.ctx(), 0)
		f.must(err)
		t.Errorf("nothing is noticed: archive ends at %d (epoch %d), Redis is at %d of epoch %d; state %+v", head.Seq, head.Epoch, l.at(0).seq(), l.at(0).epoch(), w.state)
	}
}
