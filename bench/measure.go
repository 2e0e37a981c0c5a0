package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// measure runs all rounds.
func measure(ctx context.Context, o *options, s *setup, progress io.Writer) (*report, error) {
	targets, skipped := s.targets(o)
	peers, unanswered, err := o.peerTargets(ctx)
	if err != nil {
		return nil, err
	}
	targets, skipped = append(targets, peers...), append(skipped, unanswered...)
	for _, why := range skipped {
		fmt.Fprintf(progress, "left out: %s\n", why)
	}
	r := newReport(o, targets, skipped)
	for round := range o.rounds {
		if err := s.measureRound(ctx, o, targets, round, r, progress); err != nil {
			return nil, err
		}
	}
	r.summarize()
	return r, nil
}

// measureRound puts each load on each target in turn, on books of the round's own.
func (s *setup) measureRound(ctx context.Context, o *options, targets []target, round int, r *report, progress io.Writer) (err error) {
	h := &house{}
	defer h.stop()
	b, err := s.openBooks(ctx, h)
	if err != nil {
		return err
	}
	if err := b.fill(ctx, o.accounts, o.loads); err != nil {
		return err
	}
	if r.Machine.Redis, err = b.servers[0].version(); err != nil {
		return err
	}
	for i := range o.loads {
		l := &o.loads[i]
		for j := range targets {
			// Each round begins with another target: none is always the first, on a machine still cold.
			t := &targets[(round+j)%len(targets)]
			if !l.measured(t) {
				continue
			}
			f, err := measureOne(ctx, o, t, l, b)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			r.add(round, l, t, f)
			fmt.Fprintf(progress, "round %d of %d  %-14s %-15s %7.0f req/s %6.0f µs of CPU\n", round+1, o.rounds, l.name, t.name, f[rate], f[cpu])
		}
	}
	return b.audit(ctx)
}

// measureOne starts a target and puts a load on it: first counted calls, then
// a closed loop that keeps it busy, then an open loop at a fixed rate.
func measureOne(ctx context.Context, o *options, t *target, l *load, b *books) (*figures, error) {
	h := &house{}
	defer h.stop()
	running, err := t.start(ctx, h, b)
	if err != nil {
		return nil, err
	}
	shot, err := l.at(running.bases, running.keys(l)...)
	if err != nil {
		return nil, err
	}
	f := &figures{}
	if err := running.count(ctx, f, shot); err != nil {
		return nil, err
	}
	if err := running.busy(ctx, o, f, shot); err != nil {
		return nil, err
	}
	return f, running.calm(ctx, o, f, shot)
}

// busy measures the closed loop.
func (r *running) busy(ctx context.Context, o *options, f *figures, s *shot) error {
	fresh, err := residentMemory(r.pids)
	if err != nil {
		return err
	}
	connections := s.closed(o)
	if s.every == 0 {
		if err := warmUp(ctx, s, connections, o.warmup); err != nil {
			return err
		}
	}
	duration := max(o.duration, time.Duration(o.streams)*s.lasts())
	watch := watchMemory(r.pids)
	got, err := r.account(ctx, func() (*sample, error) { return closedLoop(ctx, s, connections, duration) })
	most := watch.stop()
	if err != nil {
		return err
	}
	f[rate] = float64(got.requests) / got.elapsed.Seconds()
	f[cpu], f[redisCPU], f[cpuAndRedis] = got.cpu, got.redisCPU, got.cpu+got.redisCPU
	f[redisScript], f[allocated] = got.redisScript, got.allocated
	f[busyP50], f[busyP99] = microseconds(quantile(got.latency, 0.5)), microseconds(quantile(got.latency, 0.99))
	f[memory] = float64(most) / (1 << 20)
	if s.every > 0 {
		f[streamMemory] = float64(most-fresh) / (1 << 10) / float64(connections)
	}
	return nil
}

// warmUp lasts until every key has paid once, and a while at least: what an
// account costs the first time is not what it costs.
func warmUp(ctx context.Context, s *shot, connections int, d time.Duration) error {
	for before := s.sent; ; {
		if _, err := closedLoop(ctx, s, connections, d); err != nil || s.sent-before >= len(s.wires) {
			return err
		}
	}
}

