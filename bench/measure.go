package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// A target is what the loads are put on.
type target struct {
	name  string
	base  string // URL to which a load's path is added
	key   string
	pids  []int
	redis *redisServer // whose use is this target's, if any
}

const (
	direct   = "upstream alone"
	unit     = "ReverseProxy" // the target that all ratios refer to
	tollgate = "Tollgate"
)

// measure starts everything, runs all rounds, and stops everything.
func measure(ctx context.Context, o *options, progress io.Writer) (_ *report, err error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("CPU time is read from /proc: run this on Linux")
	}
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	h := &house{}
	defer h.stop()
	targets, operator, err := startTargets(ctx, h, dir, o)
	if err != nil {
		return nil, err
	}
	if err := admitted(ctx, targets, o.loads); err != nil {
		return nil, err
	}

	r := newReport(o, targets)
	for round := range o.rounds {
		for i := range o.loads {
			l := &o.loads[i]
			for j := range targets {
				// Each round begins with another target: none is always the first, on a machine still cold.
				t := &targets[(round+j)%len(targets)]
				f, err := measureOne(ctx, o, t, l)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
				r.add(round, l, t, f)
				fmt.Fprintf(progress, "round %d of %d  %-14s %-15s %7.0f req/s %6.0f µs\n", round+1, o.rounds, l.name, t.name, f.Rate, f.CPU)
			}
		}
	}
	// What was fast must also be right: every request that was counted is in the books.
	if out, err := operator.run(ctx, "audit"); err != nil {
		return nil, fmt.Errorf("the books do not balance after the benchmark: %w: %s", err, out)
	}
	return r, nil
}

func startTargets(ctx context.Context, h *house, dir string, o *options) ([]target, *operator, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	up, upURL, err := h.startServer(ctx, "upstream", self, "role-upstream", o.upstream)
	if err != nil {
		return nil, nil, err
	}
	bare, bareURL, err := h.startServer(ctx, "reverseproxy", self, "role-reverseproxy", "127.0.0.1:0", upURL)
	if err != nil {
		return nil, nil, err
	}
	redis, err := startRedis(ctx, h, dir)
	if err != nil {
		return nil, nil, err
	}
	operator, err := setUpTollgate(ctx, dir, o.tollgate, upURL, redis)
	if err != nil {
		return nil, nil, err
	}
	key, err := operator.makeKey(ctx)
	if err != nil {
		return nil, nil, err
	}
	ours, ourURL, err := h.startServer(ctx, "tollgate", operator.binary, "serve", "-c", operator.config)
	if err != nil {
		return nil, nil, err
	}
	targets := []target{
		{name: direct, base: upURL + "/v1", key: "none", pids: []int{up.pid()}},
		{name: unit, base: bareURL + "/v1", key: "none", pids: []int{bare.pid()}},
		{name: tollgate, base: ourURL + "/v1", key: key, pids: []int{ours.pid()}, redis: redis},
	}
	for _, p := range o.peers {
		targets = append(targets, target{name: p.name, base: p.url, key: p.key, pids: p.pids})
	}
	return targets, operator, nil
}

// admitted sends each load once to each target, so that a mistake in the
// set-up shows before the first round.
func admitted(ctx context.Context, targets []target, loads []load) error {
	for _, t := range targets {
		for i := range loads {
			address, wire, err := loads[i].request(t.base, t.key)
			if err != nil {
				return err
			}
			c, err := dial(ctx, address)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			err = c.do(wire, &loads[i])
			c.close()
			if err != nil {
				return fmt.Errorf("%s does not answer load %s: %w", t.name, loads[i].name, err)
			}
		}
	}
	return nil
}

// figures are what one target gave under one load in one round.
type figures struct {
	Rate        float64 `json:"requests_per_second"`        // closed loop
	CPU         float64 `json:"cpu_us,omitempty"`           // of the target, per request, closed loop
	RedisCPU    float64 `json:"redis_cpu_us,omitempty"`     // likewise
	RedisScript float64 `json:"redis_script_us,omitempty"`  // time inside the scripts, likewise
	P50         float64 `json:"p50_us"`                     // open loop
	P99         float64 `json:"p99_us"`                     //
	BusyP50     float64 `json:"busy_p50_us"`                // closed loop
	BusyP99     float64 `json:"busy_p99_us"`                //
	RSS         float64 `json:"rss_mib,omitempty"`          // after the closed loop
	RedisCalls  float64 `json:"redis_calls,omitempty"`      // scripts per request
	RedisTrips  float64 `json:"redis_roundtrips,omitempty"` // reads of the server from clients per request
	BodyBytes   float64 `json:"body_bytes"`                 // of an answer
	OpenLoopCPU float64 `json:"open_loop_cpu_us,omitempty"` // per request at the fixed rate, when the machine is mostly idle
}

