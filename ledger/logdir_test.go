package ledger

import (
	"os"
	"path/filepath"
	"testing"
)

// A ledger without a settlement log, such as an operator's verb opens, takes no
// log of the working directory for one of its own: it once fell over there.
func TestNoLogNoNeighbours(t *testing.T) {
	f := newFixture(t, Options{})
	dir := t.TempDir()
	stray := filepath.Join(dir, "redis.log")
	if err := os.WriteFile(stray, []byte("not ours\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	l := f.open(Options{})
	if err := l.Ready(f.ctx()); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(stray); err != nil || string(got) != "not ours\n" {
		t.Errorf("the stray file is now %q, %v", got, err)
	}
}
