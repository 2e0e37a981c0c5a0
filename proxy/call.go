package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// call is one request of a client, from its first byte to its receipt.
type call struct {
	proxy    *Proxy
	client   client
	r        *http.Request
	id       string
	at       time.Time
	endpoint *meter.Endpoint
	// pathModel is the model in the path, if it is there.
	pathModel string
	routing   *routing

	credential ledger.Credential
	body       *[]byte // of the request; used again once the call is over
	request    *meter.Request
	keptBy     string // the upstream that has the answer which the request goes on from
	candidates []candidate
	quote      meter.Charge
	hold       *ledger.Hold
	heldSince  time.Time
	detached   context.Context //nolint:containedctx // the request's values, without its end: the client's leaving stops no booking
	// resolved says that settle, release or park has begun: no other end of the hold may. What the
	// ledger, being away, does not do then is left to its log or to the sweeper.
	resolved atomic.Bool

	upstream candidate
	attempts int
	silence  term // of the upstream
	cut      cut  // ends the upstream's work, with a cause
	sent     bool // the upstream has the whole request
	drain    term // of the answer that the client has left

	answer     *http.Response
	firstByte  time.Duration // until the upstream's head
	tap        sharedTap
	streaming  bool // the head went out before the cost was known
	done       bool // the stream has said that it is at its end
	whole      bool // the answer came to its end
	costInBody bool // and not in headers and trailers alone

	receipt *ledger.Receipt
	refused *apiError
	taskOf  string   // the request whose task is asked for
	ending  string   // how it ended, if neither with a charge nor with a refusal
	trouble error    // why it was refused or not booked, for the log
	lost    bool     // its charge is in neither the ledger nor the settlement log
	faults  []string // of upstreams, for the log
}

// serveCall is the path of one request. Between admit and end exactly one of
// settle, release and park happens, whatever comes in between:
//
//	refuse             not read, not admitted          nothing was held
//	giveUp             no answer                       release; an estimate, if the client left while the upstream worked
//	passUpstreamError  an upstream's own error         release; settle if it reports usage
//	passWhole          an answer read whole            settle, then send it
//	endStream          an answer that has flowed       settle, then send its end
//	passTask           an answer that names a task     park, then send it (task.go)
//	breakOff           an answer that broke off        settle the part that went out; else release
//	withhold           nobody could book it            the hold is left to the log or the sweeper
//	resolve            a panic                         settle what went out; else release
func (p *Proxy) serveCall(w http.ResponseWriter, r *http.Request, e *meter.Endpoint, model string) {
	c := &call{
		proxy: p, client: client{w: w, control: *http.NewResponseController(w)}, r: r, endpoint: e, pathModel: model,
		id: ledger.NewRequestID(), at: time.Now(), routing: p.routing.Load(),
	}
	defer c.end()
	if err := c.readRequest(); err != nil {
		c.trouble = err
		c.refuse(c.hideFromStrangers(err))
		return
	}
	if err := c.admit(); err != nil {
		c.trouble = err
		c.refuse(c.asAPIError(err))
		return
	}
	if err := c.forward(); err != nil {
		c.giveUp(err)
		return
	}
	defer c.answer.Body.Close()
	if c.answer.StatusCode >= http.StatusMultipleChoices {
		c.passUpstreamError()
		return
	}
	c.deliver()
}

// readRequest takes the body in, bounded, and learns from its raw bytes what is asked for.
func (c *call) readRequest() error {
	var known bool
	if c.credential, known = credential(c.r, c.endpoint.API); !known {
		return errNoKey()
	}
	if err := checkQuery(c.r, c.endpoint); err != nil {
		return err
	}
	if c.proxy.draining.Load() {
		return errDraining()
	}
	for _, encoding := range c.r.Header["Content-Encoding"] {
		if encoding != "" && encoding != "identity" {
			return errInvalidRequest("", fmt.Sprintf("The request body is %s-encoded; send it unencoded.", encoding))
		}
	}
	if limit := c.proxy.policy.MaxBody; c.r.ContentLength > limit {
		return errTooLarge(limit) // before it is sent for nothing
	}
	c.body = c.proxy.bodies.Get().(*[]byte)
	if err := c.takeBody(); err != nil {
		if c.proxy.draining.Load() {
			return errDraining() // its time was cut short
		}
		return err
	}
	return c.understand(*c.body)
}

