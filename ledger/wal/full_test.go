package wal

import (
	"errors"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A disk that had no room for another segment may have it later: until then
// records go to the segment that there is.
func TestNoRoomForAnotherSegment(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("zero")); err != nil {
		t.Fatal(err)
	}
	inTheWay := l.path(slices.Max(l.Segments()) + 1)
	if err := os.Mkdir(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); err == nil {
		t.Error("a segment was begun where there can be none")
	}
	if _, err := l.Append([]byte("one")); err != nil {
		t.Errorf("the segment that there is takes no record: %v", err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	// What a begin that had no room even for the first bytes leaves behind.
	if err := os.WriteFile(inTheWay, []byte("TGW"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if _, err := l.Append([]byte("two")); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	for _, number := range l.Segments() {
		if err := l.ReplaySegment(number, func(p []byte) error { got = append(got, string(p)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, " ") != "zero one two" {
		t.Errorf("the log has %q", got)
	}
}

// A process that ended as it began a segment leaves a file without its first bytes.
func TestSegmentThatWasNeverBegun(t *testing.T) {
	for _, left := range []string{"", magic[:2]} {
		dir := t.TempDir()
		l, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Append([]byte("one")); err != nil {
			t.Fatal(err)
		}
		next := l.path(slices.Max(l.Segments()) + 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(next, []byte(left), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err = Open(Options{Dir: dir})
		if err != nil {
			t.Fatalf("after %q: %v", left, err)
		}
		if _, err := l.Append([]byte("two")); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A disk that is full as a segment is begun, and a crash after that: what is
// torn then is the tail of the last segment, as ever.
func TestTornAfterNoRoomForAnotherSegment(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	appendAll(t, l, "one")
	next := l.path(slices.Max(l.Segments()) + 1)
	if err := os.Symlink("/dev/full", next); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); err == nil {
		t.Error("a segment was begun on a full disk")
	}
	if _, err := os.Lstat(next); !os.IsNotExist(err) {
		t.Fatalf("a segment that was never begun is left: %v", err)
	}
	end := appendAll(t, l, "two")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(l.path(end.Segment), end.Offset-1); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(contents(t, open(t, Options{Dir: dir})), " "); got != "one" {
		t.Errorf("the log has %q", got)
	}
}

// While a disk has no room the log is not ready, and it is again as soon as there is
// some, though nobody appends: a proxy that is not ready gets no calls.
func TestFullDiskIsNotReady(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	appendAll(t, l, "zero")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	if err := l.Ready(); err != nil {
		t.Error(err)
	}
	disk := l.current
	l.current = full
	if _, err := l.Append([]byte("lost")); err == nil {
		t.Fatal("a full disk took a record")
	}
	for range 2 {
		if err := l.Ready(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("a full disk: %v", err)
		}
	}
	l.current = disk
	if err := l.Ready(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	requireGoesOn(t, l, dir)
}

// requireGoesOn wants a log in dir whose one record is "zero" to take another, and to have both when it is opened again.
func requireGoesOn(t *testing.T, l *Log, dir string) {
	t.Helper()
	appendAll(t, l, "one")
	if got := strings.Join(contents(t, l), " "); got != "zero one" {
		t.Errorf("the log has %q", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(contents(t, open(t, Options{Dir: dir})), " "); got != "zero one" {
		t.Errorf("opened again, the log has %q", got)
	}
}

// A disk that fills up in the midst of a record has a part of it. That is taken away, so that the
// records behind it are found.
func TestPartOfARecordIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	end := appendAll(t, l, "zero")
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(end.Offset) + 20, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append([]byte(strings.Repeat("lost", 100)))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Fatal("a full disk took a record")
	}
	requireGoesOn(t, l, dir)
}

// Where it cannot be taken away, no record goes behind it: the next start would drop that too.
func TestPartThatCannotBeTakenBack(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	appendAll(t, l, "zero")
	reader, pipe, err := os.Pipe() // which cannot be truncated
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = reader.Read(make([]byte, 1))
		_ = reader.Close()
	}()
	disk := l.current
	l.current = pipe
	_, err = l.Append(make([]byte, 1<<20)) // more than a pipe takes
	l.current = disk
	if err == nil {
		t.Fatal("a pipe without a reader took a record")
	}
	_ = pipe.Close()
	if _, err := l.Append([]byte("one")); err == nil {
		t.Error("a record is taken behind a part of another")
	}
	if l.Ready() == nil || l.Sync(Position{1, 1 << 30}) == nil {
		t.Error("the log is believed again")
	}
}
