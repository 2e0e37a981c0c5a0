package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func appendAll(t *testing.T, l *Log, records ...string) (last Position) {
	t.Helper()
	for _, r := range records {
		p, err := l.Append([]byte(r))
		if err != nil {
			t.Fatal(err)
		}
		last = p
	}
	return last
}

func contents(t *testing.T, l *Log) (records []string) {
	t.Helper()
	for _, segment := range l.Segments() {
		if err := l.ReplaySegment(segment, func(r []byte) error { records = append(records, string(r)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return records
}

func TestRecordsSurviveInOrderOverSegments(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: 100}
	l := open(t, o)
	var want []string
	for i := range 50 {
		want = append(want, fmt.Sprintf("record %d", i))
	}
	if err := l.Sync(appendAll(t, l, want...)); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, l); !slices.Equal(got, want) {
		t.Errorf("before closing: %v", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, o)
	appendAll(t, again, "one more")
	if got := contents(t, again); !slices.Equal(got, append(want, "one more")) {
		t.Errorf("after opening again: %v", got)
	}
}

// A crash can cut the last record anywhere: what is whole stays, and what is
// appended later is found again.
func TestTornTailIsDropped(t *testing.T) {
	whole := t.TempDir()
	l := open(t, Options{Dir: whole})
	appendAll(t, l, "first", "second", "third")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(l.path(1))
	if err != nil {
		t.Fatal(err)
	}
	for cut := range data {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(l.path(1))), data[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		torn := open(t, Options{Dir: dir})
		appendAll(t, torn, "after")
		got := contents(t, torn)
		want := []string{"first", "second", "third"}[:len(got)-1]
		if !slices.Equal(got, append(slices.Clone(want), "after")) {
			t.Fatalf("cut at %d: %v", cut, got)
		}
		if err := torn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlippedBitEndsTheLastSegmentAndCondemnsAnOlderOne(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentSize: 30}
	l := open(t, o)
	appendAll(t, l, "aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flip := func(number uint64) {
		data, err := os.ReadFile(l.path(number))
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(l.path(number), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flip(2)
	last := open(t, o)
	if got := contents(t, last); !slices.Equal(got, []string{"aaaaaaaaaaaaaaaaaaaaaaaa"}) {
		t.Errorf("after damage in the last segment: %v", got)
	}
	if err := last.Close(); err != nil {
		t.Fatal(err)
	}
	flip(1)
	if _, err := Open(o); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damage in an older segment: %v, want ErrCorrupt", err)
	}
	flip(1)
	open(t, o) // whoever could not open it does not keep it
}

// What a crash leaves of a record to come is no record: of a length whose bytes were not written,
// and of zeros, as the look whether a full disk has room again writes them.
func TestTailThatIsNoRecord(t *testing.T) {
	for name, tail := range map[string]string{
		"zeros":              strings.Repeat("\x00", 100),
		"one byte":           "\x07",
		"half a head":        "\x07\x00\x00\x00",
		"a head":             "\x07\x00\x00\x00\x01\x02\x03\x04",
		"a long record":      "\x00\x00\xff\x00\x01\x02\x03\x04begun",
		"an endless record":  "\xff\xff\xff\xff\x01\x02\x03\x04begun",
		"a record to no sum": "\x01\x00\x00\x00\x01\x02\x03\x04x",
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Dir: t.TempDir()}
			l := open(t, o)
			at := appendAll(t, l, "one")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			file, err := os.OpenFile(l.path(at.Segment), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = file.WriteString(tail)
			}
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
			l = open(t, o)
			appendAll(t, l, "two")
			if got := contents(t, l); !slices.Equal(got, []string{"one", "two"}) {
				t.Errorf("the log has %q", got)
			}
		})
	}
}

// A record has 1 to 16 Mi bytes: what is taken is also found again, and what is not leaves nothing behind.
func TestBoundsOfARecord(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	l := open(t, o)
	for _, size := range []int{0, maxRecord + 1} {
		if at, err := l.Append(make([]byte, size)); err == nil {
			t.Errorf("a record of %d bytes is taken, at %v", size, at)
		}
	}
	appendAll(t, l, "x", strings.Repeat("x", maxRecord))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, open(t, o)); len(got) != 2 || len(got[0]) != 1 || len(got[1]) != maxRecord {
		t.Errorf("%d records are found", len(got))
	}
}

// A file that is named nearly as a segment is is told by its name, not taken for one.
func TestForeignFileIsToldByItsName(t *testing.T) {
	for _, name := range []string{"notes.log", "1.log", "0000000000001.log", "+00000000001.log"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(magic), segmentMode); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{Dir: dir})
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), " "+name+" is not a segment") {
			t.Errorf("%s: got %v, %v", name, l, err)
		}
	}
}

