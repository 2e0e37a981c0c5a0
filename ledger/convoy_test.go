package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
)

// gate lets what goes to the server pass one by one, and remembers how many commands went together.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	took []int
}

func (*gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		g.pass(command)
		return next(ctx, command)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		g.pass(commands...)
		return next(ctx, commands)
	}
}

func (g *gate) pass(commands ...redis.Cmder) {
	if name := commands[0].Name(); name != "echo" && name != "ping" && name != "nonsense" {
		return // a new connection's own
	}
	g.mu.Lock()
	g.took = append(g.took, len(commands))
	g.mu.Unlock()
	<-g.open
}

func (g *gate) sent() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.took)
}

func gatedConvoy(t *testing.T) (*convoy, *gate) {
	client, closeClient, err := connect(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closeClient() })
	g := &gate{open: make(chan struct{}, 1000)}
	client.AddHook(g)
	return &convoy{client: client}, g
}

func (v *convoy) queue() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.waiting)
}

// What comes while others are on their way goes together, and each gets its own reply.
func TestConvoyGoesTogether(t *testing.T) {
	v, g := gatedConvoy(t)
	var group sync.WaitGroup
	for i := range convoysAtOnce + 10 {
		group.Go(func() {
			command := redis.NewCmd(t.Context(), "echo", i)
			if err := v.send(t.Context(), command); err != nil || command.Val() != fmt.Sprint(i) {
				t.Errorf("%d: %v, %v", i, command.Val(), err)
			}
		})
		if i < convoysAtOnce {
			eventually(t, "the first are on their way", func() bool { return g.sent() == i+1 })
		}
	}
	eventually(t, "the others wait", func() bool { return v.queue() == 10 })
	g.open <- struct{}{}
	eventually(t, "the others are on their way", func() bool { return g.sent() == convoysAtOnce+1 })
	close(g.open)
	group.Wait()
	if last := g.took[convoysAtOnce]; last != 10 {
		t.Errorf("%d went together, want 10", last)
	}
	if v.onWay != 0 || v.queue() != 0 {
		t.Errorf("%d on their way and %d waiting at the end", v.onWay, v.queue())
	}
}

// An error of one is not the others'.
func TestConvoyErrorIsOnesOwn(t *testing.T) {
	v, g := gatedConvoy(t)
	close(g.open)
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			command := redis.NewCmd(t.Context(), "echo", i)
			if i%3 == 0 {
				command = redis.NewCmd(t.Context(), "nonsense")
			}
			if err := v.send(t.Context(), command); (err != nil) != (i%3 == 0) {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	group.Wait()
}

// Who leaves while waiting keeps nobody, wherever in the queue he was.
func TestConvoyLeaving(t *testing.T) {
	v, g := gatedConvoy(t)
	var group sync.WaitGroup
	send := func(ctx context.Context, want error) {
		group.Go(func() {
			if err := v.send(ctx, redis.NewCmd(ctx, "ping")); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
	for i := range convoysAtOnce {
		send(t.Context(), nil)
		eventually(t, "on its way", func() bool { return g.sent() == i+1 })
	}
	leaving, leave := context.WithCancel(t.Context())
	for i := range 9 {
		if i%2 == 0 {
			send(leaving, context.Canceled)
		} else {
			send(t.Context(), nil)
		}
		eventually(t, "it waits", func() bool { return v.queue() == i+1 })
	}
	leave()
	eventually(t, "they left", func() bool { return v.queue() == 4 })
	close(g.open)
	group.Wait()
}

// Whoever is told to lead in the moment in which he leaves passes it on.
func TestConvoyLeavingLeader(t *testing.T) {
	v, g := gatedConvoy(t)
	close(g.open)
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 12 {
			group.Go(func() {
				if i%2 == 0 {
					_ = v.send(ctx, redis.NewCmd(ctx, "ping"))
				} else if err := v.send(t.Context(), redis.NewCmd(t.Context(), "ping")); err != nil {
					t.Error(err)
				}
			})
		}
		cancel()
		group.Wait()
	}
	if v.onWay != 0 || v.queue() != 0 {
		t.Errorf("%d on their way and %d waiting at the end", v.onWay, v.queue())
	}
}
