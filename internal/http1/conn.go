package http1

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/socket"
)

const (
	// usualHeaders is how many headers an answer seldom has more of.
	usualHeaders = 28
	// pieceSize is how much is written at a time: the client has WriteTimeout for each.
	pieceSize = 256 << 10
	// bodyPace is how much of a body must come within IdleTimeout, if there is so
	// much to come. Any byte would not do: one a minute would hold a connection for ever.
	bodyPace = 1 << 20
	// lingerFor is how long a connection that is closed with something unread
	// is read on: closed at once, it could take the answer with it.
	lingerFor = 500 * time.Millisecond
	// maxBlank is how many bytes of line ends may stand before a request: old
	// clients send one after a body.
	maxBlank = 4
)

// A conn is a client's connection. But for state and hurried, all of it belongs
// to the goroutine that serves it.
type conn struct {
	server *Server
	socket net.Conn
	remote string
	since  time.Time
	state  atomic.Int32
	// hurried says that the rest of a request has had its time. It is the server's, under its lock.
	hurried bool

	in         *socket.Reader // has a buffer while a request is read
	reading    part
	headLeft   int         // how many bytes of the head may still be read
	slowHead   []byte      // the head so far, of one that is not all there at first
	known      knownHead   // the last one
	sized      sizedBody   // of a request whose head was known
	paceLeft   int         // how many bytes of the body are still to come in the time that is given for them
	readUntil  time.Time   // the read deadline in force
	writeUntil time.Time   // the write deadline in force
	vector     [3][]byte   // what one write sends from three places
	pieces     net.Buffers // of vector
	response   response
}

// States, for who shuts the server down.
const (
	fresh  int32 = iota // no byte has come
	idle                // between requests
	active              // from a request's first byte to the end of its answer
	closed
)

// part is what is being read.
type part int

const (
	nothing part = iota // waiting for a request
	head
	body
	rest // of a body, which nobody wants
)

func newConn(s *Server, accepted net.Conn) *conn {
	c := &conn{server: s, socket: accepted, remote: accepted.RemoteAddr().String(), since: time.Now()}
	c.in = s.readBuffers.NewReader(accepted, c)
	c.sized.from = c.in
	c.response.conn = c
	c.response.header = make(http.Header, usualHeaders)
	return c
}

// closeIfIdle closes a connection that has no request, for good.
func (c *conn) closeIfIdle(now time.Time) bool {
	state := c.state.Load()
	switch {
	case state == closed:
		return true
	case state == active || state == fresh && now.Sub(c.since) < freshFor:
		return false
	case !c.state.CompareAndSwap(state, closed):
		return false // a request has come just now
	}
	_ = c.socket.Close() // its goroutine finds out
	return true
}

// serve answers request after request.
func (c *conn) serve() {
	defer c.end()
	for c.awaitRequest() {
		r, refusal := c.readHead()
		if refusal != 0 {
			c.refuse(refusal)
			return
		}
		if !c.answer(r) {
			return
		}
		c.state.Store(idle)
		if c.server.closing.Load() && c.in.Buffered() == 0 {
			return
		}
	}
}

// end closes the connection. A handler that panics ends here too: the client
// must see that the answer is not whole, and so must one to whom it could not be written.
func (c *conn) end() {
	failure := recover()
	if failure != nil && failure != http.ErrAbortHandler { //nolint:errorlint // it is the very value that is panicked with
		c.server.ErrorLog.Printf("panic serving %s: %v\n%s", c.remote, failure, debug.Stack())
	}
	if tcp, ok := c.socket.(*net.TCPConn); ok && (failure != nil || c.response.failure != nil) && c.response.endsByClose() {
		_ = tcp.SetLinger(0) // a reset: an ordinary end would be that of the whole answer
	}
	_ = c.socket.Close() // there is nobody left to tell
	c.server.removeConn(c)
}

// awaitRequest waits for a request's first byte.
func (c *conn) awaitRequest() bool {
	c.reading = nothing
	for blank := 0; ; blank++ {
		c.allowRead()
		if c.in.Await() != nil {
			return false
		}
		first, _ := c.in.Peek(1) // it is there
		if blank == maxBlank || first[0] != '\r' && first[0] != '\n' {
			break
		}
		_, _ = c.in.Discard(1) // it is there
	}
	return c.state.CompareAndSwap(idle, active) || c.state.CompareAndSwap(fresh, active)
}

