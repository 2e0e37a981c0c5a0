package wal

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// failDisk lets every fsync of the current segment fail, until the disk is well again: a
// FIFO has its name, and cannot be synced.
func failDisk(t *testing.T, l *Log) (well func()) {
	t.Helper()
	disk, path := l.current, l.path(slices.Max(l.Segments()))
	if err := os.Rename(path, path+".well"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, segmentMode); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.current = fifo
	return func() {
		t.Helper()
		l.current = disk
		if err := os.Rename(path+".well", path); err != nil {
			t.Fatal(err)
		}
		_ = fifo.Close()
	}
}

// After an fsync that failed the kernel may have dropped what was written, and the next
// fsync, which succeeds, says nothing of it. So nothing is believed until a restart.
func TestFailedSyncIsBelievedNoMore(t *testing.T) {
	for name, fails := range map[string]func(l *Log, at Position) error{
		"sync":   func(l *Log, at Position) error { return l.Sync(at) },
		"rotate": func(l *Log, _ Position) error { return l.Rotate() },
		"append": func(l *Log, _ Position) error { _, err := l.Append([]byte("beyond the segment")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, Options{Dir: dir, SegmentSize: 20})
			at := appendAll(t, l, "a record")
			if name == "append" {
				at = appendAll(t, l, "to the segment's end")
			}
			well := failDisk(t, l)
			if err := fails(l, at); err == nil || !strings.Contains(err.Error(), "the proxy must be restarted") {
				t.Errorf("of an fsync that failed it says %v", err)
			}
			well()
			for what, err := range map[string]error{"sync": l.Sync(at), "rotate": l.Rotate(), "check": l.Check(), "ready": l.Ready(), "err": l.Err()} {
				if err == nil {
					t.Errorf("%s: the log is believed again", what)
				}
			}
			if _, err := l.Append([]byte("more")); err == nil {
				t.Error("the log takes another record")
			}
			if l.Room(1) {
				t.Error("the log has room for another record")
			}
			if err := l.Close(); err == nil {
				t.Error("closing the log does not tell of it")
			}
			l = open(t, Options{Dir: dir})
			if err := l.Sync(appendAll(t, l, "after")); err != nil {
				t.Errorf("after a restart: %v", err)
			}
			if got := contents(t, l); got[0] != "a record" || got[len(got)-1] != "after" {
				t.Errorf("after a restart the log has %q", got)
			}
		})
	}
}

// What is said to be durable has been synced: by this call, or by one before it that came as far.
func TestSyncedIsOnDisk(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	early := appendAll(t, l, "one")
	synced := appendAll(t, l, strings.Repeat("two", 100))
	if err := l.Sync(synced); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	later := appendAll(t, l, "three") // at less bytes, in a later segment
	if err := l.Sync(later); err != nil {
		t.Fatal(err)
	}
	last := appendAll(t, l, "four")
	defer failDisk(t, l)()
	for _, at := range []Position{early, synced, later} {
		if err := l.Sync(at); err != nil {
			t.Errorf("%v was synced: %v", at, err)
		}
	}
	if l.Sync(last) == nil {
		t.Errorf("%v is said to be on a disk that takes nothing", last)
	}
}

// So is what a log has when it is closed.
func TestCloseSyncs(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	appendAll(t, l, "one")
	failDisk(t, l)
	if l.Close() == nil {
		t.Error("a record that could not be synced is not told of")
	}
}
