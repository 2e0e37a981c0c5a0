package main

import (
	"context"
	"io"
	"time"

	"github.com/valyala/fasthttp"
)

// serveFastHTTP is a proxy of fasthttp's server and its HostClient, which
// speaks to the upstream in the handler's own goroutine. Answers are passed on
// as they come.
func serveFastHTTP(ctx context.Context, args []string, stdout io.Writer) error {
	listener, target, err := openProxy(ctx, args, stdout)
	if err != nil {
		return err
	}
	client := &fasthttp.HostClient{
		Addr:                          target.Host,
		IsTLS:                         target.Scheme == "https",
		MaxConns:                      4096,
		MaxIdleConnDuration:           90 * time.Second,
		StreamResponseBody:            true,
		DisablePathNormalizing:        true,
		DisableHeaderNamesNormalizing: true,
		NoDefaultUserAgentHeader:      true,
	}
	server := &fasthttp.Server{
		ReadTimeout:        time.Minute,
		MaxRequestBodySize: 64 << 20,
		Handler: func(c *fasthttp.RequestCtx) {
			c.Request.URI().SetScheme(target.Scheme)
			c.Request.SetHost(target.Host)
			c.Request.Header.Del(fasthttp.HeaderConnection)
			if err := client.Do(&c.Request, &c.Response); err != nil {
				c.Error(err.Error(), fasthttp.StatusBadGateway)
				return
			}
			c.Response.Header.Del(fasthttp.HeaderConnection)
		},
	}
	return stopped(ctx, server.Serve(listener))
}
