package wal

import (
	"os"
	"path/filepath"
	"testing"
)

// A log that stands where this one stood is not this one's to purge.
func TestExchangedLogIsNotPurged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "0")
	l := open(t, Options{Dir: dir})
	appendAll(t, l, "one")
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".moved"); err != nil {
		t.Fatal(err)
	}
	other := open(t, Options{Dir: dir})
	appendAll(t, other, "two")
	if err := other.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := l.Purge(func(uint64) bool { return true }); err == nil {
		t.Error("a log that was exchanged is purged")
	}
	for _, where := range []string{dir, dir + ".moved"} {
		if left, err := filepath.Glob(filepath.Join(where, "*.log")); len(left) != 2 || err != nil {
			t.Errorf("%s has %v: %v", filepath.Base(where), left, err)
		}
	}
}
