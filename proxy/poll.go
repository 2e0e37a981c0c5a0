package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// tellTask asks the upstream that has the task, and books before an end is told: wherever that is, even if the question is
// another, and mustTell is false.
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

// question is a call that holds nothing: it asks for what another has made.
func (p *Proxy) question(w http.ResponseWriter, r *http.Request, e *meter.Endpoint) *call {
	c := &call{
		proxy: p, client: client{w: w, control: *http.NewResponseController(w)}, r: r, endpoint: e,
		id: ledger.NewRequestID(), at: time.Now(), routing: p.routing.Load(), detached: context.WithoutCancel(r.Context()),
	}
	c.resolved.Store(true)
	return c
}

// endQuestion is the one way out of it.
func (c *call) endQuestion() {
	c.cut.now(errCallOver)
	c.proxy.inFlight.remove(c)
	if c.answer != nil {
		_ = c.answer.Body.Close()
	}
	c.report()
	c.recycle()
}

// findObject is what the account has made of that id, if the credential may come in.
func (c *call) findObject(id string) (*ledger.FoundObject, error) {
	if err := c.mayAsk(); err != nil {
		return nil, err
	}
	ctx, cancel := c.briefly()
	defer cancel()
	return c.proxy.ledger.FindObject(ctx, c.credential, clientAddr(c.r), id)
}

// mayAsk takes the client's credential, which the ledger has yet to see.
func (c *call) mayAsk() error {
	var known bool
	if c.credential, known = credential(c.r, c.endpoint.API); !known {
		return errNoKey()
	}
	if c.proxy.draining.Load() {
		return errDraining()
	}
	return nil
}

func (c *call) notFound(err error, what string) *apiError {
	if errors.Is(err, ledger.ErrNotFound) {
		return errNotMade(what)
	}
	return c.asAPIError(err)
}

// ask sends the question to an upstream, which answers by its own means. False: there is no answer of
// it to be passed on, and the client has been told why.
func (c *call) ask(u candidate) bool {
	c.proxy.inFlight.add(c, c.proxy.patrol)
	if c.proxy.aborted.Load() {
		c.cut.now(errShutdown)
	}
	c.upstream, c.attempts = u, c.attempts+1
	c.restartSilence(u.Timeout)
	method := c.r.Method
	if method == http.MethodHead { // what is to be told may have to be booked
		method = http.MethodGet
	}
	header := make(http.Header, len(c.r.Header)+2)
	passHeaders(header, c.r.Header, &notToUpstream)
	u.prepare(header)
	path := strings.TrimPrefix(strings.TrimPrefix(c.r.URL.Path, prefixes[0]), prefixes[1])
	response, err := asAnswer(c.proxy.transport.send(&http.Request{Method: method, URL: u.url(path, upstreamQuery(c.r, c.endpoint)), Header: header}, nil, &c.cut))
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
func (c *call) passEnd(made *call, found *ledger.FoundObject, mustTell bool) {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	tap := c.startTap(made.request)
	err := c.keepBounded(answer)
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
		c.refused = &apiError{status: c.answer.StatusCode, code: codeUpstreamError, message: "the upstream's own error"}
		c.sendFree(*answer, &found.Standing)
	case state == meter.TaskUntold && mustTell: // it may be the end, in a form in which nobody can bill it
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
		c.proxy.metrics.unbooked.Inc()
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

// mayBeForeign reports whether what the account has not made may be asked for at an upstream whose objects
// are anybody's: there is one, and it is no task of another account's, who has to pay for it.
func (c *call) mayBeForeign(id string) bool {
	if !slices.ContainsFunc(c.routing.upstreams, c.isShared) || !ledger.ValidObjectID(id) {
		return false
	}
	somebodys, err := c.proxy.ledger.TaskIsSomebodys(c.detached, id)
	return err == nil && !somebodys
}

func (c *call) isShared(u *upstream) bool { return u.SharedObjects && u.speaks(c.endpoint.API) }

// askShared asks the upstreams whose objects are anybody's in turn, until one knows the object. False: there is
// nothing to be passed on, and the client has been told why.
func (c *call) askShared() bool {
	for _, u := range c.routing.upstreams {
		if !c.isShared(u) {
			continue
		}
		if c.answer != nil {
			discard(c.answer)
			c.answer = nil
		}
		if !c.ask(candidate{upstream: u}) {
			return false
		}
		if c.answer.StatusCode < http.StatusBadRequest {
			break
		}
	}
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
