package wal

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// What the log takes to be in use, and sets aside by, is what stands in its directory, whatever is written, rotated and purged.
func TestUsedIsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxSize: 1000})
	check := func(when string) {
		t.Helper()
		there := int64(0)
		for _, number := range l.Segments() {
			info, err := os.Stat(l.path(number))
			if err != nil {
				t.Fatal(err)
			}
			there += info.Size()
		}
		used, bound := l.Used()
		if used != there {
			t.Errorf("%s: %d bytes are in use, and %d are there", when, used, there)
		}
		if l.Room(bound - used + 1) {
			t.Errorf("%s: there is room beyond the bound", when)
		}
		if !l.Room(bound - used) {
			t.Errorf("%s: there is no room up to the bound", when)
		}
		l.Return(bound - used)
	}
	for range 3 {
		appendAll(t, l, "one", "two")
		if err := l.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	check("rotated")
	if err := l.Purge(func(segment uint64) bool { return segment < 3 }); err != nil {
		t.Fatal(err)
	}
	check("purged")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir, MaxSize: 1000})
	check("opened again")
}

// A segment that has become shorter under the process is not read as if the rest had never been.
func TestShortenedSegmentIsDamage(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	first := appendAll(t, l, "one")
	appendAll(t, l, strings.Repeat("two", 10_000)) // more than a reader has room for by chance
	if err := os.Truncate(l.path(first.Segment), first.Offset); err != nil {
		t.Fatal(err)
	}
	if err := l.ReplaySegment(first.Segment, func([]byte) error { return nil }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// A log that is closed begins no segment, and removes none.
func TestClosedLogIsLeftAlone(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	appendAll(t, l, "one")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Rotate(); !errors.Is(err, ErrClosed) {
		t.Errorf("rotating: %v", err)
	}
	if err := l.Purge(func(uint64) bool { return true }); !errors.Is(err, ErrClosed) {
		t.Errorf("purging: %v", err)
	}
}

// Nor is one that was damaged, or that its reader does not understand, read past the place.
func TestReadingEndsWhereItFails(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	first := appendAll(t, l, "one")
	appendAll(t, l, "two", "three")
	var got []string
	enough := errors.New("enough")
	if err := l.ReplaySegment(first.Segment, func(r []byte) error { got = append(got, string(r)); return enough }); !errors.Is(err, enough) || len(got) != 1 {
		t.Errorf("a reader that had enough: %q, %v", got, err)
	}
	file, err := os.OpenFile(l.path(first.Segment), os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt([]byte("T"), first.Offset+headerSize)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	got = nil
	if err := l.ReplaySegment(first.Segment, func(r []byte) error { got = append(got, string(r)); return nil }); !errors.Is(err, ErrCorrupt) || len(got) != 1 {
		t.Errorf("a damaged record: %q, %v", got, err)
	}
}
