// Package socket reads connections through a buffer that they have only while
// there is something in it, and looks at them without reading. Of many
// connections most wait: clients between two requests, streams between two events.
package socket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// bufferSize is how much is read at once, in bytes.
const bufferSize = 4 << 10

// Buffers are what readers have in common: the buffers that none of them has
// just now. The zero value is ready.
type Buffers struct {
	pool sync.Pool // *bufio.Reader, of which only the memory counts
}

// A Reader reads a connection. The embedded bufio.Reader may be used after Await
// and until Release; before the one and after the other there is nothing in it. A
// Reader is for one goroutine, but for Gone.
type Reader struct {
	bufio.Reader

	from io.Reader
	raw  syscall.RawConn // of the connection; nil: it is none of the system's
	base *Base           // the system's connection, if there is a layer over it, such as TLS

	buffers *Buffers
	box     *bufio.Reader // whose memory is used; nil: there is no buffer
	look    func(fd uintptr) bool
	probe   func(fd uintptr) // made once: a look costs no memory
	quiet   bool             // by the last probe
	fd      int              // to be read from while looking
	looking bool             // reads must not wait
	end     error            // of the connection, once a look has come upon it
}

// NewReader returns a reader without a buffer, to be given one by Await. The
// buffer is filled from from, which reads from conn.
func (b *Buffers) NewReader(conn net.Conn, from io.Reader) *Reader {
	r := &Reader{from: from, buffers: b}
	r.look, r.probe = r.lookOnce, r.probeOnce
	if layer, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		if r.base, ok = layer.NetConn().(*Base); ok {
			conn = r.base.Conn
		}
	}
	if system, ok := conn.(syscall.Conn); ok {
		r.raw, _ = system.SyscallConn() // fails only on what is closed
	}
	return r
}

// A Base is the system's connection for a layer over it, such as TLS. A Reader of
// the layer has it not wait when it looks for what has come: the layer may have
// read what the system does not know of any more, or not have enough yet.
type Base struct {
	net.Conn

	fd  int
	now bool // reads must not wait
}

// Read reads from the connection.
func (b *Base) Read(p []byte) (int, error) {
	if b.now {
		return readNow(b.fd, p)
	}
	return b.Conn.Read(p)
}

// Await waits until there is something to read, without a buffer where the
// connection allows it. An error is the connection's, and reading comes upon it again.
func (r *Reader) Await() error {
	if r.Buffered() > 0 {
		return nil
	}
	if r.raw == nil {
		r.take()
		_, err := r.Peek(1)
		return err
	}
	err := r.raw.Read(r.look)
	r.take()
	if err != nil {
		return err
	}
	return r.end
}

// Release gives the buffer back, unless there is something in it.
func (r *Reader) Release() {
	if r.HasBuffer() && r.Buffered() == 0 {
		r.Reader = bufio.Reader{}
		r.buffers.pool.Put(r.box)
		r.box = nil
	}
}

// HasBuffer reports whether there is a buffer.
func (r *Reader) HasBuffer() bool { return r.box != nil }

func (r *Reader) take() {
	if r.HasBuffer() {
		return
	}
	box, ok := r.buffers.pool.Get().(*bufio.Reader)
	if !ok {
		box = bufio.NewReaderSize(nil, bufferSize)
	}
	r.box, r.Reader = box, *box
	r.Reset((*source)(r))
}

// lookOnce fills the buffer with what is there. False: there is nothing yet.
func (r *Reader) lookOnce(fd uintptr) bool {
	r.take()
	r.fd, r.looking = int(fd), true
	_, err := r.Peek(1)
	r.looking = false
	if errors.Is(err, syscall.EAGAIN) {
		r.Release()
		return false
	}
	r.end = err
	return true
}

// source is what the buffer of a Reader is filled from.
type source Reader

func (s *source) Read(p []byte) (int, error) {
	switch {
	case s.end != nil:
		return 0, s.end // the system tells of a reset once, and of an end afterwards
	case s.looking:
		n, err := (*Reader)(s).readNow(s.fd, p)
		if n > 0 && errors.Is(err, syscall.EAGAIN) {
			err = nil // a layer has looked beyond what it gives
		}
		return n, err
	}
	return s.from.Read(p)
}

// readNow reads what is there, by way of the layer if there is one.
func (r *Reader) readNow(fd int, p []byte) (int, error) {
	if r.base == nil {
		return readNow(fd, p)
	}
	r.base.fd, r.base.now = fd, true
	defer func() { r.base.now = false }()
	return r.from.Read(p)
}

// readNow reads what is there, without waiting: EAGAIN, if there is nothing.
func readNow(fd int, p []byte) (int, error) {
	n, err := syscall.Read(fd, p)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(fd, p)
	}
	switch {
	case errors.Is(err, syscall.EAGAIN):
		return 0, err // not wrapped: every wait begins with it
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Quiet reports whether the other side has neither closed the connection nor
// said anything that is still to be read. It is for who closes a connection that
// is not quiet: what was said may be lost by the look.
func (r *Reader) Quiet() bool {
	if r.raw == nil || r.Buffered() > 0 {
		return false
	}
	return r.raw.Control(r.probe) == nil && r.quiet
}

// probeOnce reads, which costs less than a look that takes nothing.
func (r *Reader) probeOnce(fd uintptr) {
	var b [1]byte
	_, err := r.readNow(int(fd), b[:])
	r.quiet = errors.Is(err, syscall.EAGAIN)
}

// Gone reports whether the other side has closed the connection, or its side of
// it. Where the system does not tell that apart, something that is still to be
// read hides it. It may be asked from any goroutine.
func (r *Reader) Gone() bool {
	if r.raw == nil {
		return false
	}
	n, err := r.peek()
	return n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
}

// peek asks the system for a byte without taking it; none, if no more will come
// after those that are there. Control does not wait for who is in a read.
func (r *Reader) peek() (n int, err error) {
	closed := r.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if n > 0 && hasEnded(int(fd)) {
			n = 0
		}
	})
	if closed != nil {
		return 0, closed
	}
	return n, err
}
