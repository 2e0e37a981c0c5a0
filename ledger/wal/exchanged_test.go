package wal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
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

// A log that was taken away under its process promises nothing any more, also if it comes back: what was written meanwhile is elsewhere.
func TestLogTakenAwayPromisesNothing(t *testing.T) {
	asks := map[string]func(l *Log, at Position) error{
		"sync":  func(l *Log, at Position) error { return l.Sync(at) },
		"check": func(l *Log, _ Position) error { return l.Check() },
		"purge": func(l *Log, _ Position) error { return l.Purge(func(uint64) bool { return false }) },
	}
	takes := map[string]func(path string) error{
		"moved": func(path string) error { return os.Rename(path, path+".old") },
		"exchanged": func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, []byte(magic), segmentMode))
		},
	}
	for asked, ask := range asks {
		for taken, take := range takes {
			t.Run(asked+" of one that was "+taken, func(t *testing.T) {
				l := open(t, Options{Dir: t.TempDir()})
				at := appendAll(t, l, "one")
				path := l.path(at.Segment)
				if err := l.Check(); err != nil {
					t.Fatal(err)
				}
				if err := take(path); err != nil {
					t.Fatal(err)
				}
				if err := ask(l, at); err == nil || !strings.Contains(err.Error(), path+" was removed, moved or exchanged while it was in use: the proxy must be restarted") {
					t.Errorf("got %v", err)
				}
				if err := os.Rename(path+".old", path); err != nil {
					t.Fatal(err)
				}
				if err := ask(l, at); err == nil {
					t.Error("it is believed again")
				}
				if _, err := l.Append([]byte("two")); err == nil {
					t.Error("it takes another record")
				}
			})
		}
	}
}