// Read reads from the socket what the part that is being read allows.
func (c *conn) Read(p []byte) (int, error) {
	switch c.reading {
	case head:
		if c.headLeft <= 0 {
			return 0, errHeadTooLarge
		}
		n, err := c.socket.Read(p[:min(len(p), c.headLeft)])
		c.headLeft -= n
		c.slowHead = append(c.slowHead, p[:n]...)
		return n, err
	case body:
		if c.paceLeft <= 0 {
			c.allowRead()
			c.paceLeft = bodyPace
		}
		n, err := c.socket.Read(p)
		c.paceLeft -= n
		return n, err
	case nothing, rest:
	}
	return c.socket.Read(p)
}

// allowRead gives the client its time to say something; none, once the server is
// closing and has set how long the request may take.
func (c *conn) allowRead() {
	if c.server.closing.Load() {
		return
	}
	patience := c.server.IdleTimeout
	if c.state.Load() == fresh {
		patience = c.server.HeadTimeout
	}
	// One that is too far off is of another part.
	now := time.Now()
	if left := c.readUntil.Sub(now); left < patience || left > farOff(patience) {
		c.setReadDeadline(now.Add(farOff(patience)))
	}
}

// farOff is where deadlines are set that have to be moved at every read or
// write: further off than need be, so that most of the time they can stay.
// Moving one costs more than asking for the time.
func farOff(patience time.Duration) time.Duration { return patience + patience/2 }

// write sends a text, what follows it, which may be long, and what ends that.
func (c *conn) write(text, long, end []byte) error {
	for len(long) > pieceSize {
		if err := c.writeTogether(text, long[:pieceSize], nil); err != nil {
			return err
		}
		text, long = nil, long[pieceSize:]
	}
	return c.writeTogether(text, long, end)
}

// writeTogether sends three texts in one write.
func (c *conn) writeTogether(text, piece, end []byte) (err error) {
	if len(text)+len(piece)+len(end) == 0 {
		return nil
	}
	now := time.Now()
	if c.writeUntil.Sub(now) < c.server.WriteTimeout {
		c.writeUntil = now.Add(farOff(c.server.WriteTimeout))
		_ = c.socket.SetWriteDeadline(c.writeUntil) // fails only on a closed connection, which the write tells
		c.obeyExpiry()
	}
	if len(piece)+len(end) == 0 {
		_, err = c.socket.Write(text)
		return err
	}
	c.pieces = c.vector[:0]
	for _, part := range [...][]byte{text, piece, end} {
		if len(part) > 0 {
			c.pieces = append(c.pieces, part)
		}
	}
	_, err = c.pieces.WriteTo(c.socket)
	c.vector = [3][]byte{}
	return err
}

func (c *conn) setReadDeadline(t time.Time) {
	c.readUntil = t
	_ = c.socket.SetReadDeadline(t) // fails only on a closed connection, which the read tells
	c.obeyExpiry()
}

// obeyExpiry takes the client's time away, if that is over: the server may have
// said so just before a deadline was moved.
func (c *conn) obeyExpiry() {
	if c.server.expired.Load() {
		_ = c.socket.SetDeadline(longAgo()) // fails only on a closed connection
	}
}

var errHeadTooLarge = errors.New("the head is too large")

// readHead reads the head of a request whose first byte has come, or says with
// which status it is refused; -1: with none, the client is gone.
func (c *conn) readHead() (r *http.Request, refusal int) {
	text, whole := c.headHere()
	if r := c.knownRequest(text); r != nil {
		return r, 0
	}
	c.reading, c.headLeft = head, c.server.MaxHead
	here := c.in.Buffered()
	if !whole {
		c.setReadDeadline(time.Now().Add(c.server.HeadTimeout))
		c.slowHead = append([]byte(nil), text...)
		defer func() { c.slowHead = nil }()
	}
	r, err := http.ReadRequest(&c.in.Reader)
	if err != nil {
		return nil, c.refusalOf(err)
	}
	if r.ProtoMajor != 1 {
		return nil, http.StatusHTTPVersionNotSupported
	}
	if !wellFormed(r) {
		return nil, http.StatusBadRequest
	}
	c.reading, c.paceLeft = body, 0
	r.RemoteAddr = c.remote
	if !whole {
		text = c.slowHead
	}
	r.Close = r.Close || mayBeTwo(r, text)
	if whole {
		c.known.remember(text[:here-c.in.Buffered()], r)
	}
	return r, 0
}