// takeBody reads the body. Past the first MiB it goes on only once the key has been
// checked.
func (c *call) takeBody() error {
	body, length := http.MaxBytesReader(c.client.w, c.r.Body, c.proxy.policy.MaxBody), c.r.ContentLength
	if length >= 0 && length <= strangersBody {
		return readBody(c.body, body, length)
	}
	g := &gate{Reader: body, room: strangersBody, know: func() error {
		_, err := c.authenticate()
		return err
	}}
	err := readBody(c.body, g, length)
	if g.err != nil {
		return g.err
	}
	return err
}

// understand learns from a body what is asked for, who may serve it, and the
// most that it can cost.
func (c *call) understand(body []byte) (err error) {
	c.request, err = c.endpoint.ReadRequest(c.r.Header.Get("Content-Type"), body,
		meter.ReadOptions{Model: c.pathModel, DefaultMaxOutput: c.proxy.policy.DefaultMaxOutput})
	if err != nil {
		return err
	}
	if err = c.goOn(); err != nil {
		return err
	}
	if err = c.findCandidates(); err != nil {
		return err
	}
	for i := range c.candidates {
		c.request.MayBeSentAs(c.candidates[i].model)
		if c.candidates[i].ignoresMaxCompletionTokens() {
			c.request.MayIgnoreMaxCompletionTokens()
		}
	}
	if c.mayExceedLimit() {
		c.request.MayExceedLimit()
	}
	c.quote, err = c.quoteFor(&c.request.Ceiling)
	return err
}

// findCandidates finds those who may serve the call: of what it goes on from, only the one that has it.
func (c *call) findCandidates() error {
	if c.candidates = c.routing.candidatesFor(c.request); len(c.candidates) == 0 {
		return c.routing.errNobody(c.request)
	}
	if c.keptBy == "" {
		return nil
	}
	c.candidates = slices.DeleteFunc(c.candidates, func(u candidate) bool { return u.Name != c.keptBy })
	if len(c.candidates) == 0 {
		return errKeptElsewhere(c.request.Model)
	}
	return nil
}

// mayExceedLimit reports whether one of those who may serve the call is known to write
// more than clients allow it.
func (c *call) mayExceedLimit() bool {
	return slices.ContainsFunc(c.candidates, func(u candidate) bool { return c.routing.exceedsLimit(u.upstream, c.request.Model) })
}

// quoteFor is the most that a usage within ceiling can cost, whichever of the
// upstreams serves it.
func (c *call) quoteFor(ceiling *meter.Quantities) (most meter.Charge, err error) {
	for i := range c.candidates {
		quote, err := c.routing.book.Quote(c.priceQuery(c.candidates[i].Name), ceiling, c.request.Tools)
		if err != nil {
			return meter.Charge{}, err
		}
		if i == 0 {
			most = quote
			continue
		}
		if err := most.Raise(&quote); err != nil {
			return meter.Charge{}, err
		}
	}
	return most, nil
}

func (c *call) priceQuery(upstream string) meter.PriceQuery {
	return meter.PriceQuery{
		Model: c.request.Model, Class: c.endpoint.Class, Upstream: upstream,
		Attributes: c.request.Attributes, At: c.at,
	}
}

