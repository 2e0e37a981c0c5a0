package ledger

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// send lets n calls wait for the convoy, and returns what came of them, by their turn, once all are back.
func (f *convoyFixture) send(ctx context.Context, group *sync.WaitGroup, n int) (outcomes []error) {
	f.Helper()
	outcomes = make([]error, n)
	for i := range n {
		call := f.reserveCall(f.reservation(f.key, cost(f, "0.001")))
		group.Go(func() { outcomes[i] = f.convoy().send(ctx, call) })
		eventually(f, "it waits", func() bool { return f.convoy().queue() == i+1 })
	}
	return outcomes
}

// aTrip is a client's hook: what is done with a trip, in place of sending it or before.
type aTrip func(ctx context.Context) error

func (aTrip) DialHook(next redis.DialHook) redis.DialHook { return next }

func (do aTrip) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if command.Name() == "fcall" && strings.HasSuffix(command.Args()[1].(string), "_trip") {
			if err := do(ctx); err != nil {
				command.SetErr(err)
				return err
			}
		}
		return next(ctx, command)
	}
}

func (aTrip) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A trip that nobody hears of any more fails for all that are on it, each by its own reason to look what became of it; those
// behind it have not been sent, and are told that the server is away.
func TestConvoyThatIsLost(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	f.ledger.client.AddHook(aTrip(func(context.Context) error { return io.ErrUnexpectedEOF }))
	var group sync.WaitGroup
	f.occupy(&group)
	outcomes := f.send(t.Context(), &group, convoySize+3)
	close(f.gate.open)
	group.Wait()
	for i, err := range outcomes {
		if want := map[bool]error{true: io.ErrUnexpectedEOF, false: errAway}[i < convoySize]; !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
	}
	f.idle()
}

// A trip does not end with its leader's patience, nor last longer than any call may.
func TestConvoyGoesOnWithoutItsLeader(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	ctx, leave := context.WithCancel(t.Context())
	bounded := false
	f.ledger.client.AddHook(aTrip(func(trip context.Context) error {
		until, is := trip.Deadline()
		bounded = is && time.Until(until) <= tryTimeout
		leave()
		return nil
	}))
	leader := f.reserveCall(f.reservation(f.key, cost(f, "0.001")))
	group.Go(func() { _ = f.convoy().send(ctx, leader) })
	eventually(t, "it waits", func() bool { return f.convoy().queue() == 1 })
	others := make([]error, 3)
	for i := range others {
		call := f.reserveCall(f.reservation(f.key, cost(f, "0.001")))
		group.Go(func() { others[i] = f.convoy().send(t.Context(), call) })
		eventually(t, "it waits", func() bool { return f.convoy().queue() == i+2 })
	}
	close(f.gate.open)
	group.Wait()
	if err := errors.Join(others...); err != nil || !bounded || ctx.Err() == nil {
		t.Errorf("the others: %v; bounded: %t; the leader left: %t", err, bounded, ctx.Err() != nil)
	}
	f.idle()
}

// However long convoys do not come back, only so many are on their way.
func TestConvoysAtOnce(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	v := f.convoy()
	for n := 2; n <= convoysAtOnce+1; n++ {
		v.mu.Lock()
		v.left = time.Now().Add(-time.Hour)
		v.mu.Unlock()
		call := f.reserveCall(f.reservation(f.key, cost(f, "0.001")))
		group.Go(func() {
			if err := v.send(t.Context(), call); err != nil {
				t.Error(err)
			}
		})
		if n <= convoysAtOnce {
			eventually(t, "it goes", func() bool { return f.gate.sent() == n })
		} else {
			eventually(t, "it waits", func() bool { return v.queue() == 1 })
		}
	}
	close(f.gate.open)
	group.Wait()
	f.idle()
}

// Those who wait are patient with each convoy from when that has left.
func TestConvoyPatienceBeginsAnew(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group) // as if it had left in the future
	outcomes := f.send(t.Context(), &group, 1)
	f.gate.open <- struct{}{}
	eventually(t, "the next is on its way", func() bool { return f.gate.sent() == 2 })
	v := f.convoy()
	v.mu.Lock()
	left := v.left
	v.mu.Unlock()
	if left.After(time.Now()) {
		t.Errorf("it left at %s, it is said", left)
	}
	close(f.gate.open)
	group.Wait()
	if outcomes[0] != nil {
		t.Error(outcomes[0])
	}
	f.idle()
}

// answeredInPart is a client's hook: of calls that go one by one, together on their way, all are executed and only some are answered.
type answeredInPart int

func (answeredInPart) DialHook(next redis.DialHook) redis.DialHook { return next }

func (answeredInPart) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (n answeredInPart) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		if commands[0].Name() != "fcall" {
			return err
		}
		for _, command := range commands[n:] {
			command.SetErr(io.EOF)
		}
		return io.EOF
	}
}

// ONCE: of calls whose trip was refused, and then only some of which were answered, each has its own outcome; asked again, the others
// learn that they were booked.
func TestConvoyThatIsAnsweredInPart(t *testing.T) {
	const answered = 3
	f := newConvoyFixture(t)
	f.broken = true
	bad := f.payer("bad")
	refuses := f.reservation(bad, cost(f, "1"))
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(f.ledger.shardOf("bad"), "bad"), "recharge", "damaged").Err())
	var held []*Hold
	for range 5 {
		held = append(held, f.reserve(f.key, cost(f, "1")))
	}
	f.shut()
	f.ledger.client.AddHook(answeredInPart(answered))
	var group sync.WaitGroup
	f.occupy(&group)
	outcomes := make([]error, len(held))
	for i, h := range held {
		call := f.settleCall(settlement(h, cost(f, "1")))
		group.Go(func() { outcomes[i] = f.convoy().send(t.Context(), call) })
		eventually(t, "it waits", func() bool { return f.convoy().queue() == i+1 })
	}
	last := f.reserveCall(refuses)
	group.Go(func() { _ = f.convoy().send(t.Context(), last) })
	eventually(t, "it waits", func() bool { return f.convoy().queue() == len(held)+1 })
	close(f.gate.open)
	group.Wait()
	f.idle()
	for i, h := range held {
		if want := i >= answered; errors.Is(outcomes[i], io.EOF) != want || !want && outcomes[i] != nil {
			t.Errorf("call %d: %v", i, outcomes[i])
		}
		if r := f.settle(h, cost(t, "1")); !r.Repeated {
			t.Errorf("call %d is booked again", i)
		}
	}
	f.balances("acme", "995 0 1")
}
