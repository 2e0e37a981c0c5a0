package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/socket"
)

// transport sends requests over HTTP/1.1 and reads the answers in the caller's
// own goroutine. http.Transport has two goroutines to a connection and hands
// every request and answer over to them, which is half of what a bare proxy
// costs; here nothing is handed over. Answers are parsed by net/http all the
// same. Where the environment asks for an egress proxy, http.Transport is used.
type transport struct {
	dialer  net.Dialer
	tls     *tls.Config
	named   sync.Map // *tls.Config by the name of its host: as large as all else of a connection, so they share it
	proxied http.RoundTripper

	heads   sync.Pool      // *[]byte: what requests are put together in
	buffers socket.Buffers // what answers are read through
	idle    idlePool
}

const (
	dialTimeout = 10 * time.Second
	// maxAnswerHead bounds an answer's head, in bytes, with those before it that only inform.
	maxAnswerHead = 1 << 20
	// requestSize is up to which size a request is put together to be sent; of a
	// larger one the body is sent from where it is.
	requestSize = 8 << 10
)

func newTransport() *transport {
	return &transport{
		heads:  sync.Pool{New: func() any { b := make([]byte, 0, requestSize); return &b }},
		dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second},
		tls:    &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(256)},
		idle:   idlePool{hosts: make(map[string][]*upstreamConn)},
		proxied: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableCompression: true, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: maxIdlePerHost, IdleConnTimeout: idleLife, TLSHandshakeTimeout: dialTimeout,
		},
	}
}

// sentError is a failure after the upstream had got the whole request: it may
// have worked on it.
type sentError struct{ error }

func (e sentError) Unwrap() error { return e.error }

func wasSent(err error) bool {
	var sent sentError
	return errors.As(err, &sent)
}

// send sends a request with that body and returns the answer's head; its body
// is read from the connection as the caller asks for it. The cut interrupts
// either, with its cause. Errors after the whole request went out are
// sentErrors. Once it has returned, nothing refers to the request's body.
func (t *transport) send(r *http.Request, body []byte, cut *cut) (*http.Response, error) {
	if proxy, err := http.ProxyFromEnvironment(r); err != nil || proxy != nil {
		return t.sendProxied(r, body, cut)
	}
	conn, err := t.connection(r, cut)
	if err != nil {
		return nil, err
	}
	response, err := conn.answer(r, body, cut)
	if err == nil || conn.since.IsZero() || wasSent(err) {
		return response, err
	}
	// The upstream closed the connection between the look at it and the write. It
	// lacks a part of the request, so it cannot have worked on it. One that has got
	// all of it and then closes may have: to send that again could cost twice.
	if conn, err = t.dialUnder(cut, r, conn.host); err != nil {
		return nil, err
	}
	return conn.answer(r, body, cut)
}

// sendProxied sends a request by way of the environment's egress proxy.
func (t *transport) sendProxied(r *http.Request, body []byte, cut *cut) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	if err := cut.begin(interruptFunc(cancel)); err != nil {
		cancel()
		return nil, err
	}
	var sent atomic.Bool
	r = r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(written httptrace.WroteRequestInfo) {
		sent.Store(written.Err == nil)
	}}))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(bytes.Clone(body))), int64(len(body)) // it may be read beyond the answer's head
	response, err := t.proxied.RoundTrip(r)
	if err != nil {
		cancel()
		if !cut.end() {
			err = errors.Join(cut.cause(), err)
		}
		if sent.Load() {
			err = sentError{err}
		}
		return nil, err
	}
	response.Body = &proxiedBody{ReadCloser: response.Body, cancel: cancel, cut: cut}
	return response, nil
}

// proxiedBody is the body of an answer that came by way of an egress proxy.
type proxiedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	cut    *cut
}

// Close ends the answer, read or not.
func (b *proxiedBody) Close() error {
	b.cut.end()
	defer b.cancel()
	return b.ReadCloser.Close()
}