// admit places the hold: one trip to the ledger decides everything. The
// client's leaving must not cut it short: a hold placed and unknown would be
// held until it is swept.
func (c *call) admit() error {
	c.detached = context.WithoutCancel(c.r.Context())
	var err error
	c.heldSince = time.Now()
	c.hold, err = c.proxy.ledger.Reserve(c.detached, ledger.Reservation{
		ID: c.id, Credential: c.credential, Model: c.request.Model, Endpoint: c.endpoint.Name,
		Client: clientAddr(c.r), Quote: c.quote,
	})
	if err != nil {
		return err
	}
	c.costInBody = c.hold.Standing.ReceiptInBody || c.r.Header.Get("X-Tollgate-Receipt") == "body"
	c.proxy.inFlight.add(c, c.proxy.patrol)
	if c.proxy.aborted.Load() { // before it was in flight
		c.cut.now(errShutdown)
	}
	c.proxy.metrics.held.Inc()
	return nil
}

func clientAddr(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap()
}

// forward tries the upstreams in turn until one answers. It tries the next upstream
// only before the first byte, and never for a client that has left: work already
// begun is drained, none is started. One hold serves all attempts.
func (c *call) forward() error {
	var failure error
	for i, candidate := range c.candidates {
		response, err := c.attempt(candidate)
		if err != nil {
			c.blame(err)
			cause := c.cut.cause()
			if cause == nil || errors.Is(cause, errUpstreamTimeout) {
				c.proxy.metrics.attempt(candidate.Name, "error") // who cuts it otherwise is not the upstream
			}
			if cause != nil {
				return cause
			}
			if failure = errUpstreamAway(reason(err)); c.hasLeft() {
				break // nobody waits for another's answer
			}
			continue
		}
		c.proxy.metrics.attempt(candidate.Name, statusClass(response.StatusCode))
		if movesOn(response.StatusCode) && i < len(c.candidates)-1 && !c.hasLeft() {
			c.blame(fmt.Errorf("HTTP %d", response.StatusCode))
			discard(response)
			continue
		}
		c.answer, c.firstByte = response, time.Since(c.at)
		if err = decode(response); err != nil {
			c.blame(err)
			err = c.whyUnread(err)
		}
		return err
	}
	return failure
}

// whyUnread says why an answer could not be read: it may have been cut meanwhile. An
// upstream's own error costs nothing, even if its client has left.
func (c *call) whyUnread(err error) error {
	cause, failed := c.cut.cause(), c.answer.StatusCode >= http.StatusMultipleChoices
	switch {
	case failed && errors.Is(cause, errShutdown):
		return errDraining()
	case cause != nil && (!failed || errors.Is(cause, errUpstreamTimeout)):
		return cause
	}
	return err
}

// giveUp ends a call that got no answer. Nothing is charged, unless the client left while
// the upstream was working: then what it must have used is charged, estimated.
func (c *call) giveUp(err error) {
	var ours *apiError
	switch {
	case errors.As(err, &ours):
	case errors.Is(err, errUpstreamTimeout):
		ours = errUpstreamSlow()
	case errors.Is(err, errShutdown) && (!c.sent || !c.hasLeft()):
		ours = errDraining()
	case c.sent:
		_ = c.settle(c.request.Unseen())
		panic(http.ErrAbortHandler) // an empty answer would look whole to a client that has only closed its side
	default:
		ours = errUpstreamAway("the call was cut")
	}
	ours.standing = c.release()
	c.refuse(ours)
}

// passUpstreamError hands an upstream's own error on as it is. It costs
// nothing, unless it reports usage.
func (c *call) passUpstreamError() {
	tap := c.request.NewTap(c.answer.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(c.answer.Body, int64(c.proxy.policy.MaxKept)+1))
	if err != nil {
		c.blame(err)
		c.giveUp(c.whyUnread(errUpstreamAway("its error broke off")))
		return
	}
	if len(body) > c.proxy.policy.MaxKept {
		c.giveUp(errUpstreamAway("its error is too large"))
		return
	}
	tap.Pass(nil, body)
	h := c.client.w.Header()
	copyAnswerHeaders(h, c.answer.Header, c.id, c.endpoint.API)
	if tap.Reported() {
		if c.settle(tap.Usage()) != nil {
			c.withhold()
			return
		}
		c.writeReceipt(h)
	} else {
		c.refused = errUpstreamsOwn(c.answer.StatusCode)
		writeNoCharge(h, c.currency(), c.release())
	}
	c.sendBody(body)
}

