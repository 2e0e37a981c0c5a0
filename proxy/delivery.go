package proxy

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/meter"
)

const (
	readSize = 16 << 10
	// lookSize is how much of an answer that is kept is read at a time: little
	// enough to be in the processor's cache still when the tap looks at it.
	lookSize = 64 << 10
	// flowSize is from which size on a part of an answer that flows goes out: all of it but what the tap keeps back.
	flowSize = meter.MaxHeld + readSize
	// donePatience bounds the wait for the end of a stream's connection after its [DONE].
	donePatience = time.Second
)

// streamBuffers are what a piece of a stream is read into, and what of it goes out.
type streamBuffers struct {
	in  [readSize]byte
	out []byte
}

// keep reads an answer that is no stream to its end. One that is larger than the
// bound flows: it is passed on as it comes, and its end alone is kept.
func (c *call) keep(answer *[]byte) error {
	kept, bound := (*answer)[:0], c.proxy.policy.MaxKept
	defer func() { *answer = kept }()
	if c.answer.ContentLength > int64(bound) {
		bound = min(bound, flowSize) // there is no use in waiting
	}
	for {
		if len(kept) > bound {
			kept, bound = c.flow(kept), flowSize
		}
		if len(kept) == cap(kept) {
			kept = slices.Grow(kept, c.growth(len(kept)))
		}
		n, err := c.read(kept[len(kept):min(cap(kept), len(kept)+lookSize)])
		c.tap.look(kept[len(kept) : len(kept)+n])
		kept = kept[:len(kept)+n]
		switch {
		case errors.Is(err, io.EOF):
			return c.tap.atEnd()
		case err != nil:
			return err
		}
	}
}

// flow passes on what was kept of an answer, but for its end, and returns that,
// moved to where the answer began.
func (c *call) flow(kept []byte) (end []byte) {
	if !c.streaming {
		c.sendHead()
	}
	free := max(0, len(kept)-meter.MaxHeld)
	c.write(kept[:free])
	return kept[:copy(kept, kept[free:])]
}

// growth is how much more memory an answer gets: for what its head says is to
// come, if it says so and is kept, else as much as it has.
func (c *call) growth(have int) int {
	if length := c.answer.ContentLength; length <= int64(c.proxy.policy.MaxKept) && int64(have) < length {
		return int(length) - have + 1 // room to see the end without growing
	}
	return max(have, readSize)
}

// read reads on in an answer that is kept. A client that takes its time between
// two reads is not the upstream's silence.
func (c *call) read(p []byte) (int, error) {
	c.restartSilence(c.upstream.Timeout)
	defer c.silence.stop()
	return c.answer.Body.Read(p)
}

// pump passes a stream on to its end, but for what the tap keeps back.
func (c *call) pump() error {
	for {
		err := c.pass()
		c.client.flushHead() // all that came with it is withheld
		switch {
		case errors.Is(err, io.EOF):
			return c.tap.atEnd()
		case err == nil:
		case c.done:
			return nil // how the connection ends is no matter of the answer's
		default:
			return err
		}
	}
}

// pass waits for the next bytes of a stream and passes them on. Buffers are
// taken when there is something to put into them: most streams wait.
func (c *call) pass() error {
	c.restartSilence(c.patience())
	await(c.answer.Body)
	buffers := c.proxy.buffers.Get().(*streamBuffers)
	defer c.proxy.buffers.Put(buffers)
	n, err := c.answer.Body.Read(buffers.in[:])
	c.silence.stop()
	buffers.out, c.done = c.tap.pass(buffers.out[:0], buffers.in[:n])
	c.write(buffers.out)
	return err
}

// patience is how long the upstream may say nothing now. Its client waits for
// the end of a stream that is done: the end of the connection is not waited for long.
func (c *call) patience() time.Duration {
	if c.done {
		return min(c.upstream.Timeout, donePatience)
	}
	return c.upstream.Timeout
}

// write sends bytes to the client at once.
func (c *call) write(p []byte) {
	if !c.client.write(p) {
		c.clientLeft()
	}
}

// sendHead sends the head of an answer whose cost is not known yet: what is
// held stands in it, the receipt follows in trailers. It goes out at once, or
// with the first bytes of the body if those came with it from the upstream.
func (c *call) sendHead() {
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id)
	h.Del("Content-Length")
	writeHold(h, c.hold)
	c.streaming = true
	c.client.w.WriteHeader(c.answer.StatusCode)
	c.answer.Header = nil // it is not to live as long as its stream
	c.client.headWaits = true
	if !isHere(c.answer.Body) {
		c.client.flushHead()
	}
}

// sendEnd sends the withheld end of a stream, with its receipt in the trailers.
func (c *call) sendEnd() {
	var cost []byte
	if c.costInBody {
		cost = costMembers(c.currency(), c.receipt, c.feeIsCertain())
	}
	if !c.client.put(c.tap.end(cost)) { // it goes out with the trailers
		c.clientLeft()
	}
	c.writeReceipt(c.client.w.Header()) // announced as trailers
}

// sendWhole sends a JSON answer with its receipt in the headers.
func (c *call) sendWhole(body []byte) {
	if c.costInBody {
		body = meter.PatchCost(body, costMembers(c.currency(), c.receipt, c.feeIsCertain()))
	}
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id)
	c.writeReceipt(h)
	c.sendBody(body)
}

// sendBody sends an answer that is there as a whole, and whose headers are set.
func (c *call) sendBody(body []byte) {
	c.client.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.client.w.WriteHeader(c.answer.StatusCode)
	_, _ = c.client.w.Write(body)
}
