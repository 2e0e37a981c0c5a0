package wal

import (
	"os"
	"slices"
	"strings"
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
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("one")); err != nil {
		t.Fatal(err)
	}
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
	end, err := l.Append([]byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(l.path(end.Segment), end.Offset-1); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	if err := l.ReplaySegment(end.Segment, func(p []byte) error { got = append(got, string(p)); return nil }); err != nil || strings.Join(got, " ") != "one" {
		t.Errorf("the log has %q: %v", got, err)
	}
}
