package proxy

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// widest notes how much room it is given at most, for what it has said so far.
type widest struct {
	from   io.Reader
	came   int
	excess int
}

func (w *widest) Read(p []byte) (int, error) {
	w.excess = max(w.excess, len(p)-w.came)
	n, err := w.from.Read(p)
	w.came += n
	return n, err
}

// Memory is given for what has come, not for what is announced: anybody can announce much.
func TestABodyGetsRoomAsItComes(t *testing.T) {
	for name, tc := range map[string]struct {
		size, announced int
		from            func(io.Reader) io.Reader
	}{
		"little of much": {1, 64 << 20, iotest.OneByteReader},
		"all of it":      {3 << 20, 3 << 20, iotest.HalfReader},
		"small":          {500, 500, iotest.DataErrReader},
		"nothing":        {0, 0, iotest.DataErrReader},
		"not announced":  {300_000, -1, iotest.HalfReader},
	} {
		t.Run(name, func(t *testing.T) {
			text := bytes.Repeat([]byte("x"), tc.size)
			into, from := new([]byte), &widest{from: tc.from(bytes.NewReader(text))}
			if err := readBody(into, from, int64(tc.announced)); err != nil || !bytes.Equal(*into, text) {
				t.Errorf("got %d bytes, %v", len(*into), err)
			}
			if from.excess > 2*bodySize {
				t.Errorf("room for %d bytes more than had come", from.excess)
			}
		})
	}
}

// A body whose length is known, and that fits, is read without growing.
func TestASmallBodyIsReadInPlace(t *testing.T) {
	text := strings.Repeat("x", bodySize)
	into := new([]byte)
	if err := readBody(into, strings.NewReader(text), bodySize); err != nil {
		t.Fatal(err)
	}
	memory := testing.AllocsPerRun(10, func() { _ = readBody(into, strings.NewReader(text), bodySize) })
	if memory > 2 { // the reader, and the target of errors.As
		t.Errorf("%v allocations", memory)
	}
}
