package proxy

import (
	"testing"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/meter"
)

// panics runs what must panic.
func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: there was no panic", what)
		}
	}()
	f()
}

// idleProxy is a proxy that serves nobody.
func idleProxy() *Proxy {
	p := &Proxy{log: zap.NewNop(), metrics: NewMetrics(nil)}
	p.inFlight.calls = make(map[*call]struct{})
	return p
}

// brokenCall has a tap that nobody has set up, so that all that it is asked for panics.
func brokenCall(p *Proxy) *call {
	c := &call{proxy: p, upstream: candidate{upstream: &upstream{}}}
	c.tap.set(new(meter.Tap))
	c.client.delivered.Store(true)
	p.inFlight.calls[c] = struct{}{}
	return c
}

// A fault in the tap must not keep those waiting who come after it: the end of
// the call, and the heartbeat of all.
func TestAPanicLeavesNoLock(t *testing.T) {
	for what, f := range map[string]func(*call){
		"Look":       func(c *call) { c.tap.look([]byte("{")) },
		"Pass":       func(c *call) { c.tap.pass(nil, []byte("{")) },
		"usage":      func(c *call) { c.tap.usage() },
		"checkpoint": func(c *call) { c.checkpoint() },
	} {
		c := brokenCall(idleProxy())
		panics(t, what, func() { f(c) })
		if !c.tap.mu.TryLock() {
			t.Errorf("%s: the lock is kept", what)
		}
	}
}

// What panics at its end, too, is in flight no more: nobody would ever take it out.
func TestAPanicAtTheEnd(t *testing.T) {
	p := idleProxy()
	c := brokenCall(p)
	panics(t, "settling without a ledger", c.resolve)
	if p.inFlight.count() != 0 {
		t.Error("the call is still in flight")
	}
}

// What could not be priced is not settled yet: the end of the call still has to see to its hold.
func TestAPanicInPricingLeavesTheHoldToTheEnd(t *testing.T) {
	c := brokenCall(idleProxy())
	panics(t, "settling without prices", func() { _ = c.settle(meter.Usage{}) })
	if c.resolved.Load() {
		t.Error("the hold counts as settled or released, and is neither")
	}
}

func TestOneCallsFaultIsNoOthers(t *testing.T) {
	p := idleProxy()
	for range 10 {
		brokenCall(p)
	}
	visited := 0
	p.eachCall(func(*call) {
		visited++
		panic("for the log")
	})
	if visited != 10 {
		t.Errorf("%d of 10 calls were looked after", visited)
	}
}
