package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A sample is what one loop on one target gave.
type sample struct {
	requests int
	elapsed  time.Duration
	latency  []time.Duration // sorted
	first    []time.Duration // to the first byte of the answer, sorted
}

// quantile returns the latency that the share q of the requests stayed below.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// closedLoop keeps n connections busy for d: each sends its next request when
// it has the answer to the last. Slow streams begin spread over the time that
// one lasts, not all at once. The first error ends it.
func closedLoop(ctx context.Context, s *shot, n int, d time.Duration) (*sample, error) {
	return s.run(ctx, n, d, func(_ context.Context, start time.Time, each func(client, nth int, since time.Time) error) {
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				begin := start.Add(s.lasts() * time.Duration(i) / time.Duration(n))
				time.Sleep(time.Until(begin))
				for nth := 0; time.Since(begin) < d; nth++ {
					if each(i, i+nth*n, time.Now()) != nil {
						return
					}
				}
			})
		}
		group.Wait()
	})
}

// openLoop sends rate requests a second for d, whether or not earlier ones
// were answered, and counts each one's latency from the time it was due: a
// target that stalls is charged for the requests that had to wait.
func openLoop(ctx context.Context, s *shot, n, rate int, d time.Duration) (*sample, error) {
	return s.run(ctx, n, d, func(ctx context.Context, start time.Time, each func(client, nth int, since time.Time) error) {
		due := make(chan time.Time, rate) // a second's worth may wait
		var nth atomic.Int64
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				for at := range due {
					if each(i, int(nth.Add(1)), at) != nil {
						return
					}
				}
			})
		}
		pace(ctx, due, start, rate, d)
		close(due)
		group.Wait()
	})
}

// patience is how much longer than meant a loop may take: a target that hangs
// ends it.
const patience = 30 * time.Second

// run dials n connections and lets a loop of length d send requests over them.
// each sends the nth request over a client's connection and counts its latency from since.
func (s *shot) run(ctx context.Context, n int, d time.Duration, loop func(ctx context.Context, start time.Time, each func(client, nth int, since time.Time) error)) (*sample, error) {
	ctx, done := context.WithTimeout(ctx, d+2*s.lasts()+patience)
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients, err := dialAll(ctx, s.addresses, n)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	stop := context.AfterFunc(ctx, func() { interrupt(clients) })
	defer stop()

	latency, first := make([][]time.Duration, n), make([][]time.Duration, n)
	start := time.Now()
	loop(ctx, start, func(i, nth int, since time.Time) error {
		c := clients[i]
		err := c.do(s.wires[(s.sent+nth)%len(s.wires)], s.load)
		if err != nil {
			cancel(err)
			return err
		}
		latency[i] = append(latency[i], time.Since(since))
		first[i] = append(first[i], c.first.Sub(since))
		return nil
	})
	out := &sample{elapsed: time.Since(start), latency: slices.Concat(latency...), first: slices.Concat(first...)}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s at %v: %w", s.name, s.addresses, err)
	}
	out.requests = len(out.latency)
	s.sent += out.requests
	slices.Sort(out.latency)
	slices.Sort(out.first)
	return out, nil
}

// pace hands out the times at which requests are due.
func pace(ctx context.Context, due chan<- time.Time, start time.Time, rate int, d time.Duration) {
	interval := time.Second / time.Duration(rate)
	for at := start; at.Sub(start) < d; at = at.Add(interval) {
		sleepUntil(at)
		// The generator's own timer is late by some tens of microseconds,
		// which is not the target's doing; a backlog is.
		now := time.Now()
		if len(due) > 0 || now.Sub(at) > time.Millisecond {
			now = at
		}
		select {
		case due <- now:
		case <-ctx.Done():
			return
		}
	}
}

func dialAll(ctx context.Context, addresses []string, n int) ([]*client, error) {
	clients := make([]*client, 0, n)
	for i := range n {
		c, err := dial(ctx, addresses[i%len(addresses)])
		if err != nil {
			closeAll(clients)
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// interrupt ends the reads and writes that are under way.
func interrupt(clients []*client) {
	for _, c := range clients {
		_ = c.conn.SetDeadline(time.Unix(1, 0))
	}
}

func closeAll(clients []*client) {
	for _, c := range clients {
		c.close()
	}
}
