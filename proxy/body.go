package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
)

// maxBodyKept is up to which size, in bytes, the memory of a request's body is
// used again for another's.
const maxBodyKept = 1 << 20

// bodySize is how much room, in bytes, a body is given before any of it has come.
const bodySize = 16 << 10

// strangersBody is how much of a body, in bytes, is read before its credential has
// been checked: anybody can write one that looks right.
const strangersBody = 1 << 20

// gate lets the rest of a long body in once its key is known.
type gate struct {
	io.Reader
	know func() error
	room int
	err  error
}

func (g *gate) Read(p []byte) (int, error) {
	if g.room <= 0 && g.know != nil {
		g.err, g.know = g.know(), nil
	}
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.Reader.Read(p)
	g.room -= n
	return n, err
}

// readBody reads a body to its end into memory that is used again. A Content-Length
// is only a claim: the buffer never exceeds about twice what has arrived.
func readBody(into *[]byte, from io.Reader, length int64) error {
	body := (*into)[:0]
	defer func() { *into = body }()
	for {
		if len(body) == cap(body) {
			body = slices.Grow(body, roomFor(length-int64(len(body)), len(body)))
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return errBody(err)
		}
	}
}

// errBody is the client's error for a body that could not be read.
func errBody(err error) error {
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		return err
	}
	return errInvalidRequest("", "The request body could not be read to its end.")
}

// roomFor is by how much the buffer grows. rest is how much is still to come by the
// client's own word, negative if unknown. The extra byte is to see the end without growing.
func roomFor(rest int64, have int) int {
	room := max(have, bodySize)
	if rest >= 0 && rest < int64(room) {
		room = int(rest)
	}
	return room + 1
}

// recycle returns the memory of the tap and of the body to their pools. The heartbeat may
// be reading either: the tap cannot be taken out meanwhile.
func (c *call) recycle() {
	if tap := c.tap.set(nil); tap != nil {
		c.proxy.taps.Put(tap)
	}
	if body := c.body; body != nil && cap(*body) <= maxBodyKept {
		c.proxy.bodies.Put(body)
	}
}
