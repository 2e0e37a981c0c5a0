package proxy

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// A poll asks how a task has ended. The task costs, once, by the terms of the call
// that brought it, when its end is first told.

// servePoll is the path of one question: find the task among the account's, ask the
// upstream that has it, and book before an end is told.
func (p *Proxy) servePoll(w http.ResponseWriter, r *http.Request) {
	c := p.question(w, r, meter.TaskPoll())
	defer c.endQuestion()
	id := r.PathValue("id")
	found, err := c.findObject(id)
	if err == nil && found.RequestID == "" {
		err = fmt.Errorf("%w: it is no task", ledger.ErrNotFound)
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound) && c.mayBeForeign(id):
		if c.askShared() {
			c.passForeign()
		}
	case err != nil:
		c.trouble = err
		c.refuse(c.notFound(err, "task"))
	default:
		c.tellTask(found, true)
	}
}

// tellTask asks the upstream that has the task, and books before an end is told, which the answer to any
// question may do. mustTell says that this one is for the task itself: an answer that does not tell how far
// that is may be its end, in a form that nobody can bill.
func (c *call) tellTask(found *ledger.FoundObject, mustTell bool) {
	made, err := c.proxy.recall(found, c.credential.Account, c.routing)
	if err != nil {
		c.trouble = err
		c.refuse(c.asAPIError(err))
		return
	}
	c.taskOf, c.request = made.id, made.request
	c.costInBody = found.Standing.ReceiptInBody || c.r.Header.Get("X-Tollgate-Receipt") == "body"
	if c.ask(made.upstream) {
		c.passEnd(made, found, mustTell)
	}
}

// passEnd passes on what the upstream says of the task. What it has brought goes out when it is booked.
func (c *call) passEnd(made *call, found *ledger.FoundObject, mustTell bool) {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	tap := c.startTap(made.request)
	err := c.gatherWhole(answer)
	_, state := tap.Task()
	failed := c.answer.StatusCode >= http.StatusMultipleChoices
	switch {
	case errors.Is(err, errTooLong) && state == meter.TaskUntold && !mustTell: // what went in may be as long as a request
		c.passAlong(&found.Standing, *answer)
	case err != nil:
		c.blame(err)
		c.refuse(c.noAnswer(err))
	case state == meter.TaskDone && (tap.Reported() || !failed):
		c.bookTask(made, found, *answer)
	case failed:
		c.refused = errUpstreamsOwn(c.answer.StatusCode)
		c.sendFree(*answer, &found.Standing)
	case state == meter.TaskUntold && mustTell:
		c.trouble = errors.New("its answer does not tell how far the task is")
		c.refuse(errUpstreamAway(c.trouble.Error()))
	default:
		c.passNews(made, found, state, *answer)
	}
}

// passNews passes on what is told of a task that has nothing to be booked, or not yet.
func (c *call) passNews(made *call, found *ledger.FoundObject, state meter.TaskState, body []byte) {
	left := &found.Standing
	var err error
	switch state {
	case meter.TaskUntold:
		c.ending = "kept_answer"
	case meter.TaskFailed:
		c.ending = "task_failed"
		var now *ledger.Standing
		switch now, err = c.proxy.ledger.Release(c.detached, made.hold.Account, made.id); {
		case err == nil:
			left = now
		case !errors.Is(err, ledger.ErrUnavailable): // it has ended otherwise, and this is told again
			err = nil
		} // else who has been told that it has failed would ask no more, and the sweeper would charge it
	default:
		c.ending = "task_running"
		if c.tap.brought() {
			err = c.bookIfLeft(made, found)
		}
	}
	if err != nil {
		c.trouble = err
		c.refuse(c.asAPIError(err))
		return
	}
	c.sendFree(body, left)
}

// bookIfLeft lets the part that is told of a task before its end be what is charged if nobody asks on.
func (c *call) bookIfLeft(made *call, found *ledger.FoundObject) error {
	part := ledger.Task{
		Checkpoint: ledger.Checkpoint{Settlement: made.settlement(c.tap.usageOfPart())}, ID: c.r.PathValue("id"), Memory: found.Memory,
	}
	return insist(func() error { return c.proxy.ledger.Park(c.detached, part) })
}

// bookTask books what the task has used, once, and sends the end with the receipt of that.
func (c *call) bookTask(made *call, found *ledger.FoundObject, body []byte) {
	c.hold, c.whole = made.hold, true
	usage := c.tap.usage()
	made.learnExcess(&usage)
	settlement := made.settlement(usage)
	settlement.Made = c.made(&usage)
	err := c.book(settlement)
	if errors.Is(err, ledger.ErrConflict) { // other prices may hold by now, or the upstream may tell other usage
		err = c.bookedBefore(found)
	}
	if err != nil {
		c.unbooked()
		c.withhold()
		return
	}
	c.sendWhole(body)
	if c.receipt.Repeated {
		c.receipt, c.ending = nil, "task_told_again"
	}
}

// bookedBefore finds the receipt of a task that has been charged.
func (c *call) bookedBefore(found *ledger.FoundObject) error {
	receipt, err := c.proxy.ledger.Receipt(c.detached, c.credential.Account, found.RequestID)
	if err != nil {
		return err
	}
	if receipt.Type != ledger.TypeCharge {
		return fmt.Errorf("%w: request %s has ended otherwise", ledger.ErrConflict, found.RequestID)
	}
	receipt.Standing, receipt.Repeated = found.Standing, true
	c.receipt, c.trouble = receipt, nil
	return nil
}

// passForeign passes on what is said of a task that was made elsewhere.
func (c *call) passForeign() {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	c.startTap(meter.ForeignTask())
	if err := c.gatherWhole(answer); err != nil {
		c.blame(err)
		c.refuse(c.noAnswer(err))
		return
	}
	c.ending = "task_of_others"
	c.sendFree(*answer, nil)
}
