// Package proxy is the data plane: it admits a call, forwards it, reads what
// it used and settles it. The path of one request stands in call.go, top to
// bottom; everything else here serves that file.
//
//	call.go       the story: read, admit, forward, deliver, settle
//	route.go      which paths there are, and what of them goes upstream
//	body.go       a request's body, in memory that is used again
//	routing.go    the upstreams of a model, and the order in which they are tried; upstream.go: one of them
//	attempt.go    one upstream is asked
//	delivery.go   its answer on the way to the client (client.go), through the tap (tap.go)
//	settlement.go what the call used, as the charge to book
//	task.go       what some calls bring in place of an answer; poll.go: its end is asked for
//	kept.go       answers that are kept upstream: calls go on from them, they are read and deleted
//	question.go   what polls and questions about kept answers have in common
//	errors.go     every refusal and failure as one HTTP answer, and in
//	              error_dialects.go as the clients of other APIs read it
//	affordable.go what a refused call could afford instead
//	headers.go    the receipt as headers and trailers
//	report.go     the end of a call for the log and the observer; metrics.go as metrics
//	keyholder.go  what a key holder may ask: key, credits, receipts; models.go:
//	              what there is to call; bill.go: what a month came to; quote.go
//	              and quote_usage.go: what a call would cost
//	heartbeat.go  keeps the holds of long calls alive
//	cors.go       lets the scripts of web pages in
//	patrol.go     looks after silent upstreams and clients that left
//	transport.go  the way to the upstreams, idle.go the connections that wait for
//	              their next request; cut.go interrupts it
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// What a client that leaves does to its call.
const (
	// DisconnectDrain reads the upstream's answer to its end, for at most
	// Policy.Drain, to learn the true usage. The default.
	DisconnectDrain = "drain"
	// DisconnectCancel cuts the upstream at once and charges what was delivered.
	DisconnectCancel = "cancel"
)

// Policy is what an operator may decide about calls. Zero fields take the defaults.
type Policy struct {
	// QuotaStatus answers an exhausted balance: 429 (default) or 402.
	QuotaStatus int
	// OnDisconnect is DisconnectDrain (default) or DisconnectCancel.
	OnDisconnect string
	// Drain bounds the reading for a client that has left. Default 45 s.
	Drain time.Duration
	// DefaultMaxOutput is held, in tokens, for a request that sets no limit; see meter.ReadOptions.
	DefaultMaxOutput int64
	// MaxBody bounds a request's body, in bytes. Default 64 MiB.
	MaxBody int64
	// MaxKept is the size, in bytes, up to which an answer is read whole before its
	// headers go out; a larger one gets its cost in trailers. Default 4 MiB.
	MaxKept int
	// Timezone is where bare dates and days of the key holder's routes are. Default UTC.
	Timezone *time.Location
	// CORSOrigins are the origins of web pages whose scripts may call, "*" for any. Default none.
	CORSOrigins []string
}

// Options are the proxy's parts. Ledger, Book and Logger are required.
type Options struct {
	Ledger    *ledger.Ledger
	Book      *meter.Book
	Upstreams []Upstream
	Policy    Policy
	Logger    *zap.Logger
	Metrics   *Metrics
	// OnReceipt is told of each charge, and OnRefusal of each refusal, after the fact: also
	// of requests that never became a call. May be nil.
	OnReceipt func(*ledger.Receipt)
	OnRefusal func(Refused)
}

// Refused is a call that ended without a charge, or a request that never became one.
type Refused struct {
	RequestID, Account, Model string
	Status                    int
	Code, Message             string
}

// Proxy is the data plane's http.Handler.
type Proxy struct {
	ledger         *ledger.Ledger
	policy         Policy
	log            *zap.Logger
	metrics        *Metrics
	onReceipt      func(*ledger.Receipt)
	onRefusal      func(Refused)
	transport      *transport
	began          time.Time
	mux            *http.ServeMux
	endpoints      map[string]*meter.Endpoint // by path; what calls are of, before the mux
	modelEndpoints []callRoute                // those with a model in their paths
	bodies         sync.Pool                  // *[]byte, of requests
	answers        sync.Pool                  // *[]byte, of answers that are gathered
	taps           sync.Pool                  // *meter.Tap
	buffers        sync.Pool                  // *streamBuffers
	logFields      sync.Pool                  // *[]zap.Field
	billing        sync.Map                   // by account, whose bill is being added up
	kept           keptObjects

	// routing is replaced as a whole by Reload; a call keeps the one it began with.
	routing  atomic.Pointer[routing]
	draining atomic.Bool
	aborted  atomic.Bool
	inFlight inFlight
}

