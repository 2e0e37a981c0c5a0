package ledger

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

const (
	// convoysAtOnce is how many of a server's convoys may be on their way: with
	// more, calls would travel alone; with one, a call that comes just after a
	// convoy has left would wait for all of it.
	convoysAtOnce = 2
	// convoySize bounds the calls of one, so that the first reply does not wait for too many others.
	convoySize = 64
)

// A convoy lets calls of one server that come at the same time travel in one
// pipeline: Redis and this process both spend less on a call then, mostly on
// system calls. Nobody waits for company. A call that finds the way free goes
// at once, in its caller's own goroutine; calls that come meanwhile wait, and
// go together as soon as the way is free again, with the first of them. That
// is bounded: the way is free again after tryTimeout at the latest.
type convoy struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*traveller
	onWay   int
}

// A traveller is one call. turn is sent to once: true when it is to lead the
// others that wait, false when it has been there and back.
type traveller struct {
	command redis.Cmder
	turn    chan bool
}

// send runs a command. It returns when that has its reply or ctx ends, and
// then nobody knows whether it ran; the reply is in the command.
func (v *convoy) send(ctx context.Context, command redis.Cmder) error {
	v.mu.Lock()
	if v.onWay < convoysAtOnce {
		v.onWay++
		v.mu.Unlock()
		_ = v.client.Process(ctx, command) // which keeps the error
		v.next()
		return command.Err()
	}
	t := &traveller{command, make(chan bool, 1)}
	v.waiting = append(v.waiting, t)
	v.mu.Unlock()
	select {
	case leads := <-t.turn:
		if leads {
			v.lead(ctx, t)
		}
		return command.Err()
	case <-ctx.Done():
		return v.leave(ctx, t)
	}
}

// next makes the first of those that wait the leader of the others, or frees the way.
func (v *convoy) next() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.waiting) == 0 {
		v.onWay--
		return
	}
	leader := v.waiting[0]
	v.waiting = v.waiting[1:]
	leader.turn <- true
}

// lead takes along all that wait.
func (v *convoy) lead(ctx context.Context, leader *traveller) {
	v.mu.Lock()
	n := min(len(v.waiting), convoySize-1)
	others := v.waiting[:n:n]
	v.waiting = v.waiting[n:]
	v.mu.Unlock()
	if n == 0 {
		_ = v.client.Process(ctx, leader.command) // which keeps the error
		v.next()
		return
	}
	// The convoy is nobody's own: its leader's leaving must not stop the others.
	ctx = brieflyIn(context.WithoutCancel(ctx), tryTimeout)
	_, _ = v.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		_ = p.Process(ctx, leader.command)
		for _, t := range others {
			_ = p.Process(ctx, t.command)
		}
		return nil
	})
	v.next()
	for _, t := range others {
		t.turn <- false
	}
}

// leave ends the waiting of a call whose time is over. One that was told to
// lead in that moment passes it on.
func (v *convoy) leave(ctx context.Context, t *traveller) error {
	v.mu.Lock()
	for i, other := range v.waiting {
		if other == t {
			v.waiting = append(v.waiting[:i:i], v.waiting[i+1:]...)
			break
		}
	}
	v.mu.Unlock()
	select {
	case leads := <-t.turn:
		if !leads {
			return t.command.Err()
		}
		v.next()
	default:
	}
	return ctx.Err()
}
