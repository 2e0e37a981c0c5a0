package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Where a Redis that has come up anew cannot be opened, Ready says why: somebody has to see to it.
func TestReadySaysWhyRedisIsNotOpened(t *testing.T) {
	dir := t.TempDir()
	file, away := filepath.Join(dir, "archive.db"), filepath.Join(dir, "away")
	f := archived(t, Options{Shards: 1, Archive: "sqlite:" + file}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.must(os.Rename(file, away))
	f.server.Stop()
	f.server.Start()

	err := f.ledger.Ready(f.ctx())
	wants(t, err, ErrUnavailable)
	if strings.Contains(err.Error(), file) {
		t.Errorf("nobody has tried to open it yet, and Ready says %q", err)
	}
	wants(t, f.ledger.probe(f.ctx(), 0), ErrUnavailable)
	err = f.ledger.Ready(f.ctx())
	wants(t, err, ErrUnavailable)
	if says := err.Error(); !strings.Contains(says, "has come up anew") || !strings.Contains(says, file+": there is no archive") {
		t.Errorf("Ready says %q, and not that the archive is gone", says)
	}

	f.must(os.Rename(away, file))
	f.must(f.ledger.probe(f.ctx(), 0))
	f.must(f.ledger.Ready(f.ctx()))
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	if err := f.ledger.Ready(f.ctx()); err == nil || strings.Contains(err.Error(), file) {
		t.Errorf("what was lacking the last time is said again: %v", err)
	}
}