// New checks the options, all errors at once, and builds the handler.
func New(o Options) (*Proxy, error) {
	var problems []error
	if o.Ledger == nil || o.Book == nil || o.Logger == nil {
		problems = append(problems, errors.New("proxy: ledger, price book and logger are required"))
	}
	policy, err := o.Policy.withDefaults()
	problems = append(problems, err)
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	p := &Proxy{
		ledger: o.Ledger, policy: policy, log: o.Logger, metrics: o.Metrics,
		onReceipt: o.OnReceipt, onRefusal: o.OnRefusal, transport: newTransport(), began: time.Now(),
	}
	p.bodies.New = func() any { return new([]byte) }
	p.answers.New = func() any { b := make([]byte, 0, readSize); return &b }
	p.taps.New = func() any { return new(meter.Tap) }
	p.buffers.New = func() any { return new(streamBuffers) }
	p.logFields.New = func() any { f := make([]zap.Field, 0, 24); return &f }
	p.inFlight.calls = make(map[*call]struct{})
	if o.Book != nil {
		problems = append(problems, p.Reload(o.Book, o.Upstreams))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	p.mux = p.routes()
	p.endpoints, p.modelEndpoints = callRoutes()
	return p, nil
}

func (p Policy) withDefaults() (Policy, error) {
	if p.QuotaStatus == 0 {
		p.QuotaStatus = http.StatusTooManyRequests
	}
	if p.OnDisconnect == "" {
		p.OnDisconnect = DisconnectDrain
	}
	if p.Drain == 0 {
		p.Drain = 45 * time.Second
	}
	if p.MaxBody == 0 {
		p.MaxBody = 64 << 20
	}
	if p.MaxKept == 0 {
		p.MaxKept = 4 << 20
	}
	if p.Timezone == nil {
		p.Timezone = time.UTC
	}
	var problems []error
	if p.QuotaStatus != http.StatusTooManyRequests && p.QuotaStatus != http.StatusPaymentRequired {
		problems = append(problems, fmt.Errorf("policy.quota_status is %d: want 429 or 402", p.QuotaStatus))
	}
	if p.OnDisconnect != DisconnectDrain && p.OnDisconnect != DisconnectCancel {
		problems = append(problems, fmt.Errorf("policy.on_disconnect is %q: want drain or cancel", p.OnDisconnect))
	}
	if p.Drain < 0 || p.DefaultMaxOutput < 0 || p.MaxBody < 0 || p.MaxKept < 0 {
		problems = append(problems, errors.New("policy: drain, default_max_output and sizes must not be negative"))
	}
	return p, errors.Join(problems...)
}

// Reload puts new prices and upstreams in force, both or neither. Calls in
// flight end with those they began with.
func (p *Proxy) Reload(book *meter.Book, upstreams []Upstream) error {
	r, err := newRouting(book, upstreams)
	if err != nil {
		return err
	}
	p.routing.Store(r)
	return nil
}

// ServeHTTP answers one request of a client.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.crossOrigin(w.Header(), r) {
		w.Header().Set("X-Request-Id", ledger.NewRequestID())
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if path.Clean(r.URL.Path) != r.URL.Path || r.RequestURI == "*" {
		p.refuseRoute(w, r) // the mux would redirect: no SDK follows that with its body; or answer without an id
		return
	}
	switch e, model := p.endpoint(r.URL.Path); {
	case e == nil:
	case r.Method == http.MethodPost:
		p.serveCall(w, r, e, model)
		return
	default:
		p.refuseMethod(http.MethodPost)(w, r)
		return
	}
	p.mux.ServeHTTP(w, r)
}

// SetDraining makes the proxy refuse new calls, so that those in flight can end.
func (p *Proxy) SetDraining(on bool) { p.draining.Store(on) }

// Abort cuts the calls in flight, and those that are just being admitted: each
// is charged for what was delivered, or released.
func (p *Proxy) Abort() {
	p.aborted.Store(true)
	p.eachCall(func(c *call) { c.cut.now(errShutdown) })
}

// eachCall runs visit for every call in flight. A panic in one of them is logged, and does
// not affect the others.
func (p *Proxy) eachCall(visit func(*call)) {
	p.inFlight.each(func(c *call) {
		defer func() {
			if failure := recover(); failure != nil {
				p.log.Error("panic in looking after a call", zap.String("request_id", c.id), zap.Any("panic", failure), zap.Stack("stack"))
			}
		}()
		visit(c)
	})
}

// Wait returns when no call is in flight, that is when every hold of this
// process has been settled or released; or with ctx's error.
func (p *Proxy) Wait(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for p.inFlight.count() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Busy reports whether there are calls in flight, or were a moment ago.
func (p *Proxy) Busy() bool {
	p.inFlight.mu.Lock()
	defer p.inFlight.mu.Unlock()
	return p.inFlight.patrolled
}

// inFlight knows the calls between admission and their end.
type inFlight struct {
	mu        sync.Mutex
	calls     map[*call]struct{}
	patrolled bool // there are some, or were at the last patrol
}

// add notes a call; patrol begins with the first.
func (f *inFlight) add(c *call, patrol func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[c] = struct{}{}
	if !f.patrolled {
		f.patrolled = true
		time.AfterFunc(patrolEvery, patrol)
	}
}

func (f *inFlight) remove(c *call) {
	f.mu.Lock()
	delete(f.calls, c)
	f.mu.Unlock()
}

func (f *inFlight) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// each runs visit on a snapshot, so that visit may take its time.
func (f *inFlight) each(visit func(*call)) {
	f.mu.Lock()
	calls := make([]*call, 0, len(f.calls))
	for c := range f.calls {
		calls = append(calls, c)
	}
	f.mu.Unlock()
	for _, c := range calls {
		visit(c)
	}
}
