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

// readBody reads a body to its end into memory that is used again.
func readBody(into *[]byte, from io.Reader, length int64) error {
	var big *http.MaxBytesError
	body := slices.Grow((*into)[:0], int(max(min(length, maxBodyKept), 0))+1) // +1: room to see the end without growing
	defer func() { *into = body }()
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &big):
			return err
		case err != nil:
			return errInvalidRequest("", "The request body could not be read to its end.")
		}
	}
}

// giveBack gives the memory of the body and of the tap back. The heartbeat may
// be reading in it.
func (c *call) giveBack() {
	c.tapMu.Lock()
	body, tap := c.body, c.tap
	c.body, c.tap = nil, nil
	c.tapMu.Unlock()
	if tap != nil {
		c.proxy.taps.Put(tap)
	}
	if body != nil && cap(*body) <= maxBodyKept {
		c.proxy.bodies.Put(body)
	}
}
