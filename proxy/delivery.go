package proxy

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

const (
	readSize = 16 << 10
	// lookSize is how much of an answer that is gathered is read at a time: little
	// enough to be in the processor's cache still when the tap looks at it.
	lookSize = 64 << 10
	// flowSize is how much of an answer that flows is in memory at most. With more, what
	// has just been read goes out of the processor's cache before it is sent.
	flowSize = 64 << 10
	// endSize is how much of its end is held back meanwhile: the usage stands there.
	endSize = 4 << 10
	// donePatience bounds the wait for the end of a stream's connection after its
	// [DONE], for which its client waits.
	donePatience = time.Second
)

// streamBuffers are what a piece of a stream is read into, and what of it goes out.
type streamBuffers struct {
	in  [readSize]byte
	out []byte
}

// gather reads an answer that is no stream to its end, before anything of it goes out. One that is larger
// than the bound flows from there on, or from its beginning if its head says so.
func (c *call) gather(answer *[]byte) (err error) {
	body, bound := (*answer)[:0], c.proxy.policy.MaxKept
	defer func() { *answer = body }()
	for err == nil && len(body) <= bound && c.answer.ContentLength <= int64(bound) {
		if len(body) == cap(body) {
			body = slices.Grow(body, c.growth(len(body)))
		}
		body, err = c.readOn(body, cap(body))
	}
	if err == nil {
		body, err = c.flow(body)
	}
	if errors.Is(err, io.EOF) {
		return c.tap.atEnd()
	}
	return err
}

var errTooLong = errors.New("its answer is too large")

// gatherWhole reads an answer of which nothing may go out before it is booked: a larger one fails.
func (c *call) gatherWhole(answer *[]byte) error {
	body, bound := (*answer)[:0], c.proxy.policy.MaxKept
	defer func() { *answer = body }()
	for {
		if len(body) > bound {
			return errTooLong
		}
		if len(body) == cap(body) {
			body = slices.Grow(body, c.growth(len(body)))
		}
		var err error
		switch body, err = c.readOn(body, cap(body)); {
		case errors.Is(err, io.EOF):
			return c.tap.atEnd()
		case err != nil:
			return err
		}
	}
}

// flow passes on an answer as it comes, and what was gathered of it before. What it returns is
// the end, which it holds back.
func (c *call) flow(body []byte) ([]byte, error) {
	body = slices.Grow(body, max(0, flowSize-len(body)))
	for {
		if free := len(body) - endSize; free >= readSize {
			if !c.streaming {
				c.sendHead()
			}
			c.write(body[:free])
			body = body[:copy(body, body[free:])]
		}
		var err error
		if body, err = c.readOn(body, flowSize); err != nil {
			return body, err
		}
	}
}

// readOn reads one more piece of an answer, up to most bytes in memory. The time that a
// slow client takes between two reads does not count as the upstream's silence.
func (c *call) readOn(body []byte, most int) ([]byte, error) {
	c.restartSilence(c.upstream.Timeout)
	defer c.silence.stop()
	n, err := c.answer.Body.Read(body[len(body):min(most, len(body)+lookSize)])
	c.tap.look(body[len(body) : len(body)+n])
	return body[:len(body)+n], err
}

// growth is how much more memory an answer gets: as much as its head announces, if it is
// gathered; else as much again as it has, up to the bound.
func (c *call) growth(have int) int {
	most := c.proxy.policy.MaxKept
	if length := c.answer.ContentLength; length <= int64(most) && int64(have) < length {
		return int(length) - have + 1 // room to see the end without growing
	}
	return min(max(have, readSize), max(most-have, lookSize))
}

// pump passes a stream on to its end, but for what the tap keeps back.
func (c *call) pump() error {
	defer c.silence.stop()
	for {
		err := c.pass()
		c.client.flushHead() // all that came with it is withheld
		switch {
		case err == nil:
		case c.done: // how the connection ends after that does not matter
			return nil
		case errors.Is(err, io.EOF):
			return c.tap.atEnd()
		default:
			return err
		}
	}
}

// pass waits for the next bytes of a stream and passes them on. Buffers are
// taken when there is something to put into them: most streams wait.
func (c *call) pass() error {
	if !c.done {
		c.restartSilence(c.upstream.Timeout)
	}
	await(c.answer.Body)
	buffers := c.proxy.buffers.Get().(*streamBuffers)
	defer c.proxy.buffers.Put(buffers)
	n, err := c.answer.Body.Read(buffers.in[:])
	before := c.done
	buffers.out, c.done = c.tap.pass(buffers.out[:0], buffers.in[:n])
	switch {
	case !c.done:
		c.silence.stop()
	case !before:
		c.restartSilence(min(c.upstream.Timeout, donePatience)) // once: pings may follow for ever
	}
	c.write(buffers.out)
	return err
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
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	h.Del("Content-Length")
	writeHold(h, c.hold)
	h["Trailer"] = announcement
	c.streaming = true
	c.client.w.WriteHeader(c.answer.StatusCode)
	c.answer.Header = nil // it need not live as long as its stream
	c.client.headWaits = true
	if !isHere(c.answer.Body) {
		c.client.flushHead()
	}
}

// sendEnd sends the withheld end of a stream, with its receipt in the trailers.
func (c *call) sendEnd() {
	if !c.client.put(c.tap.end(c.costMembers())) { // it goes out with the trailers
		c.clientLeft()
	}
	c.writeReceipt(c.client.w.Header()) // announced as trailers
}

// sendWhole sends a JSON answer with its receipt in the headers.
func (c *call) sendWhole(body []byte) {
	body = c.request.PatchCost(body, c.costMembers())
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	c.writeReceipt(h)
	c.sendBody(body)
}

// sendFree sends an answer that costs nothing.
func (c *call) sendFree(body []byte, left *ledger.Standing) {
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	writeNoCharge(h, c.currency(), left)
	c.sendBody(body)
}

// sendBody sends an answer that is there as a whole, and whose headers are set.
func (c *call) sendBody(body []byte) {
	c.client.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	c.client.w.WriteHeader(c.answer.StatusCode)
	_, _ = c.client.w.Write(body)
}
