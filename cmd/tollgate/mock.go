package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/internal/mockai"
)

func (p *program) mock() *cobra.Command {
	var address string
	var options mockai.Options
	c := &cobra.Command{
		Use:   "mock",
		Short: "Run the simulated upstream alone",
		Long: `Run a simulated upstream: OpenAI's and BigModel's chat, completions, responses,
embeddings, images, rankings, moderations, speech and transcriptions, and
Anthropic's messages, with usage that can be foretold. A bare :PORT is the loopback;
say 0.0.0.0:PORT for every network.

It misbehaves if the request's user (metadata.user_id), or its prompt, begins with a directive such as
"mock:status=429;retry-after=2 Hello": items separated by ; up to the first blank.

  usage=IN,OUT cached=N reasoning=N no-usage   what it says was used
  bytes=N chunks=N tool-call=NAME images=N     what it answers
  latency=D delay=D                            when: before all, before each chunk
  status=N retry-after=S                       an error instead
  close  hang  hang=mid  cut=mid-body          no answer, or not all of it`,
		Example: "  tollgate mock --listen :9090\n  tollgate mock --latency 200ms --delay 20ms",
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			if options.Latency < 0 {
				return usagef("--latency %s is negative: want a time such as 200ms", options.Latency)
			}
			if options.Delay < 0 {
				return usagef("--delay %s is negative: want a time such as 20ms", options.Delay)
			}
			return p.runMock(c.Context(), address, options)
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:9090", "address")
	c.Flags().DurationVar(&options.Latency, "latency", 0, "wait before every answer")
	c.Flags().DurationVar(&options.Delay, "delay", 0, "wait before every chunk of a stream")
	c.Flags().StringVar(&options.RequireKey, "key", "", "key that requests must carry (default any)")
	return c
}

func (p *program) runMock(ctx context.Context, address string, options mockai.Options) error {
	address, err := listenAddress(address)
	if err != nil {
		return err
	}
	caught, release := catchSignals(ctx, false)
	defer release()
	listener, err := listen(ctx, address, "--listen")
	if err != nil {
		return err
	}
	where := "http://" + listener.Addr().String()
	if err := p.print(map[string]string{"listening": where}, func() string { return "listening on " + where + "\n" }); err != nil {
		return errors.Join(err, listener.Close())
	}
	upstream := mockai.New(options)
	return serveUpstream(caught.stop, listener, upstream)
}

// listenAddress reads --listen, as the configuration's listen is read.
func listenAddress(flag string) (string, error) {
	address, err := config.Address(flag)
	if err != nil {
		return "", usagef("--listen %s", err)
	}
	return address, nil
}

// serveUpstream serves the simulated upstream until ctx is done.
func serveUpstream(ctx context.Context, l net.Listener, upstream *mockai.Server) error {
	server := &http.Server{Handler: upstream, ReadHeaderTimeout: headTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	upstream.Close() // what hangs by order is let go
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return server.Close()
	}
	return nil
}
