package proxy

import (
	"net/http"
	"sync/atomic"
)

// A client is the other end of a call's connection. It may leave, or only close its
// side and wait for the answer; the two look alike until something is written. Once a
// write has failed, or waited too long, nothing more is written.
type client struct {
	w       http.ResponseWriter
	control http.ResponseController

	headWaits bool        // the answer's head is written, and goes out with the first bytes of the body
	deaf      bool        // it no longer accepts data
	left      atomic.Bool // it is gone, or has closed its side
	delivered atomic.Bool // some of the answer was written to it
	wrote     atomic.Bool // something went out to it since the last patrol
}

// put writes p into the buffer; it goes out with the next flush. False: the client no
// longer accepts data.
func (to *client) put(p []byte) (ok bool) {
	if len(p) == 0 || to.deaf {
		return !to.deaf
	}
	to.delivered.Store(true)
	to.headWaits = false
	_, err := to.w.Write(p)
	to.deaf = err != nil
	return !to.deaf
}

// write writes p and flushes. False: the client no longer accepts data.
func (to *client) write(p []byte) (ok bool) {
	if len(p) == 0 || !to.put(p) {
		return !to.deaf
	}
	to.deaf = to.control.Flush() != nil
	to.wrote.Store(true)
	return !to.deaf
}

// flushHead sends a head that still waits for a body.
func (to *client) flushHead() {
	if to.headWaits {
		to.headWaits = false
		_ = to.control.Flush() // a writer that cannot is told by the first write
	}
}

// isGone asks the server: ours has a method for it, net/http's ends the request's
// context.
func (to *client) isGone(r *http.Request) bool {
	if server, ok := to.w.(interface{ ClientGone() bool }); ok {
		return server.ClientGone()
	}
	return r.Context().Err() != nil
}