// knownRequest is the request whose head has come if that is the last one's; nil: it is not.
func (c *conn) knownRequest(text []byte) *http.Request {
	size, length, same := c.known.in(text)
	if !same {
		return nil
	}
	_, _ = c.in.Discard(size) // it is there
	c.reading, c.paceLeft = body, 0
	c.sized.left = length
	return c.known.again(length, &c.sized)
}

// refusalOf is with which status a head is refused that could not be read; -1: with none.
func (c *conn) refusalOf(err error) int {
	var network *net.OpError // not net.Error, which the *url.Error of a malformed path is, too
	switch {
	case c.headLeft <= 0:
		return http.StatusRequestHeaderFieldsTooLarge
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &network):
		return -1
	}
	return http.StatusBadRequest
}

// headHere is what has come with the first bytes of a head, and whether that is the whole of it, as
// it is unless it is long or its client slow. Then the text stays as it is while the head is read.
func (c *conn) headHere() (text []byte, whole bool) {
	text, _ = c.in.Peek(c.in.Buffered())
	return text, bytes.Contains(text, []byte("\r\n\r\n"))
}

// mayBeTwo reports whether a request may be two to somebody on the way: it says its length and comes in
// chunks all the same, or in chunks though HTTP/1.0 knows none. Its connection ends with it (RFC 9112, section 6.1).
// net/http's parser goes by the chunks or by the version, and forgets the other.
func mayBeTwo(r *http.Request, head []byte) bool {
	switch {
	case len(r.TransferEncoding) > 0:
		return has(head, "content-length:")
	case !r.ProtoAtLeast(1, 1):
		return has(head, "transfer-encoding:")
	}
	return false
}

// has reports whether a line of the head begins so.
func has(head []byte, name string) bool {
	for range valuesOf(head, name) {
		return true
	}
	return false
}

// valuesOf are the places of what follows in the lines of the head that begin so.
func valuesOf(head []byte, name string) iter.Seq[span] {
	return func(yield func(span) bool) {
		at := 0
		for line := range bytes.Lines(head) {
			text := bytes.TrimRight(line, "\r\n")
			switch {
			case len(text) == 0:
				return // the head's end
			case len(text) >= len(name) && strings.EqualFold(string(text[:len(name)]), name) && !yield(span{at + len(name), at + len(text)}):
				return
			}
			at += len(line)
		}
	}
}

// span is a part of a text.
type span struct{ from, to int }

// wellFormed makes the checks that net/http leaves to its server. A name with a
// blank before its colon could be understood otherwise by who comes after us.
func wellFormed(r *http.Request) bool {
	for name := range r.Header {
		if strings.IndexByte(name, ' ') >= 0 {
			return false
		}
	}
	if r.Host == "" {
		return !r.ProtoAtLeast(1, 1)
	}
	return strings.Trim(r.Host, hostBytes) == ""
}

// hostBytes are what a host may be made of, by RFC 3986, and its port.
const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%!$&'()*+,;=:[]"

// answer runs the handler and sends what is left of its answer. It reports
// whether the connection can take another request.
func (c *conn) answer(r *http.Request) bool {
	w := &c.response
	w.begin(r)
	if expect := r.Header.Get("Expect"); expect != "" && !expectsContinue(expect) {
		w.closes = true // nobody knows whether the body comes
		w.WriteHeader(http.StatusExpectationFailed)
	} else {
		c.server.Handler.ServeHTTP(w, r)
	}
	return w.finish()
}

func expectsContinue(expect string) bool { return strings.EqualFold(expect, "100-continue") }

// refuse answers what is no request, and closes; -1 closes without a word.
func (c *conn) refuse(status int) {
	if status < 0 {
		return
	}
	text := strconv.Itoa(status) + " " + http.StatusText(status)
	answer := "HTTP/1.1 " + text + "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n" + text
	_ = c.write([]byte(answer), nil, nil) // it may be gone
	c.linger()
}

// linger lets a client that is still sending read the answer before its
// connection goes: with something unread, closing resets it.
func (c *conn) linger() {
	if tcp, ok := c.socket.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_ = c.socket.SetReadDeadline(time.Now().Add(lingerFor))
		_, _ = io.Copy(io.Discard, c.socket)
	}
}
