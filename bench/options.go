package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options are what the command line chooses.
type options struct {
	rounds      int
	duration    time.Duration // of the closed loop, and again of the open loop
	warmup      time.Duration
	connections int
	streams     int // that each connection reads at least, one after the other
	rate        int // requests a second of the open loop
	loads       []load
	targets     []string // by name; nil: all
	accounts    int      // of the load that many accounts pay for
	json        string
	tollgate    string // a built binary; empty: build it
	upstream    string // where the simulated upstream listens
	peers       []peer
	growth      []sweep // measure these in place of the targets
	plots       string  // folder for the plots of the growth
	short       bool
	tls         bool // the upstream speaks TLS to the proxies
	// mostConnections bounds what a load may ask for.
	mostConnections int
}

// A peer is another gateway that somebody has set up before our upstream.
type peer struct {
	name, url, key string
	pids           []int // of the processes whose CPU time and memory it owns
}

func parseOptions(args []string, stderr io.Writer) (*options, error) {
	o := &options{warmup: 300 * time.Millisecond, mostConnections: 1000, streams: 2}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o.bind(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.short {
		o.shorten()
	}
	if o.rounds < 1 || o.duration <= 0 || o.connections < 1 || o.rate < 1 || o.accounts < 1 {
		return nil, errors.New("--rounds, --duration, --connections, --rate and --accounts must be positive")
	}
	return o, nil
}

// bind says which flag sets what.
func (o *options) bind(flags *flag.FlagSet) {
	flags.IntVar(&o.rounds, "rounds", 5, "how often everything is measured; figures are medians over rounds")
	flags.DurationVar(&o.duration, "duration", 2*time.Second, "how long each load runs, closed loop and open loop each")
	flags.IntVar(&o.connections, "connections", 64, "connections of the closed loop")
	flags.IntVar(&o.rate, "rate", 300, "requests a second of the open loop")
	o.loads = allLoads()
	flags.Func("loads", "which loads, by name: "+strings.Join(loadNames(), ",")+" (default: all)", func(list string) (err error) {
		o.loads, err = chooseLoads(list)
		return err
	})
	flags.Func("targets", "which targets beside the upstream and the bare ReverseProxy, by name: "+strings.Join(choices, ",")+" (default: all), or none", func(list string) (err error) {
		o.targets, err = chooseTargets(list)
		return err
	})
	flags.IntVar(&o.accounts, "accounts", 10000, "accounts that pay for the load of that name")
	flags.StringVar(&o.json, "json", "", "write every figure to this file")
	flags.StringVar(&o.tollgate, "tollgate", "", "a built tollgate binary (default: build ./cmd/tollgate)")
	flags.StringVar(&o.upstream, "upstream", "127.0.0.1:0", "where the simulated upstream listens; a fixed port lets peers be set up for it")
	flags.BoolVar(&o.tls, "tls", false, "the upstream speaks TLS to the proxies, as a provider does")
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
}

// shorten makes the run one that shows that everything works.
func (o *options) shorten() {
	o.rounds, o.duration, o.warmup = 1, 300*time.Millisecond, 100*time.Millisecond
	o.accounts, o.mostConnections, o.streams = min(o.accounts, 1000), 200, 1
	if o.targets == nil {
		o.targets = []string{tollgate}
	}
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
