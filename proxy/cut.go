package proxy

import (
	"errors"
	"sync"
)

// cut ends the upstream's work for a call, once and with a cause. It does what a context
// with a cause would do for one piece of work at a time, without allocating anything for
// each call.
type cut struct {
	mu   sync.Mutex
	err  error       // why it was cut
	work interrupter // what is to be interrupted, if anything
}

// Why a call's upstream was cut: what cut.now is told.
var (
	errUpstreamTimeout = errors.New("the upstream was silent for too long")
	errClientLeft      = errors.New("the client left")
	errDrainOver       = errors.New("the client left and the drain time is over")
	errShutdown        = errors.New("the proxy is shutting down")
	errCallOver        = errors.New("the call is over")
)

// An interrupter is work that can be told to return at once.
type interrupter interface{ interrupt() }

type interruptFunc func()

func (f interruptFunc) interrupt() { f() }

// dialing is the making of a connection, over which nothing has gone yet.
type dialing struct{ interruptFunc }

// now cuts. The first cause stays.
func (c *cut) now(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = cause
	if c.work != nil {
		c.work.interrupt()
	}
}

// expire ends work that takes too long. It cuts the call, unless the work is a connection
// that is still being made: only that ends, and the call may go to another upstream.
func (c *cut) expire(cause error) {
	if !c.giveUpDialing() {
		c.now(cause)
	}
}

func (c *cut) giveUpDialing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, is := c.work.(dialing)
	if is = is && c.err == nil; is {
		d.interrupt()
	}
	return is
}

// cause is why it was cut, or nil.
func (c *cut) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// begin puts work under the cut until its end. What is cut already does not
// begin: the cause is returned.
func (c *cut) begin(w interrupter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.work = w
	}
	return c.err
}

// end takes the work out again: from now on nothing interrupts it. False says
// that it has been interrupted.
func (c *cut) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work = nil
	return c.err == nil
}
