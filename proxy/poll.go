package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// A poll asks how a task has ended. It costs nothing by itself: the task does,
// once, by the terms of the call that brought it, when its end is first told.

// servePoll is the path of one question: find the task among the account's, ask the
// upstream that has it, and book before an end is told.
func (p *Proxy) servePoll(w http.ResponseWriter, r *http.Request) {
	c := &call{
		proxy: p, client: client{w: w, control: *http.NewResponseController(w)}, r: r, endpoint: meter.TaskPoll(),
		id: ledger.NewRequestID(), at: time.Now(), routing: p.routing.Load(), detached: context.WithoutCancel(r.Context()),
	}
	c.resolved.Store(true) // it holds nothing
	defer c.endPoll()
	id := r.PathValue("id")
	found, err := c.findTask(id)
	if errors.Is(err, ledger.ErrNotFound) && c.pollShared(id) {
		return
	}
	var made *madeTask
	if err == nil {
		made, err = p.recall(found, c.credential.Account, c.routing)
	}
	if err != nil {
		c.trouble = err
		c.refuse(c.pollError(err))
		return
	}
	c.taskOf, c.request = made.id, made.request
	c.costInBody = found.Standing.ReceiptInBody || r.Header.Get("X-Tollgate-Receipt") == "body"
	if c.ask(made.upstream) {
		c.passEnd(made, found)
	}
}

// endPoll is the one way out of a poll.
func (c *call) endPoll() {
	c.cut.now(errCallOver)
	c.proxy.inFlight.remove(c)
	if c.answer != nil {
		_ = c.answer.Body.Close()
	}
	c.report()
	c.recycle()
}

// findTask is the account's task, if the credential may come in.
func (c *call) findTask(id string) (*ledger.FoundTask, error) {
	var known bool
	if c.credential, known = credential(c.r, c.endpoint.API); !known {
		return nil, errNoKey()
	}
	if c.proxy.draining.Load() {
		return nil, errDraining()
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), ledgerPatience)
	defer cancel()
	if !ledger.ValidObjectID(id) {
		if _, err := c.authenticate(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: it is no task's id", ledger.ErrNotFound)
	}
	return c.proxy.ledger.FindTask(ctx, c.credential, clientAddr(c.r), id)
}

func (c *call) pollError(err error) *apiError {
	if errors.Is(err, ledger.ErrNotFound) {
		return errNoTask()
	}
	return c.asAPIError(err)
}

// ask sends the question to an upstream. False: there is no answer of it to be passed on, and
// the client has been told why.
func (c *call) ask(u candidate) bool {
	c.proxy.inFlight.add(c, c.proxy.patrol)
	if c.proxy.aborted.Load() {
		c.cut.now(errShutdown)
	}
	c.upstream, c.attempts = u, c.attempts+1
	c.restartSilence(u.Timeout)
	header := make(http.Header, len(c.r.Header)+2)
	passHeaders(header, c.r.Header, fromClient)
	u.prepare(header)
	path := strings.TrimPrefix(strings.TrimPrefix(c.r.URL.Path, prefixes[0]), prefixes[1])
	response, err := asAnswer(c.proxy.transport.send(&http.Request{Method: http.MethodGet, URL: u.url(path, upstreamQuery(c.r, c.endpoint)), Header: header}, nil, &c.cut))
	if err == nil {
		c.proxy.metrics.attempt(u.Name, statusClass(response.StatusCode))
		c.answer, c.firstByte = response, time.Since(c.at)
		err = decode(response)
	} else {
		c.proxy.metrics.attempt(u.Name, "error")
	}
	if err != nil {
		c.blame(err)
		c.refuse(c.noAnswer(err))
		return false
	}
	return true
}

// noAnswer is why there is no answer, or not all of it.
func (c *call) noAnswer(err error) *apiError {
	var ours *apiError
	switch cause := c.cut.cause(); {
	case errors.As(err, &ours):
		return ours
	case errors.Is(cause, errUpstreamTimeout):
		return errUpstreamSlow()
	case errors.Is(cause, errShutdown):
		return errDraining()
	case errors.Is(err, errTooLong):
		return errUpstreamAway(err.Error())
	}
	return errUpstreamAway(reason(err))
}

// passEnd passes on what the upstream says of the task. What it has brought goes out when it is booked.
func (c *call) passEnd(made *madeTask, found *ledger.FoundTask) {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	tap := c.startTap(made.request)
	if err := c.keepBounded(answer); err != nil {
		c.blame(err)
		c.refuse(c.noAnswer(err))
		return
	}
	standing := &found.Standing
	_, state := tap.Task()
	switch {
	case c.answer.StatusCode >= http.StatusMultipleChoices:
		c.refused = &apiError{status: c.answer.StatusCode, code: codeUpstreamError, message: "the upstream's own error"}
	case state == meter.TaskFailed:
		switch now, err := c.proxy.ledger.Release(c.detached, made.hold.Account, made.id); {
		case err == nil:
			standing = now
		case errors.Is(err, ledger.ErrUnavailable): // who knows that it has failed asks no more, and the sweeper charges it
			c.trouble = err
			c.refuse(c.asAPIError(err))
			return
		}
		c.ending = "task_failed"
	case state == meter.TaskDone:
		c.bookTask(made, found, *answer)
		return
	case state == meter.TaskUntold: // it may be the end, in a form in which nobody can bill it
		err := errors.New("its answer does not tell how far the task is")
		c.trouble = err
		c.refuse(errUpstreamAway(err.Error()))
		return
	default:
		c.ending = "task_running"
	}
	c.sendFree(*answer, standing)
}

// bookTask books what the task has used, once, and sends the end with the receipt of that.
func (c *call) bookTask(made *madeTask, found *ledger.FoundTask, body []byte) {
	c.hold = made.hold
	usage := c.tap.usage()
	made.learnExcess(&usage)
	err := c.book(made.settlement(usage))
	if errors.Is(err, ledger.ErrConflict) { // other prices may hold by now, or the upstream may tell other usage
		err = c.bookedBefore(found)
	}
	if err != nil {
		c.withhold()
		return
	}
	c.sendWhole(body)
	if c.receipt.Repeated {
		c.receipt, c.ending = nil, "task_told_again"
	}
}

// bookedBefore finds the receipt of a task that has been charged.
func (c *call) bookedBefore(found *ledger.FoundTask) error {
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

// pollShared asks those upstreams whose objects are anybody's for a task that nobody has made here, in turn,
// and passes on the answer of the first that knows it. False: there are none.
func (c *call) pollShared(id string) bool {
	var shared []candidate
	for _, u := range c.routing.upstreams {
		if u.SharedObjects && u.speaks(c.endpoint.API) {
			shared = append(shared, candidate{upstream: u})
		}
	}
	if len(shared) == 0 || !ledger.ValidObjectID(id) {
		return false
	}
	if somebodys, err := c.proxy.ledger.TaskIsSomebodys(c.detached, id); err != nil || somebodys {
		return false
	}
	for i, u := range shared {
		if c.answer != nil {
			discard(c.answer)
			c.answer = nil
		}
		if !c.ask(u) {
			return true
		}
		if c.answer.StatusCode < http.StatusBadRequest || i == len(shared)-1 {
			break
		}
	}
	c.passForeign()
	return true
}

// passForeign passes on what is said of a task that was made elsewhere.
func (c *call) passForeign() {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	c.startTap(meter.ForeignTask())
	if err := c.keepBounded(answer); err != nil {
		c.blame(err)
		c.refuse(c.noAnswer(err))
		return
	}
	c.ending = "task_of_others"
	c.sendFree(*answer, nil)
}