// upstreamConn is a connection that one request at a time has for itself.
type upstreamConn struct {
	net.Conn
	of     *transport
	host   string
	reader *socket.Reader
	since  time.Time // idle since; zero: it is new

	inHead   bool
	headLeft int // how many bytes of the head may still come
}

// Read reads from the connection what a head may still have, if it is one.
func (c *upstreamConn) Read(p []byte) (int, error) {
	if !c.inHead {
		return c.Conn.Read(p)
	}
	if c.headLeft <= 0 {
		return 0, errHeadTooLarge
	}
	n, err := c.Conn.Read(p[:min(len(p), c.headLeft)])
	c.headLeft -= n
	return n, err
}

var errHeadTooLarge = errors.New("the head of the answer is too large")

// connection takes the connection that was used last, or makes one.
func (t *transport) connection(r *http.Request, cut *cut) (*upstreamConn, error) {
	host := r.URL.Scheme + "://" + r.URL.Host
	if conn := t.idle.take(host); conn != nil {
		return conn, nil
	}
	return t.dialUnder(cut, r, host)
}

// dialUnder makes a connection, unless it is cut or takes longer than its
// upstream may be silent.
func (t *transport) dialUnder(cut *cut, r *http.Request, host string) (*upstreamConn, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if err := cut.begin(dialing{interruptFunc(cancel)}); err != nil {
		return nil, err
	}
	conn, err := t.dial(ctx, r.URL, host)
	switch uncut := cut.end(); {
	case err == nil:
	case !uncut:
		err = errors.Join(cut.cause(), err)
	case ctx.Err() != nil:
		err = fmt.Errorf("no connection within the upstream's timeout: %w", err)
	}
	return conn, err
}

func (t *transport) dial(ctx context.Context, to *url.URL, host string) (*upstreamConn, error) {
	port := to.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[to.Scheme]
	}
	raw, err := t.dialer.DialContext(ctx, "tcp", net.JoinHostPort(to.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if to.Scheme == "https" {
		if raw, err = t.handshake(ctx, raw, to.Hostname()); err != nil {
			return nil, err
		}
	}
	conn := &upstreamConn{Conn: raw, of: t, host: host}
	conn.reader = t.buffers.NewReader(raw, conn)
	return conn, nil
}

func (t *transport) handshake(ctx context.Context, raw net.Conn, name string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secured := tls.Client(&socket.Base{Conn: raw}, t.tlsFor(name))
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("tls: %w", err), raw.Close())
	}
	return secured, nil
}

// tlsFor is how TLS is spoken with a host.
func (t *transport) tlsFor(name string) *tls.Config {
	if config, ok := t.named.Load(name); ok {
		return config.(*tls.Config)
	}
	config := t.tls.Clone()
	config.ServerName = name
	kept, _ := t.named.LoadOrStore(name, config)
	return kept.(*tls.Config)
}

// interrupt makes whoever reads or writes return at once.
func (c *upstreamConn) interrupt() { _ = c.SetDeadline(time.Unix(1, 0)) }

// answer sends the request under the cut and returns the answer. On an error the
// connection is closed.
func (c *upstreamConn) answer(r *http.Request, body []byte, cut *cut) (*http.Response, error) {
	if err := cut.begin(c); err != nil {
		_ = c.Close() // it would have to be looked at before it can be kept
		return nil, err
	}
	response, err := c.exchange(r, body)
	if err != nil {
		if !cut.end() {
			err = errors.Join(cut.cause(), err)
		}
		_ = c.Close() // it is of no use any more
		return nil, err
	}
	response.Request = nil // it is not to live as long as its answer
	response.Body = &upstreamBody{conn: c, response: response, body: response.Body, cut: cut}
	return response, nil
}

// exchange writes the request and reads the answer's head.
func (c *upstreamConn) exchange(r *http.Request, body []byte) (*http.Response, error) {
	if err := c.write(r, body); err != nil {
		// An upstream may refuse a long request before it has read it all, or answer
		// it: what it has answered is not to be sent again.
		if response, early := c.head(r); early == nil {
			response.Close = true
			return response, nil
		}
		return nil, err
	}
	response, err := c.head(r)
	if err != nil {
		return nil, sentError{err}
	}
	return response, nil
}