func measureOne(ctx context.Context, o *options, t *target, l *load) (*figures, error) {
	address, wire, err := l.request(t.base, t.key)
	if err != nil {
		return nil, err
	}
	f := &figures{}
	if err := t.countCalls(ctx, f, address, wire, l); err != nil {
		return nil, err
	}
	if _, err := closedLoop(ctx, address, wire, l, o.connections, o.warmup); err != nil {
		return nil, err
	}
	busy, err := t.account(func() (*sample, error) {
		return closedLoop(ctx, address, wire, l, o.connections, o.duration)
	})
	if err != nil {
		return nil, err
	}
	f.Rate = float64(busy.requests) / busy.elapsed.Seconds()
	f.CPU, f.RedisCPU, f.RedisScript = busy.cpu, busy.redisCPU, busy.redisScript
	f.BusyP50, f.BusyP99 = microseconds(busy.quantile(0.5)), microseconds(busy.quantile(0.99))
	rss, err := residentMemory(t.pids)
	if err != nil {
		return nil, err
	}
	f.RSS = float64(rss) / (1 << 20)

	calm, err := t.account(func() (*sample, error) {
		return openLoop(ctx, address, wire, l, min(o.connections, o.rate), o.rate, o.duration)
	})
	if err != nil {
		return nil, err
	}
	f.P50, f.P99, f.OpenLoopCPU = microseconds(calm.quantile(0.5)), microseconds(calm.quantile(0.99)), calm.cpu
	return f, nil
}

// accounted is a sample and what it cost per request, in microseconds.
type accounted struct {
	*sample
	cpu, redisCPU, redisScript float64
}

// spent is what a target has used so far.
type spent struct {
	cpu, redisCPU time.Duration
	redis         redisUse
}

func (t *target) spent() (s spent, err error) {
	if s.cpu, err = cpuTime(t.pids); err != nil || t.redis == nil {
		return s, err
	}
	if s.redisCPU, err = cpuTime([]int{t.redis.pid()}); err != nil {
		return s, err
	}
	s.redis, err = t.redis.use()
	return s, err
}

// account runs a loop and divides what was spent meanwhile by its requests.
func (t *target) account(loop func() (*sample, error)) (*accounted, error) {
	before, err := t.spent()
	if err != nil {
		return nil, err
	}
	s, err := loop()
	if err != nil {
		return nil, err
	}
	after, err := t.spent()
	if err != nil {
		return nil, err
	}
	each := func(d time.Duration) float64 { return microseconds(d) / float64(max(s.requests, 1)) }
	return &accounted{s, each(after.cpu - before.cpu), each(after.redisCPU - before.redisCPU), each(after.redis.inside - before.redis.inside)}, nil
}

// countCalls counts what a request costs in calls of Redis, one request after
// the other. The least of several tries: a sweep of the proxy's may fall into one.
func (t *target) countCalls(ctx context.Context, f *figures, address string, wire []byte, l *load) error {
	c, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.close()
	const tries, requests = 5, 100
	for try := range tries {
		if t.redis == nil {
			break
		}
		before, err := t.redis.use()
		if err != nil {
			return err
		}
		for range requests {
			if err := c.do(wire, l); err != nil {
				return err
			}
		}
		after, err := t.redis.use()
		if err != nil {
			return err
		}
		const ours = 1 // asking the second time
		calls, trips := float64(after.scripts-before.scripts)/requests, float64(after.reads-before.reads-ours)/requests
		if try == 0 || calls < f.RedisCalls {
			f.RedisCalls = calls
		}
		if try == 0 || trips < f.RedisTrips {
			f.RedisTrips = trips
		}
	}
	if err := c.do(wire, l); err != nil {
		return err
	}
	f.BodyBytes = float64(c.size)
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
