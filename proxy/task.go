package proxy

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// A task is what some calls bring in place of an answer: the upstream works on, and
// its end is asked for later (poll.go), maybe of another process. The hold stands
// until then.

// taskMemory is what is kept of such a call with the ledger.
type taskMemory struct {
	Upstream string      `json:"u"`
	AtMS     int64       `json:"at"`
	Terms    meter.Terms `json:"t"`
	// Quote is what was held for, Made what the task was to come to if it is made as asked for, by the
	// prices of then.
	Quote meter.Charge `json:"q"`
	Made  meter.Charge `json:"c"`
	// HasPacks says that packs may pay.
	HasPacks bool `json:"p,omitempty"`
}

// passTask parks the hold of a call that has brought a task, and passes its answer on.
func (c *call) passTask() {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	c.startTap(c.request)
	err := c.keepBounded(answer)
	id, state := c.tap.task()
	switch {
	case errors.Is(err, errTooLong):
		c.giveUp(errUpstreamAway(err.Error()))
	case err != nil:
		c.breakOff(err)
	case state == meter.TaskFailed:
		c.passForNothing("task_failed", *answer)
	case !ledger.ValidObjectID(id): // nobody could ask for it: it is billed like any other answer
		c.settleAndSend(*answer)
	default:
		c.parkAndSend(id, state, *answer)
	}
}

// startTap puts a tap in for the answer to a request.
func (c *call) startTap(request *meter.Request) *meter.Tap {
	tap := c.proxy.taps.Get().(*meter.Tap)
	tap.Reset(request, c.answer.Header.Get("Content-Type"))
	c.tap.set(tap)
	return tap
}

var errTooLong = errors.New("its answer is too large")

// keepBounded reads an answer of which nothing may go out before it is booked.
func (c *call) keepBounded(answer *[]byte) error {
	kept, bound := (*answer)[:0], c.proxy.policy.MaxKept
	defer func() { *answer = kept }()
	for {
		if len(kept) > bound {
			return errTooLong
		}
		if len(kept) == cap(kept) {
			kept = slices.Grow(kept, c.growth(len(kept)))
		}
		var err error
		switch kept, err = c.readOn(kept, cap(kept)); {
		case errors.Is(err, io.EOF):
			return c.tap.atEnd()
		case err != nil:
			return err
		}
	}
}

// passForNothing passes on what costs nothing.
func (c *call) passForNothing(ending string, body []byte) {
	c.ending = ending
	c.sendFree(body, c.release())
}

// sendFree sends an answer that costs nothing.
func (c *call) sendFree(body []byte, left *ledger.Standing) {
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	writeNoCharge(h, c.currency(), left)
	c.sendBody(body)
}

// parkAndSend passes on the answer when it is known whose the task is. A task that the account
// has already, of another call, costs nothing again, unless its end came with this one.
func (c *call) parkAndSend(id string, state meter.TaskState, body []byte) {
	switch err := c.park(id); {
	case err != nil && !errors.Is(err, ledger.ErrConflict):
		c.withhold()
	case state == meter.TaskDone:
		c.settleAndSend(body)
	case err != nil:
		c.passForNothing("task_known", body)
	default:
		c.ending = "task"
		h := c.client.w.Header()
		copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
		writeHeld(h, c.hold)
		c.sendBody(body)
	}
}

// park gives the hold to the task. A ledger that is away is tried for a while, as in settle.
func (c *call) park(id string) (err error) {
	memory, err := c.remember() // what fails, or panics, up to here leaves the hold as it is
	if err != nil {
		return err
	}
	task := ledger.Task{Checkpoint: ledger.Checkpoint{Settlement: c.settlement(c.request.Unseen())}, ID: id, Memory: memory}
	c.resolved.Store(true)
	defer c.observeHold()
	err = insist(func() error { return c.proxy.ledger.Park(c.detached, task) })
	if c.trouble = err; err != nil && !errors.Is(err, ledger.ErrConflict) {
		c.proxy.metrics.unbooked.Inc()
	}
	return err
}

func (c *call) remember() (string, error) {
	unseen := c.request.Unseen()
	made, err := c.routing.book.Charge(c.priceQuery(c.upstream.Name), &unseen)
	if err != nil {
		made = c.quote
	}
	text, err := json.Marshal(taskMemory{
		Upstream: c.upstream.Name, AtMS: c.at.UnixMilli(), Terms: c.request.Terms(), Quote: c.quote, Made: made,
		HasPacks: c.hold.Standing.HasPacks,
	})
	return string(text), err
}

// A madeTask is a call whose task is asked for: what is needed to book it.
type madeTask struct {
	call
	unseen meter.Quantities
	made   meter.Charge
}

// recall is the call that a task was found of, as it was when the upstream answered it.
func (p *Proxy) recall(found *ledger.FoundObject, account string, r *routing) (*madeTask, error) {
	var memory taskMemory
	if err := json.Unmarshal([]byte(found.Memory), &memory); err != nil {
		return nil, err
	}
	request, err := memory.Terms.Recall()
	if err != nil {
		return nil, err
	}
	m := &madeTask{call: call{
		proxy: p, id: found.RequestID, at: time.UnixMilli(memory.AtMS), endpoint: request.Endpoint, routing: r, request: request, quote: memory.Quote,
		hold: &ledger.Hold{ID: found.RequestID, Account: account, Key: found.Key, Standing: ledger.Standing{HasPacks: memory.HasPacks}},
	}, unseen: request.Unseen().Quantities, made: memory.Made}
	if m.upstream = (candidate{r.byName(memory.Upstream), request.Model}); m.upstream.upstream == nil {
		return nil, errUpstreamAway("the one that has this task is not among those of this gateway any more")
	}
	return m, nil
}

// settlement is what the task is charged: what it was to come to, if it was made as asked for; a price
// that has changed since is not its price.
func (m *madeTask) settlement(usage meter.Usage) ledger.Settlement {
	s := m.call.settlement(usage)
	if usage.Quantities == m.unseen && m.request.CostsByUnit() && len(usage.ToolCalls)+len(usage.Attributes) == 0 {
		s.Charge = m.made
	}
	return s
}
