// Package http1 is an HTTP/1.1 server for net/http's handlers. A connection is
// one goroutine, which reads a request, runs its handler, sends the answer and
// reads the next. net/http's server has a second one to a connection, which
// waits for the client's leaving while the handler works, and hands over to it
// and back at every request; here the handler may ask, when it wishes to know
// (ClientGone). Requests are parsed by net/http all the same.
//
//	server.go    listeners and connections, from the first to the last
//	conn.go      a connection: request after request
//	body.go      a request's body
//	response.go  an answer: head, framing, trailers
//
// What differs from net/http's server, for handlers: a request's context does
// not end with the request; the body is to be read before the answer begins, by
// the handler's own goroutine; an answer without a Content-Type is given none; a
// response is not to be used once its handler has returned; and there is no TLS,
// no HTTP/2 and no hijacking.
package http1

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tollgate/tollgate/internal/socket"
)

// Server serves a handler on listeners. All fields are required and not to be
// changed once it serves.
type Server struct {
	Handler http.Handler
	// HeadTimeout is how long a client may take for a request's head, from its first byte.
	HeadTimeout time.Duration
	// IdleTimeout is how long a client may say nothing between two requests, and
	// how long it may take for a MiB of a body, or for what is left of it. It may
	// take half as long again until it is noticed.
	IdleTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what is sent to it, by
	// pieces of 256 KiB. It may take half as long again until it is noticed.
	WriteTimeout time.Duration
	// MaxHead bounds a request's head, in bytes, to a buffer.
	MaxHead int
	// ErrorLog takes a handler's panics and what goes wrong in accepting.
	ErrorLog *log.Logger

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	closing   atomic.Bool
	since     time.Time   // closing since
	expired   atomic.Bool // nobody waits for clients any more
	buffers   sync.Pool   // *[]byte: what answers are gathered in, while there is something to send

	readBuffers socket.Buffers // what requests are read through
}

const (
	// freshFor is how long, when the server shuts down, a connection without a
	// request counts as one whose request is on its way, and how long the rest of a
	// request may take.
	freshFor = 5 * time.Second
	// acceptPause is the wait after a listener had no more descriptors to give.
	acceptPause = 50 * time.Millisecond
	// shutdownPoll is how often Shutdown looks for connections that have become idle.
	shutdownPoll = 10 * time.Millisecond
)

// Serve accepts connections until the listener fails or the server is shut
// down or closed, which is http.ErrServerClosed. It closes the listener.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close() // nobody can do anything about its error
	if !s.addListener(l) {
		return http.ErrServerClosed
	}
	for {
		socket, err := l.Accept()
		switch {
		case err == nil:
			if c := s.addConn(socket); c != nil {
				go c.serve()
			}
		case s.closing.Load():
			return http.ErrServerClosed
		case passes(err):
			s.ErrorLog.Printf("accepting: %v; going on", err)
			time.Sleep(acceptPause)
		default:
			return err
		}
	}
}

// passes reports whether an error of Accept is about one connection, or about
// something that there will be more of, and not about the listener.
func passes(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

func (s *Server) addListener(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	if s.listeners == nil {
		s.listeners, s.conns = make(map[net.Listener]struct{}), make(map[*conn]struct{})
	}
	s.listeners[l] = struct{}{}
	return true
}

// addConn takes a connection in, unless the server is closing.
func (s *Server) addConn(socket net.Conn) *conn {
	c := newConn(s, socket)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		_ = socket.Close() // nothing has been read from it
		return nil
	}
	s.conns[c] = struct{}{}
	return c
}

func (s *Server) removeConn(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// Shutdown accepts no more, closes idle connections and waits for the others
// to end their requests, or for ctx, whose error it then returns. Requests that
// are not all there within a few seconds are cut.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	tick := time.NewTicker(shutdownPoll)
	defer tick.Stop()
	for s.closeIdle(time.Now()) > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Close closes listeners and connections, in the middle of what they do.
func (s *Server) Close() error {
	s.stopListening()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.socket.Close() // its goroutine finds out
	}
	return nil
}

func (s *Server) stopListening() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing.Swap(true) {
		s.since = time.Now()
	}
	for l := range s.listeners {
		_ = l.Close() // Serve returns
		delete(s.listeners, l)
	}
}

// closeIdle closes the connections that have no request, and says how many have one. The server is closing.
func (s *Server) closeIdle(now time.Time) (busy int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := now.Sub(s.since) >= freshFor
	for c := range s.conns {
		if c.closeIfIdle(now) {
			continue
		}
		busy++
		if late && !c.hurried {
			c.hurried = true
			_ = c.socket.SetReadDeadline(longAgo()) // fails only on a closed connection
		}
	}
	return busy
}

// Expire says that no client is waited for any more: who reads from one or
// writes to one fails at once. It is for a server that shuts down, and whose
// clients have had their time.
func (s *Server) Expire() {
	s.expired.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.obeyExpiry()
	}
}

// longAgo is a deadline that is over.
func longAgo() time.Time { return time.Unix(1, 0) }

func (s *Server) takeBuffer() *[]byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, gatherSize)
	return &b
}

// putBuffer keeps a buffer for the next answer, unless headers have made it large.
func (s *Server) putBuffer(b *[]byte) {
	if cap(*b) <= 4*gatherSize {
		s.buffers.Put(b)
	}
}
