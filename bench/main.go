// Command bench measures what Tollgate costs beside a bare reverse proxy.
//
// It builds and starts everything on loopback: a simulated upstream that is
// faster than what it measures, a redis-server with an append-only file, a
// bare httputil.ReverseProxy, nginx, a fasthttp proxy, and Tollgate. Then it
// puts the same loads on each of them in turn, round after round, prints one
// table and writes one JSON file. Only Linux accounts CPU time the way it is
// read here.
//
//	go run ./bench --rounds 5 --duration 2s --loads small,stream50 --json bench.json
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	// The benchmark starts itself again for the roles that must be processes
	// of their own, so that their CPU time can be told apart.
	if len(args) > 0 {
		switch args[0] {
		case "role-upstream":
			return serveUpstream(ctx, args[1:], stdout)
		case "role-reverseproxy":
			return serveReverseProxy(ctx, args[1:], stdout)
		case "role-fasthttp":
			return serveFastHTTP(ctx, args[1:], stdout)
		}
	}
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return withSetup(ctx, o, func(s *setup) error {
		if len(o.growth) > 0 {
			return runGrowth(ctx, o, s, stdout, stderr)
		}
		return runRounds(ctx, o, s, stdout, stderr)
	})
}

// runRounds puts all loads on all targets, and reports.
func runRounds(ctx context.Context, o *options, s *setup, stdout, stderr io.Writer) error {
	report, err := measure(ctx, o, s, stderr)
	if err != nil {
		return err
	}
	report.print(stdout)
	if !o.short {
		report.printGoals(stdout)
	}
	if o.json != "" {
		if err := report.write(o.json); err != nil {
			return err
		}
	}
	return report.verdict()
}

// runGrowth shows how cost grows, and reports.
func runGrowth(ctx context.Context, o *options, s *setup, stdout, stderr io.Writer) error {
	o.mostConnections, o.streams = 4096, 1
	report, err := grow(ctx, o, s, stderr)
	if err != nil {
		return err
	}
	report.print(stdout)
	return report.write(o.json, o.plots)
}
