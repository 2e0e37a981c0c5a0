package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A sample is what one loop on one target gave.
type sample struct {
	requests int
	elapsed  time.Duration
	latency  []time.Duration // sorted
}

// quantile returns the latency that the share q of the requests stayed below.
func (s *sample) quantile(q float64) time.Duration {
	if len(s.latency) == 0 {
		return 0
	}
	return s.latency[min(int(q*float64(len(s.latency))), len(s.latency)-1)]
}

// closedLoop keeps n connections busy for d: each sends its next request when
// it has the answer to the last. The first error ends it.
func closedLoop(ctx context.Context, address string, wire []byte, l *load, n int, d time.Duration) (*sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients, err := dialAll(ctx, address, n)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	stop := context.AfterFunc(ctx, func() { interrupt(clients) })
	defer stop()

	perClient := make([][]time.Duration, n)
	var group sync.WaitGroup
	start := time.Now()
	for i, c := range clients {
		group.Go(func() {
			for at := time.Now(); at.Sub(start) < d; {
				if err := c.do(wire, l); err != nil {
					cancel(err)
					return
				}
				now := time.Now()
				perClient[i] = append(perClient[i], now.Sub(at))
				at = now
			}
		})
	}
	group.Wait()
	s := &sample{elapsed: time.Since(start), latency: slices.Concat(perClient...)}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s at %s: %w", l.name, address, err)
	}
	s.requests = len(s.latency)
	slices.Sort(s.latency)
	return s, nil
}

// openLoop sends rate requests a second for d, whether or not earlier ones
// were answered, and counts each one's latency from the time it was due: a
// target that stalls is charged for the requests that had to wait.
func openLoop(ctx context.Context, address string, wire []byte, l *load, n, rate int, d time.Duration) (*sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients, err := dialAll(ctx, address, n)
	if err != nil {
		return nil, err
	}
	defer closeAll(clients)
	stop := context.AfterFunc(ctx, func() { interrupt(clients) })
	defer stop()

	due := make(chan time.Time, rate) // a second's worth may wait
	perClient := make([][]time.Duration, n)
	var group sync.WaitGroup
	for i, c := range clients {
		group.Go(func() {
			for at := range due {
				if err := c.do(wire, l); err != nil {
					cancel(err)
					return
				}
				perClient[i] = append(perClient[i], time.Since(at))
			}
		})
	}
	start := time.Now()
	pace(ctx, due, start, rate, d)
	close(due)
	group.Wait()
	s := &sample{elapsed: time.Since(start), latency: slices.Concat(perClient...)}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s at %s, %d a second: %w", l.name, address, rate, err)
	}
	s.requests = len(s.latency)
	slices.Sort(s.latency)
	return s, nil
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

func dialAll(ctx context.Context, address string, n int) ([]*client, error) {
	clients := make([]*client, 0, n)
	for range n {
		c, err := dial(ctx, address)
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
