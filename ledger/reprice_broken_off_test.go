package ledger

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/meter"
)

// A repricing that is broken off has booked some charges, and says how many; run again, it books the others.
func TestRepriceBrokenOff(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range 3 {
		f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	}
	ctx, cancel := context.WithCancel(f.ctx())
	q := Repricing{Account: "acme", Reason: "x"}
	sum, err := f.ledger.Reprice(ctx, q, at(f, "input 1 2"), func(r *Repriced) {
		if r.Left != nil || r.Entry == nil {
			t.Errorf("told %+v", r)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) || sum.Repriced != 1 || sum.After-sum.Before != f.nano("1") {
		t.Errorf("%v, %+v", err, sum)
	}
	f.balances("acme", "6 0 0")
	sum, err = f.ledger.Reprice(f.ctx(), q, at(f, "input 1 2"), func(*Repriced) {})
	if err != nil || sum.Charges != 3 || sum.Repriced != 2 {
		t.Errorf("again: %v, %+v", err, sum)
	}
	f.balances("acme", "4 0 0")
	f.audit()
}

// cancelling is a client's hook: the context of who asks ends with the next command that goes out.
type cancelling struct{ cancel context.CancelFunc }

func (cancelling) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c cancelling) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		c.cancel()
		return next(ctx, command)
	}
}

func (c cancelling) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A charge that is being booked when a repricing is broken off is booked, and counted.
func TestRepriceBrokenOffWhileItBooks(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	for range 2 {
		f.settle(f.reserve(key, charge(f, "input 1 1")), charge(f, "input 1 1"))
	}
	l := f.open(Options{})
	ctx, cancel := context.WithCancel(f.ctx())
	price := at(f, "input 1 2")
	sum, err := l.Reprice(ctx, Repricing{Account: "acme", Reason: "x"}, func(e *Entry) (meter.Charge, error) {
		if ctx.Err() == nil {
			l.client.AddHook(cancelling{cancel})
		}
		return price(e)
	}, func(*Repriced) {})
	if !errors.Is(err, context.Canceled) || sum.Repriced != 1 {
		t.Errorf("%v, %+v", err, sum)
	}
	f.balances("acme", "7 0 0")
}