// deliver passes the answer through the tap to the client. A stream's bytes go
// out as they come, and so does sound that is still being made; any other answer is
// gathered, up to a bound, so that its cost can stand in its headers. Either way the end goes out only when it is booked.
func (c *call) deliver() {
	if c.costInBody {
		c.request.AskedUsage = true // who wants the cost in the usage chunk wants the chunk
	}
	if c.request.BringsTask() {
		c.passTask()
		return
	}
	tap := c.startTap(c.request)
	if tap.IsStream() || tap.IsSound() && c.answer.ContentLength < 0 {
		c.sendHead()
		c.passStream()
		return
	}
	c.passWhole()
}

// passWhole gathers an answer and sends it with its receipt. One that is too large
// for that becomes a stream.
func (c *call) passWhole() {
	answer := c.proxy.answers.Get().(*[]byte)
	defer c.proxy.answers.Put(answer)
	err := c.gather(answer)
	switch {
	case err != nil:
		c.breakOff(err)
	case c.streaming:
		c.write(c.tap.adopt(*answer))
		c.endStream()
	default:
		c.settleAndSend(*answer)
	}
}

// settleAndSend books the charge of a whole answer, and sends it.
func (c *call) settleAndSend(body []byte) {
	c.whole = true
	if c.settle(c.tap.usage()) != nil {
		c.withhold()
		return
	}
	c.sendWhole(body)
}

// passStream passes on what is to come, and the end with its receipt. What it
// calls while it waits is little: a stream's stack is a good part of its memory.
func (c *call) passStream() {
	if err := c.pump(); err != nil {
		c.breakOff(err)
		return
	}
	c.endStream()
}

// endStream books the charge of a stream, and sends its end.
func (c *call) endStream() {
	c.whole = true
	if c.settle(c.tap.usageAtEnd()) != nil {
		c.withhold()
		return
	}
	c.sendEnd()
}

// breakOff ends a call whose answer came to no end. What went out, or was being
// made for a client that left, is charged; an answer of which the client got
// nothing is not.
func (c *call) breakOff(err error) {
	c.blame(err)
	cause := c.cut.cause()
	var tell bool // what is withheld of a stream, such as the upstream's error
	switch {
	case c.hasLeft() || c.client.delivered.Load() && c.tap.began():
		tell = c.settle(c.partialUsage()) == nil
	case c.streaming:
		c.release()
		tell = c.tap.failed() // it says why, and costs nothing
	case cause != nil:
		c.giveUp(cause)
		return
	default:
		c.giveUp(errUpstreamAway(reason(err)))
		return
	}
	if tell {
		c.write(c.tap.end(nil))
	}
	panic(http.ErrAbortHandler) // the client must not take the part for the whole
}

// withhold ends a call whose charge could not be booked: the client does not get the end
// of an answer that is not on the books. Nor does it get a cost: the log that could not
// promise the charge, or the Redis that did not answer, may have it all the same.
func (c *call) withhold() {
	if c.streaming {
		panic(http.ErrAbortHandler)
	}
	c.refused = errUnbooked(cmp.Or(c.taskOf, c.id))
	c.refused.write(c.client.w, c.id, c.endpoint.API)
}

// settle books the charge in one trip. With Redis away and a settlement log, the
// ledger's word is a receipt that is pending. Without one, a ledger that is away
// is tried for a while; after that the hold is the sweeper's.
func (c *call) settle(usage meter.Usage) error {
	settlement := c.settlement(usage) // what panics in here is not resolved yet
	settlement.Made = c.made(&usage)
	c.resolved.Store(true)
	defer c.observeHold()
	c.learnExcess(&usage)
	err := c.book(settlement)
	if err != nil {
		c.unbooked()
	}
	return err
}

// unbooked notes that nothing has the charge: the line of the call is one that
// somebody looks for, whom the metric has woken up.
func (c *call) unbooked() {
	c.lost = true
	c.proxy.metrics.unbooked.Inc()
}

