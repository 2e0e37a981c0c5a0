package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// A question is about what another call has made upstream: how its task has ended (poll.go), or the
// answer of it that is kept there (kept.go). It holds nothing, and costs nothing by itself.

// question begins one: a call that has no hold to be resolved.
func (p *Proxy) question(w http.ResponseWriter, r *http.Request, e *meter.Endpoint) *call {
	c := &call{
		proxy: p, client: client{w: w, control: *http.NewResponseController(w)}, r: r, endpoint: e,
		id: ledger.NewRequestID(), at: time.Now(), routing: p.routing.Load(), detached: context.WithoutCancel(r.Context()),
	}
	c.resolved.Store(true)
	return c
}

// endQuestion is the one way out of a question.
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

// passAlong passes an answer that costs nothing on as it comes, after what has been read of it.
func (c *call) passAlong(left *ledger.Standing, begun []byte) {
	c.ending = "kept_answer"
	if c.answer.StatusCode >= http.StatusMultipleChoices {
		c.refused = errUpstreamsOwn(c.answer.StatusCode)
	}
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	writeNoCharge(h, c.currency(), left)
	c.client.w.WriteHeader(c.answer.StatusCode)
	c.client.put(begun)
	buffers := c.proxy.buffers.Get().(*streamBuffers)
	defer c.proxy.buffers.Put(buffers)
	for {
		c.restartSilence(c.upstream.Timeout)
		n, err := c.answer.Body.Read(buffers.in[:])
		c.silence.stop()
		switch {
		case !c.client.write(buffers.in[:n]), errors.Is(err, io.EOF):
			return
		case err != nil:
			c.blame(err)
			panic(http.ErrAbortHandler) // the client must not take the part for the whole
		}
	}
}

// mayBeForeign reports whether what the account has not made may be asked for at an upstream whose objects
// are anybody's: there is one, and it is no task of another account's, who has to pay for it.
func (c *call) mayBeForeign(id string) bool {
	if !c.anyShared() || !ledger.ValidObjectID(id) {
		return false
	}
	somebodys, err := c.isSomebodysTask(id)
	return err == nil && !somebodys
}

// isSomebodysTask reports whether any account has a task of that id, whose end has to be paid for.
func (c *call) isSomebodysTask(id string) (bool, error) {
	ctx, cancel := c.briefly()
	defer cancel()
	return c.proxy.ledger.TaskIsSomebodys(ctx, id)
}

// anyShared reports whether there is an upstream whose objects are anybody's.
func (c *call) anyShared() bool { return slices.ContainsFunc(c.routing.upstreams, c.isShared) }

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
