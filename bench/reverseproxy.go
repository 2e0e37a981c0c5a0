package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"sync"
	"time"
)

// openProxy begins a bare proxy's role: its listener, and the upstream that its
// arguments name.
func openProxy(ctx context.Context, args []string, stdout io.Writer) (net.Listener, *url.URL, error) {
	if len(args) < 2 {
		return nil, nil, errors.New("want an address to listen on and the upstream's URL")
	}
	target, err := url.Parse(args[1])
	if err != nil {
		return nil, nil, err
	}
	if err := tellAllocations(ctx, stdout); err != nil {
		return nil, nil, err
	}
	listener, err := listen(ctx, args, stdout)
	return listener, target, err
}

// serveReverseProxy is the unit of the benchmark: httputil.ReverseProxy as a
// careful engineer writes it. Its pool of idle connections is larger than the
// number of clients (with the default of two it would dial anew for most
// requests: a straw man), its copy buffers are pooled, and it does not ask the
// upstream for compression.
func serveReverseProxy(ctx context.Context, args []string, stdout io.Writer) error {
	listener, target, err := openProxy(ctx, args, stdout)
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: &http.Transport{
			MaxIdleConns:        4096,
			MaxIdleConnsPerHost: 4096,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		BufferPool: &buffers{pool: sync.Pool{New: func() any { return new([32 << 10]byte) }}},
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// An upstream that answers within microseconds meets a race of
			// net/http's: the server closes the request's body when the answer
			// begins, while the transport still looks for its end, and breaks
			// the answer off. Full duplex leaves the body alone.
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			proxy.ServeHTTP(w, r)
		}),
	}
	return stopped(ctx, server.Serve(listener))
}

// buffers lends the copy buffers of ReverseProxy.
type buffers struct{ pool sync.Pool }

// Get returns a buffer of 32 KiB.
func (b *buffers) Get() []byte {
	return b.pool.Get().(*[32 << 10]byte)[:] //nolint:forcetypeassert // the pool holds nothing else.
}

// Put takes a buffer back.
func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

const allocationsMetric = "go_memstats_mallocs_total"

// tellAllocations opens a side listener that tells, as Tollgate's own does,
// how many objects this process has allocated.
func tellAllocations(ctx context.Context, stdout io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintf(w, "%s %d\n", allocationsMetric, m.Mallocs)
		}),
	}
	go func() { _ = server.Serve(listener) }() // It ends with the listener.
	context.AfterFunc(ctx, func() { _ = server.Close() })
	_, err = fmt.Fprintf(stdout, "admin on http://%s\n", listener.Addr())
	return err
}
