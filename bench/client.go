package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// A client is one keep-alive connection that sends a request whose bytes were
// prepared, and reads just enough of the answer to know that it is whole. It
// costs the machine little, so that what is measured is the target.
type client struct {
	conn net.Conn
	r    *bufio.Reader
	tail [16]byte // the last bytes of the last answer's body
	size int      // of the last answer's body
	// first is when the first byte of the last answer was there.
	first time.Time
}

func dial(ctx context.Context, address string) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 32<<10)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// A shot is a load made ready for one target: where to send it (clients are
// spread over the addresses), and the bytes to send, once for each key.
// Clients take the keys in turn, and the next loop goes on where the last ended.
type shot struct {
	*load
	addresses []string
	wires     [][]byte
	sent      int
}

// at renders the bytes that ask a base (such as http://127.0.0.1:8080/v1) for a
// load. Several bases are one target, and differ by their address alone.
func (l *load) at(bases []string, keys ...string) (*shot, error) {
	s := &shot{load: l}
	var u *url.URL
	for _, base := range bases {
		var err error
		if u, err = url.Parse(base); err != nil {
			return nil, err
		}
		s.addresses = append(s.addresses, u.Host)
	}
	for _, key := range keys {
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST %s%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: bench\r\nContent-Length: %d\r\n\r\n",
			u.Path, l.path, u.Host, key, len(l.body))
		b.Write(l.body)
		s.wires = append(s.wires, b.Bytes())
	}
	return s, nil
}

// do sends the request and reads the whole answer. An answer that is not 200,
// or does not end as the load's answers end, is an error.
func (c *client) do(wire []byte, l *load) error {
	if _, err := c.conn.Write(wire); err != nil {
		return err
	}
	if _, err := c.r.Peek(1); err != nil {
		return err
	}
	c.first = time.Now()
	status, length, err := c.readHead()
	if err != nil {
		return err
	}
	if status != 200 {
		beginning, _ := c.r.Peek(min(max(length, 0), 400)) // What there is of it explains more than an error would.
		return fmt.Errorf("status %d: %s", status, beginning)
	}
	c.size = 0
	if length < 0 {
		err = c.readChunks()
	} else {
		err = c.readBody(length)
	}
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(bytes.TrimRight(c.ending(), "\n"), bytes.TrimRight([]byte(l.tail), "\n")) {
		return fmt.Errorf("an answer of %d bytes that ends in %q, not in %q", c.size, c.ending(), l.tail)
	}
	return nil
}

// readHead returns the status and the length of the body; -1 says that it is chunked.
func (c *client) readHead() (status, length int, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 {
		return 0, 0, fmt.Errorf("not a status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	length, err = readRequestHead(c.r) // the fields are the same as a request's
	return status, length, err
}

func (c *client) readChunks() error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		hex, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		size, err := strconv.ParseUint(string(hex), 16, 31)
		if err != nil {
			return fmt.Errorf("not a chunk's size: %q", line)
		}
		if size == 0 {
			_, err := readRequestHead(c.r) // trailers, and the empty line
			return err
		}
		if err := c.readBody(int(size)); err != nil {
			return err
		}
		if _, err := c.r.Discard(2); err != nil {
			return err
		}
	}
}

// readBody reads n bytes and remembers the last of them.
func (c *client) readBody(n int) error {
	for n > 0 {
		p, err := c.r.Peek(min(n, c.r.Size()))
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		c.remember(p)
		if _, err := c.r.Discard(len(p)); err != nil {
			return err
		}
		n -= len(p)
		c.size += len(p)
	}
	return nil
}

func (c *client) remember(p []byte) {
	if len(p) >= len(c.tail) {
		copy(c.tail[:], p[len(p)-len(c.tail):])
		return
	}
	copy(c.tail[:], c.tail[len(p):])
	copy(c.tail[len(c.tail)-len(p):], p)
}

func (c *client) ending() []byte { return c.tail[len(c.tail)-min(c.size, len(c.tail)):] }