// book has a charge booked.
func (c *call) book(settlement ledger.Settlement) (err error) {
	err = insist(func() (err error) {
		c.receipt, err = c.proxy.ledger.Settle(c.detached, settlement)
		return err
	})
	if c.trouble = err; err != nil {
		return err
	}
	for _, o := range settlement.Made {
		c.proxy.kept.put(settlement.Account, o.ID, o.Memory)
	}
	return nil
}

// insist asks the ledger; one that is away is tried for a while.
func insist(ask func() error) error {
	began, pause := time.Now(), 50*time.Millisecond
	for {
		err := ask()
		if !errors.Is(err, ledger.ErrUnavailable) || time.Since(began)+pause > settlePatience {
			return err
		}
		time.Sleep(pause)
		pause *= 2
	}
}

// release gives the hold back. A ledger that is away leaves it to the replay of
// its settlement log, or to the sweeper.
func (c *call) release() *ledger.Standing {
	c.resolved.Store(true)
	defer c.observeHold()
	standing, err := c.proxy.ledger.Release(c.detached, c.hold.Account, c.id)
	if err != nil {
		return nil
	}
	return standing
}

// observeHold counts how long the call had its hold: that ends now, or is a task's from here on.
func (c *call) observeHold() {
	c.proxy.metrics.holdAge.Observe(time.Since(c.heldSince).Seconds())
}

// refuse answers with an error of ours.
func (c *call) refuse(e *apiError) {
	c.refused = e
	writeNoCharge(c.client.w.Header(), c.currency(), nil)
	e.write(c.client.w, c.id, c.endpoint.API)
}

// hideFromStrangers is the answer to a bad request: what is wrong with it if the key is valid, else
// what is wrong with the key. Others learn nothing about models and prices.
func (c *call) hideFromStrangers(err error) *apiError {
	e := c.asAPIError(err)
	if e.code == codeInvalidKey || e.status == http.StatusServiceUnavailable {
		return e
	}
	if e.standing, err = c.authenticate(); err != nil {
		c.trouble = err
		return c.asAPIError(err)
	}
	return e
}

// briefly bounds one question to the ledger for a client that waits.
func (c *call) briefly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.r.Context(), ledgerPatience)
}

// authenticate asks the ledger for the key alone.
func (c *call) authenticate() (*ledger.Standing, error) {
	ctx, cancel := c.briefly()
	defer cancel()
	return c.proxy.ledger.Authenticate(ctx, c.credential, clientAddr(c.r))
}

// end is the one way out.
func (c *call) end() {
	if c.hold != nil {
		c.resolve()
	}
	c.report()
	c.recycle()
}

// resolve makes sure that the hold is settled or released, and takes the call out of
// flight even if that fails. Only after a panic is the hold still unresolved here.
func (c *call) resolve() {
	defer c.leaveFlight()
	switch {
	case c.resolved.Load():
	case c.client.delivered.Load():
		_ = c.settle(c.usageAfterPanic())
	default:
		c.release()
	}
}

func (c *call) leaveFlight() {
	c.cut.now(errCallOver)
	c.proxy.inFlight.remove(c)
	c.proxy.metrics.held.Dec()
}

func (c *call) writeReceipt(h http.Header) {
	writeReceipt(h, c.currency(), c.receipt, c.feeIsCertain())
}

// costMembers are the cost as members of the usage object; nil, unless they were asked
// for.
func (c *call) costMembers() []byte {
	if !c.costInBody {
		return nil
	}
	return costMembers(c.currency(), c.receipt, c.feeIsCertain())
}

func (c *call) currency() string { return c.routing.book.Currency() }

// model is what the client asked for, or "" when the request could not be read.
func (c *call) model() string {
	if c.request == nil {
		return ""
	}
	return c.request.Model
}

const (
	// ledgerPatience bounds one question to the ledger; past it the call is refused.
	ledgerPatience = 3 * time.Second
	// settlePatience bounds the booking of an answer that is ready to end.
	settlePatience = 10 * time.Second
)
