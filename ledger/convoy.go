package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// convoyPatience is how long calls wait for the convoy before them: a dead connection
	// must not stop them.
	convoyPatience = 10 * time.Millisecond
	// convoysAtOnce is how many of a server's convoys may be on their way then.
	convoysAtOnce = 4
	// convoySize bounds the calls of one, so that the first reply does not wait
	// for too many others, and nobody else's script for all of them.
	convoySize = 32
)

// A convoy lets calls of one server's scripts that come at the same time make
// one trip (lua/trip.lua): Redis and this process both spend less on a call
// then. Nobody waits for company. A call that finds the way free goes at once,
// in its caller's own goroutine; calls that come meanwhile wait, and go
// together as soon as the way is free again, with the first of them, or when
// that takes too long, with the next that comes. The way is free again after
// tryTimeout at the latest. If the server could not be reached, those that wait are
// told so, and do not try.
type convoy struct {
	client redis.UniversalClient

	mu      sync.Mutex
	waiting []*scriptCall
	onWay   int
	left    time.Time // when the last one left
}

// A scriptCall is one call of a script, and then what came of it.
type scriptCall struct {
	script *script
	keys   []string
	args   []any
	seen   string // of the shard, which is among args
	reply  reply
	err    error
	// turn is sent to once while the call waits for a convoy: true when it is to
	// lead the others that wait, false when it has been there and back.
	turn chan bool
}

// command is the call by itself.
func (c *scriptCall) command(ctx context.Context) *redis.Cmd {
	return c.script.command(ctx, c.keys, c.args)
}

// alone makes the call by itself.
func (c *scriptCall) alone(ctx context.Context, client redis.UniversalClient) {
	command := c.command(ctx)
	_ = client.Process(ctx, command) // which keeps the error
	c.answered(command)
}

// answered takes the outcome of a command.
func (c *scriptCall) answered(command *redis.Cmd) {
	values, err := command.Slice()
	c.reply, c.err = *replyOf(values), err
}

// send makes a call. It returns when that has its reply or ctx ends, and then
// nobody knows whether it ran.
func (v *convoy) send(ctx context.Context, c *scriptCall) error {
	v.mu.Lock()
	if v.onWay == 0 || v.onWay < convoysAtOnce && time.Since(v.left) > convoyPatience {
		v.onWay, v.left = v.onWay+1, time.Now()
		v.mu.Unlock()
		v.lead(ctx, c)
		return c.err
	}
	c.turn = make(chan bool, 1)
	v.waiting = append(v.waiting, c)
	v.mu.Unlock()
	select {
	case leads := <-c.turn:
		if leads {
			v.lead(ctx, c)
		}
		return c.err
	case <-ctx.Done():
		return v.leave(ctx, c)
	}
}

// next makes the first of those that wait the leader of the others, or frees the
// way. err is what the convoy before them came to.
func (v *convoy) next(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if unreachable(err) {
		v.turnBack()
	}
	if len(v.waiting) == 0 {
		v.onWay--
		return
	}
	leader := v.waiting[0]
	v.waiting, v.left = v.waiting[1:], time.Now()
	leader.turn <- true
}

// turnBack refuses the calls that wait for a server that has just been found away, as new
// calls are refused. Otherwise each convoy would find out for itself, the last one after
// as many timeouts as there were convoys. mu is held.
func (v *convoy) turnBack() {
	for _, c := range v.waiting {
		c.err = errAway
		c.turn <- false
	}
	v.waiting = nil
}

// lead takes along all that wait.
func (v *convoy) lead(ctx context.Context, leader *scriptCall) {
	v.mu.Lock()
	n := min(len(v.waiting), convoySize-1)
	others := v.waiting[:n]
	v.waiting = v.waiting[n:]
	v.mu.Unlock()
	if n == 0 {
		leader.alone(ctx, v.client)
		v.next(leader.err)
		return
	}
	all := append([]*scriptCall{leader}, others...)
	// The convoy is shared: it goes on when its leader leaves.
	v.travel(brieflyIn(context.WithoutCancel(ctx), tryTimeout), all)
	v.next(leader.err)
	for _, c := range others {
		c.turn <- false
	}
}

// travel makes several calls at once, in one trip if the server has a function
// for that. What Redis refuses as a whole, or answers in a way that cannot be
// read, goes by single calls: those that have no part in the reason are
// answered then.
func (v *convoy) travel(ctx context.Context, all []*scriptCall) {
	if all[0].script.of == nil {
		v.pipeline(ctx, all)
		return
	}
	trip := tripOf(ctx, all)
	_ = v.client.Process(ctx, trip) // which keeps the error
	replies, err := trip.Text()
	refused := redis.Error(nil)
	switch {
	case errors.As(err, &refused), err == nil && !readReplies(replies, all):
		v.pipeline(ctx, all)
	default:
		for _, c := range all {
			c.err = err
		}
	}
}

// pipeline makes the calls one by one, together on their way.
func (v *convoy) pipeline(ctx context.Context, all []*scriptCall) {
	commands := make([]*redis.Cmd, len(all))
	sendAll(ctx, v.client, func(p redis.Pipeliner) error {
		for i, c := range all {
			commands[i] = c.command(ctx)
			_ = p.Process(ctx, commands[i])
		}
		return nil
	})
	for i, c := range all {
		c.answered(commands[i])
	}
}

// leave ends the waiting of a call whose time is over. One that was made leader at that
// moment passes the lead on.
func (v *convoy) leave(ctx context.Context, c *scriptCall) error {
	v.mu.Lock()
	for i, other := range v.waiting {
		if other == c {
			v.waiting = append(v.waiting[:i:i], v.waiting[i+1:]...)
			break
		}
	}
	v.mu.Unlock()
	select {
	case leads := <-c.turn:
		if !leads {
			return c.err
		}
		v.next(nil)
	default:
	}
	return ctx.Err()
}