// A file that is named as the last segment is, and does not begin as one, is somebody's: it is told of, and left as it is.
func TestForeignContentIsLeftAlone(t *testing.T) {
	for _, content := range []string{"TGLOG002", "my notes of the month"} {
		o := Options{Dir: t.TempDir()}
		path := (&Log{options: o}).path(1)
		if err := os.WriteFile(path, []byte(content), segmentMode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v, want ErrCorrupt", content, err)
		}
		if left, err := os.ReadFile(path); string(left) != content || err != nil {
			t.Errorf("%q became %q: %v", content, left, err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	l := open(t, o)
	if _, err := Open(o); !errors.Is(err, ErrLocked) {
		t.Errorf("second Open: %v, want ErrLocked", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, o)
}

func TestRoomIsKeptForThoseWhoHaveIt(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), MaxSize: 100})
	if !l.Room(60) {
		t.Fatal("no room in an empty log")
	}
	if l.Room(60) {
		t.Error("more room given than there is")
	}
	appendAll(t, l, "a record of somebody who has room")
	l.Return(60)
	if !l.Room(20) || l.Room(100) {
		t.Error("room given back is not there again")
	}
}

func TestPurgeTakesWholeOldSegmentsOnly(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	for _, r := range []string{"a", "b", "c"} {
		appendAll(t, l, r)
		if err := l.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Purge(func(n uint64) bool { return n <= 2 }); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, l); !slices.Equal(got, []string{"c"}) {
		t.Errorf("left after the purge: %v", got)
	}
	if err := l.Purge(func(uint64) bool { return true }); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, "d")
	if got := contents(t, l); !slices.Equal(got, []string{"d"}) {
		t.Errorf("the current segment must stay: %v", got)
	}
}

func TestManyWritersSyncTogether(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), SegmentSize: 4 << 10})
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for i := range 50 {
				p, err := l.Append(fmt.Appendf(nil, "writer %d record %d", w, i))
				if err != nil {
					t.Error(err)
					return
				}
				if err := l.Sync(p); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if got := len(contents(t, l)); got != 800 {
		t.Errorf("%d records, want 800", got)
	}
}

func TestClosedLogTakesNothing(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if l.Room(1) {
		t.Error("Room after Close")
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte(magic + "\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "000000000001.log"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{Dir: dir})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		defer l.Close()
		before := len(contents(t, l))
		appendAll(t, l, "after")
		if got := contents(t, l); len(got) != before+1 || got[before] != "after" {
			t.Fatalf("a record appended behind a torn tail is lost: %q", got)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	record := make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Append(record); err != nil {
			b.Fatal(err)
		}
	}
}

func TestOneSegmentAlone(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	for _, r := range []string{"a", "b"} {
		appendAll(t, l, r)
		if err := l.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Rotate(); err != nil { // of an empty segment there is nothing to close
		t.Fatal(err)
	}
	if got := l.Segments(); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("segments %v", got)
	}
	if err := l.Purge(func(n uint64) bool { return n == 1 }); err != nil {
		t.Fatal(err)
	}
	for number, want := range map[uint64]string{1: "", 2: "b", 3: "", 4: ""} {
		got := ""
		if err := l.ReplaySegment(number, func(r []byte) error { got += string(r); return nil }); err != nil || got != want {
			t.Errorf("segment %d: %q, %v", number, got, err)
		}
	}
	if err := l.Err(); err != nil {
		t.Errorf("a log that is well: %v", err)
	}
	if err := l.Close(); err != nil || !errors.Is(l.Err(), ErrClosed) {
		t.Errorf("after Close: %v, %v", err, l.Err())
	}
}
