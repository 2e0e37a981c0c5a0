package proxy

import (
	"encoding/json"
	"errors"
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
	// Quote is what was held for.
	Quote meter.Charge `json:"q"`
	// Prices are those of then; nil, where they are too long: it is priced by those of its end.
	Prices *meter.KeptPrices `json:"r,omitempty"`
	// HasPacks says that packs may pay.
	HasPacks bool `json:"p,omitempty"`
}

// passTask parks the hold of a call that has brought a task, and passes its answer on.
func (c *call) passTask() {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	c.startTap(c.request)
	err := c.gatherWhole(answer)
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

// passForNothing passes on what costs nothing.
func (c *call) passForNothing(ending string, body []byte) {
	c.ending = ending
	c.sendFree(body, c.release())
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
		writeHold(h, c.hold) // and nothing more: no trailer will tell the cost
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
		c.unbooked()
	}
	return err
}

// remember is what is kept of the call.
func (c *call) remember() (string, error) {
	kept := c.routing.book.Keep(c.priceQuery(c.upstream.Name))
	memory := taskMemory{
		Upstream: c.upstream.Name, AtMS: c.at.UnixMilli(), Terms: c.request.Terms(), Quote: c.quote, Prices: &kept,
		HasPacks: c.hold.Standing.HasPacks,
	}
	text, err := json.Marshal(memory)
	if len(text) > ledger.MaxTaskMemory {
		memory.Prices = nil
		text, err = json.Marshal(memory)
	}
	return string(text), err
}

// recall makes the call that brought a task anew, as far as it is needed to book the task.
func (p *Proxy) recall(found *ledger.FoundObject, account string, r *routing) (*call, error) {
	var memory taskMemory
	if err := json.Unmarshal([]byte(found.Memory), &memory); err != nil {
		return nil, err
	}
	request, err := memory.Terms.Recall()
	if err != nil {
		return nil, err
	}
	made := &call{
		proxy: p, id: found.RequestID, at: time.UnixMilli(memory.AtMS), endpoint: request.Endpoint, routing: r, request: request, quote: memory.Quote,
		hold: &ledger.Hold{ID: found.RequestID, Account: account, Key: found.Key, Standing: ledger.Standing{HasPacks: memory.HasPacks}},
	}
	if made.upstream = (candidate{r.byName(memory.Upstream), request.Model}); made.upstream.upstream == nil {
		return nil, errUpstreamAway("the one that has this task is not among those of this gateway any more")
	}
	if memory.Prices != nil {
		book, err := r.book.Recall(memory.Prices)
		if err != nil {
			return nil, err
		}
		then := *r
		then.book, made.routing = book, &then
	}
	return made, nil
}
