package ledger

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Two round trips a request, whatever it carries: one to admit, one to settle.
func TestOneRoundTripEach(t *testing.T) {
	var mu sync.Mutex
	observed := []string{}
	f := newFixture(t, Options{Observe: func(op string, took time.Duration, err error) {
		mu.Lock()
		defer mu.Unlock()
		if took <= 0 || err != nil {
			t.Errorf("observed %s: %s, %v", op, took, err)
		}
		observed = append(observed, op)
	}})
	f.account("acme", "10", "10", AccountOptions{})
	for range 20 {
		f.grant(Grant{Account: "acme", Quantity: 10})
	}
	key := f.key("acme", KeyLimits{RPM: 100, TPM: 100_000, SpendDaily: f.nano("9")})
	count := new(commandCount)
	f.ledger.client.AddHook(count)
	observed = nil

	quote := charge(f, "input 150 2/1M", "output 100 8/1M", "image 2 0.06")
	hold := f.reserve(key, quote)
	count.are(t, "fcall")
	f.settle(hold, quote)
	count.are(t, "fcall")
	hold = f.reserve(key, quote)
	count.are(t, "fcall")
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, quote)}))
	count.are(t, "fcall")
	f.release(hold)
	count.are(t, "fcall")
	_ = f.refused(key, cost(f, "100"))
	count.are(t, "fcall")
	_, err := f.ledger.Authenticate(f.ctx(), key, netip.Addr{}) // of a long body, before the rest of it is taken
	f.must(err)
	count.are(t, "fcall")
	hold = f.reserve(key, quote)
	count.are(t, "fcall")
	f.park(hold, anyTask, quote)
	count.are(t, "fcall")
	_, err = f.find(key, anyTask)
	f.must(err)
	count.are(t, "fcall")
	f.settle(hold, quote)
	count.are(t, "fcall")
	if want := []string{"reserve", "settle", "reserve", "extend", "release", "reserve", "authenticate", "reserve", "park", "object", "settle"}; !slices.Equal(observed, want) {
		t.Errorf("observed %v, want %v", observed, want)
	}
}

func TestObserveIsToldOfErrors(t *testing.T) {
	var told error
	f := newFixture(t, Options{Observe: func(_ string, _ time.Duration, err error) { told = err }})
	f.broken = true
	f.account("acme", "10", "10", AccountOptions{})
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	_, err := f.ledger.Account(f.ctx(), "acme")
	if !errors.Is(told, ErrUnavailable) || !errors.Is(err, ErrUnavailable) {
		t.Errorf("told %v, returned %v", told, err)
	}
}

// commandCount keeps the names of the commands that go to Redis.
type commandCount struct {
	mu    sync.Mutex
	names []string
}

func (c *commandCount) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandCount) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.mu.Lock()
		c.names = append(c.names, cmd.Name())
		c.mu.Unlock()
		return next(ctx, cmd)
	}
}

func (c *commandCount) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.mu.Lock()
		c.names = append(c.names, "pipeline")
		c.mu.Unlock()
		return next(ctx, cmds)
	}
}

// are checks what has been sent since the last time.
func (c *commandCount) are(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.names, want) {
		t.Errorf("sent %v, want %v", c.names, want)
	}
	c.names = nil
}