// calm measures the open loop.
func (r *running) calm(ctx context.Context, o *options, f *figures, s *shot) error {
	rate, connections := s.open(o)
	if rate == 0 {
		return nil
	}
	got, err := r.account(ctx, func() (*sample, error) { return openLoop(ctx, s, connections, rate, o.duration) })
	if err != nil {
		return err
	}
	f[p50], f[p99], f[idleCPU] = microseconds(quantile(got.latency, 0.5)), microseconds(quantile(got.latency, 0.99)), got.cpu
	f[first50] = microseconds(quantile(got.first, 0.5))
	if r.books != nil && f[redisCalls] > 0 {
		there, err := r.books.servers[0].ping()
		if err != nil {
			return err
		}
		f[roundTrip] = microseconds(there) + got.redisScript/f[redisCalls]
	}
	return nil
}

// accounted is a sample and what it cost per request, times in microseconds.
type accounted struct {
	*sample
	cpu, redisCPU, redisScript, allocated float64
}

// spent is what a target has used so far.
type spent struct {
	cpu, redisCPU time.Duration
	redis         redisUse
	allocated     float64
}

func (r *running) spent(ctx context.Context) (s spent, err error) {
	for _, url := range r.metrics {
		objects, err := allocations(ctx, url)
		if err != nil {
			return s, err
		}
		s.allocated += objects
	}
	if s.cpu, err = cpuTime(r.pids); err != nil || r.books == nil {
		return s, err
	}
	if s.redisCPU, err = cpuTime(r.books.pids()); err != nil {
		return s, err
	}
	s.redis, err = r.books.use()
	return s, err
}

// account runs a loop and divides what was spent meanwhile by its requests.
func (r *running) account(ctx context.Context, loop func() (*sample, error)) (*accounted, error) {
	before, err := r.spent(ctx)
	if err != nil {
		return nil, err
	}
	s, err := loop()
	if err != nil {
		return nil, err
	}
	after, err := r.spent(ctx)
	if err != nil {
		return nil, err
	}
	requests := float64(max(s.requests, 1))
	each := func(d time.Duration) float64 { return microseconds(d) / requests }
	return &accounted{
		s, each(after.cpu - before.cpu), each(after.redisCPU - before.redisCPU), each(after.redis.inside - before.redis.inside),
		(after.allocated - before.allocated) / requests,
	}, nil
}

// count counts what a request costs in calls of Redis, one request after the
// other. Several tries, of which the least counts: a sweep of the proxy's may
// fall into one. Slow streams would take minutes, and are a stream like others.
func (r *running) count(ctx context.Context, f *figures, s *shot) error {
	c, err := dial(ctx, s.addresses[0])
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.do(s.wires[0], s.load); err != nil {
		return fmt.Errorf("does not answer load %s: %w", s.name, err)
	}
	f[bodyBytes] = float64(c.size)
	if r.books == nil || s.every > 0 {
		return nil
	}
	const tries, requests, exact = 5, 50, 2
	for try := range tries {
		calls, trips, err := r.countTry(c, s, requests)
		if err != nil {
			return err
		}
		if try == 0 || calls < f[redisCalls] {
			f[redisCalls] = calls
		}
		if try == 0 || trips < f[redisTrips] {
			f[redisTrips] = trips
		}
		if f[redisCalls] == exact && f[redisTrips] == exact {
			break
		}
	}
	return nil
}

func (r *running) countTry(c *client, s *shot, requests int) (calls, trips float64, err error) {
	before, err := r.books.use()
	if err != nil {
		return 0, 0, err
	}
	for i := range requests {
		if err := c.do(s.wires[i%len(s.wires)], s.load); err != nil {
			return 0, 0, err
		}
	}
	after, err := r.books.use()
	const ours = 1 // asking the second time
	return float64(after.scripts-before.scripts) / float64(requests), float64(after.reads-before.reads-ours) / float64(requests), err
}

// verdict fails the run where what must be exact is not: a metered request
// costs one call of Redis to admit and one to settle.
func (r *report) verdict() error {
	var errs []error
	for _, w := range r.Rows {
		calls, trips := w.Median[redisCalls], w.Median[redisTrips]
		if w.Target == tollgate && calls > 0 && (calls != 2 || trips != 2) {
			errs = append(errs, fmt.Errorf("load %s: %.2f script calls and %.2f round trips to Redis per request, not 2", w.Load, calls, trips))
		}
	}
	return errors.Join(errs...)
}
