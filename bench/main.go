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
	"strings"
	"syscall"
	"time"
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

// options are what the command line chooses.
type options struct {
	rounds      int
	duration    time.Duration // of the closed loop, and again of the open loop
	warmup      time.Duration
	connections int
	streams     int // that each connection reads at least, one after the other
	rate        int // requests a second of the open loop
	loads       []load
	targets     string // by name; empty: all
	accounts    int    // of the load that many accounts pay for
	json        string
	tollgate    string // a built binary; empty: build it
	upstream    string // where the simulated upstream listens
	peers       []peer
	growth      []sweep // measure these in place of the targets
	plots       string  // folder for the plots of the growth
	short       bool
	// mostConnections bounds what a load may ask for.
	mostConnections int
}

// A peer is another gateway that somebody has set up before our upstream.
type peer struct {
	name, url, key string
	pids           []int // of the processes whose CPU time and memory it owns
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

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{warmup: 300 * time.Millisecond, mostConnections: 1000, streams: 2}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "how often everything is measured; figures are medians over rounds")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "how long each load runs, closed loop and open loop each")
	flags.IntVar(&o.connections, "connections", 64, "connections of the closed loop")
	flags.IntVar(&o.rate, "rate", 300, "requests a second of the open loop")
	names := flags.String("loads", "", "which loads, by name: "+strings.Join(loadNames(), ",")+" (default: all)")
	flags.StringVar(&o.targets, "targets", "", "which targets beside the upstream and the bare ReverseProxy, by name: nginx,fasthttp,Tollgate (default: all)")
	flags.IntVar(&o.accounts, "accounts", 10000, "accounts that pay for the load of that name")
	flags.StringVar(&o.json, "json", "", "write every figure to this file")
	flags.StringVar(&o.tollgate, "tollgate", "", "a built tollgate binary (default: build ./cmd/tollgate)")
	flags.StringVar(&o.upstream, "upstream", "127.0.0.1:0", "where the simulated upstream listens; a fixed port lets peers be set up for it")
	flags.BoolVar(&o.short, "short", false, "one short round, some 30 s in all: shows that everything runs, not how fast")
	flags.Func("growth", "show how cost grows, with all or some of "+strings.Join(sweepNames(), ","), func(list string) (err error) {
		o.growth, err = chooseSweeps(list)
		return err
	})
	flags.StringVar(&o.plots, "plots", "", "write plots of the growth into this folder, as SVG")
	flags.Func("peer", "another gateway, already running: name=url,key[,pid[+pid…]]; may be repeated", func(s string) error {
		p, err := parsePeer(s)
		o.peers = append(o.peers, p)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.short {
		o.rounds, o.duration, o.warmup = 1, 300*time.Millisecond, 100*time.Millisecond
		o.accounts, o.mostConnections, o.streams = min(o.accounts, 1000), 200, 1
		if o.targets == "" {
			o.targets = tollgate
		}
	}
	if o.rounds < 1 || o.duration <= 0 || o.connections < 1 || o.rate < 1 || o.accounts < 1 {
		return nil, errors.New("--rounds, --duration, --connections, --rate and --accounts must be positive")
	}
	var err error
	o.loads, err = chooseLoads(*names)
	return o, err
}

func parsePeer(s string) (peer, error) {
	name, rest, _ := strings.Cut(s, "=")
	parts := strings.Split(rest, ",")
	if name == "" || len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[0], "http://") {
		return peer{}, errors.New("want name=http://host:port/v1,key or name=http://host:port/v1,key,pid+pid")
	}
	p := peer{name: name, url: strings.TrimSuffix(parts[0], "/"), key: parts[1]}
	if len(parts) == 3 {
		for _, text := range strings.Split(parts[2], "+") {
			var pid int
			if _, err := fmt.Sscanf(text, "%d", &pid); err != nil || pid <= 0 {
				return peer{}, fmt.Errorf("%q is not a process id", text)
			}
			p.pids = append(p.pids, pid)
		}
	}
	return p, nil
}
