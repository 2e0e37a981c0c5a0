package proxy

import (
	"sync/atomic"
	"time"
)

// patrolEvery is how often calls in flight are looked at.
const patrolEvery = 100 * time.Millisecond

// patrol looks at the calls in flight while there are any: an upstream that is
// silent for too long is cut, a client's leaving is noticed, the drain for one
// that left comes to its end. Timers of each call's own would have to be moved
// at every read.
func (p *Proxy) patrol() {
	now := p.now()
	p.eachCall(func(c *call) { c.check(now) })
	p.inFlight.mu.Lock()
	defer p.inFlight.mu.Unlock()
	if p.inFlight.patrolled = len(p.inFlight.calls) > 0; p.inFlight.patrolled {
		time.AfterFunc(patrolEvery, p.patrol)
	}
}

func (c *call) check(now time.Duration) {
	if !c.client.wrote.Swap(false) { // else writing tells, or the patrol after the last write
		c.hasLeft()
	}
	if c.drain.isOver(now) {
		c.cut.now(errDrainOver)
	}
	if c.silence.isOver(now) {
		c.cut.expire(errUpstreamTimeout)
	}
}

// clientLeft applies the policy for a client that is gone: the upstream is
// drained for a while to learn the true usage, or cut at once.
func (c *call) clientLeft() {
	if c.client.left.Swap(true) {
		return
	}
	if c.proxy.policy.OnDisconnect == DisconnectCancel {
		c.cut.now(errClientLeft)
		return
	}
	c.drain.run(c.proxy.now(), c.proxy.policy.Drain)
}

// hasLeft reports whether the client is gone, were it just now.
func (c *call) hasLeft() bool {
	if !c.client.left.Load() && c.client.isGone(c.r) {
		c.clientLeft()
	}
	return c.client.left.Load()
}

// now is the time on the proxy's own clock, which nobody sets.
func (p *Proxy) now() time.Duration { return time.Since(p.began) }

// A term is a time on the proxy's clock until which something may last; zero: none runs.
type term struct{ until atomic.Int64 }

func (t *term) run(from, lasting time.Duration) { t.until.Store(int64(from + lasting)) }
func (t *term) stop()                           { t.until.Store(0) }

func (t *term) isOver(now time.Duration) bool {
	until := t.until.Load()
	return until != 0 && int64(now) > until
}