// write sends a request. net/http has checked what the client sent of the
// headers, and the rest is ours: no name or value can end its line.
func (c *upstreamConn) write(r *http.Request, body []byte) error {
	buffer := c.of.heads.Get().(*[]byte)
	defer c.of.heads.Put(buffer)
	*buffer = appendHead((*buffer)[:0], r, len(body))
	if len(*buffer)+len(body) > cap(*buffer) {
		pieces := net.Buffers{*buffer, body}
		_, err := pieces.WriteTo(c.Conn)
		return err
	}
	*buffer = append(*buffer, body...)
	_, err := c.Conn.Write(*buffer)
	return err
}

// appendHead puts a request's head to what is to be sent.
func appendHead(b []byte, r *http.Request, length int) []byte {
	b = append(append(append(b, r.Method...), ' '), r.URL.RequestURI()...)
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), r.URL.Host...), "\r\n"...)
	for name, values := range r.Header {
		for _, value := range values {
			b = append(append(append(append(b, name...), ": "...), value...), "\r\n"...)
		}
	}
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(length), 10)
	return append(b, "\r\n\r\n"...)
}

// head reads the head of the final answer, past those that only inform.
func (c *upstreamConn) head(r *http.Request) (*http.Response, error) {
	c.inHead, c.headLeft = true, maxAnswerHead
	defer func() { c.inHead = false }()
	for {
		_ = c.reader.Await() // an error comes again
		response, err := http.ReadResponse(&c.reader.Reader, r)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = io.EOF
			}
			return nil, err
		}
		if response.StatusCode >= http.StatusOK || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// upstreamBody is an answer's body. Read to its end, it gives the connection
// back; closed before, it takes the connection with it.
type upstreamBody struct {
	conn     *upstreamConn
	response *http.Response
	body     io.ReadCloser
	cut      *cut
	over     bool
	bounded  bool // there is a deadline
}

// readBy bounds the time of reading on; false: it cannot, or there is nothing to
// read, and the connection may be another's already.
func (b *upstreamBody) readBy(deadline time.Time) bool {
	if b.over {
		return false
	}
	b.bounded = true
	return b.conn.SetReadDeadline(deadline) == nil
}

// Read reads on; an interrupted read returns the cause of the interruption.
func (b *upstreamBody) Read(p []byte) (int, error) {
	if b.over {
		return 0, io.EOF
	}
	n, err := b.body.Read(p)
	if err == nil {
		return n, nil
	}
	ended := errors.Is(err, io.EOF)
	b.finish(ended && !b.response.Close)
	if cause := b.cut.cause(); cause != nil && !ended {
		err = errors.Join(cause, err)
	}
	return n, err
}

// await returns when more of the answer has come, or none will. It is for callers that
// have no buffer yet, and may return early.
func await(body io.Reader) {
	if b, ok := body.(*upstreamBody); ok && !b.over && b.response.ContentLength != 0 {
		_ = b.conn.reader.Await() // an error comes again
	}
}

// isHere reports whether some of an answer's body has come already.
func isHere(body io.Reader) bool {
	b, ok := body.(*upstreamBody)
	return ok && !b.over && b.conn.reader.Buffered() > 0
}

// Close ends the answer, read or not.
func (b *upstreamBody) Close() error {
	if !b.over {
		b.finish(false)
	}
	return nil
}

func (b *upstreamBody) finish(reusable bool) {
	b.over = true
	// Once the interruption has begun, its deadline may strike at any time. What
	// came after the answer nobody has asked for.
	reusable = b.cut.end() && reusable && b.conn.reader.Buffered() == 0
	if reusable && b.bounded {
		reusable = b.conn.SetReadDeadline(time.Time{}) == nil
	}
	if reusable {
		b.conn.of.idle.put(b.conn)
		return
	}
	_ = b.conn.Close() // it is of no use any more
}
