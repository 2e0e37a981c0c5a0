package http1

import (
	"io"
	"net/http"
	"time"
)

// maxDiscard is how much of a body that its handler did not want is read, so
// that the connection can be kept.
const maxDiscard = 256 << 10

// requestBody is a request's body. It is for one goroutine, that of the handler.
type requestBody struct {
	of       io.ReadCloser
	response *response
	awaited  bool // the client waits to be asked for it
	over     bool // it has been read to its end
	read     int64
	failure  error // of every further read
}

// Read reads on. A client that waits to be asked for its body is asked now,
// unless its answer has begun: it has not been asked then, and may send the
// body or not.
func (b *requestBody) Read(p []byte) (int, error) {
	switch {
	case b.failure != nil:
		return 0, b.failure
	case b.over:
		return 0, io.EOF
	case b.awaited && b.response.status == 0:
		b.awaited = false
		if err := b.response.conn.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"), nil, nil); err != nil {
			return 0, err
		}
	}
	n, err := b.of.Read(p)
	b.read += int64(n)
	if err == io.EOF { // net/http returns the very value at a body's end, and others for what broke off
		b.end()
	} else {
		b.failure = err // what follows is not read as if nothing were missing
	}
	return n, err
}

// end gives the connection's buffer back: answers take their time.
func (b *requestBody) end() {
	b.over = true
	b.response.conn.in.Release()
}

// Close leaves the rest of the body to the server.
func (b *requestBody) Close() error { return nil }

// readRest reads what the handler has left of the request's body: there are
// clients that send all before they read. If it is too much, or if the client
// still waits to be asked for it, the connection goes.
func (w *response) readRest() {
	if w.body.over || w.closes {
		return
	}
	if w.body.awaited || w.request.ContentLength > w.body.read+maxDiscard {
		w.closes = true
		return
	}
	w.conn.reading = rest
	w.conn.setReadDeadline(time.Now().Add(w.conn.server.HeadTimeout))
	_, _ = io.CopyN(io.Discard, &w.body, maxDiscard+1)
	w.closes = !w.body.over
	w.body.failure = http.ErrBodyReadAfterClose // who reads on must not take it for a whole body
}
