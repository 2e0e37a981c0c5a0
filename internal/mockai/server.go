package mockai

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Server. The zero value answers at once, to anybody.
type Options struct {
	// Latency passes before the head of every answer, Delay before every chunk
	// of a stream but the first, unless a directive says otherwise.
	Latency, Delay time.Duration
	// RequireKey is the key that a request must carry, as its API has it; empty: none.
	RequireKey string
	// Keep is how many of the last requests Requests returns; 0: none.
	Keep int
	// Now is the clock of `created`; nil: time.Now.
	Now func() time.Time
}

// Server is the simulated upstream, an http.Handler.
type Server struct {
	options Options
	vectors vectors
	served  atomic.Int64 // numbers the answers
	counts  counts
	kept    recorder
	buffers sync.Pool // *bytes.Buffer
	fault   fault
	tasks   shelf[*task]
	// responses are those that are kept.
	responses shelf[*keptResponse]
	done      chan struct{}
	closing   sync.Once
}

var _ http.Handler = (*Server)(nil)

// New returns a Server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{options: o, vectors: newVectors(), done: make(chan struct{})}
	s.kept.limit = o.Keep
	s.buffers.New = func() any { return new(bytes.Buffer) }
	return s
}

// Close lets go of every request that hangs or waits; their connections are
// cut. Call it before closing the listener.
func (s *Server) Close() { s.closing.Do(func() { close(s.done) }) }

// fault is the directive that lies over the requests' own.
type fault struct {
	mu        sync.Mutex
	active    atomic.Bool
	directive string
	left      int // requests; negative: without end
}

// SetFault lays a directive ("mock:status=500") over the next times requests,
// or over all with times 0, after their own. An empty directive ends it. The
// error says what is wrong with the directive.
func (s *Server) SetFault(directive string, times int) error {
	trial := newPlan(s.options)
	if directive != "" && !strings.HasPrefix(directive, directiveMark) {
		directive = directiveMark + directive
	}
	if err := trial.apply(directive); err != nil {
		return err
	}
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.directive, s.fault.left = directive, times
	if times == 0 {
		s.fault.left = -1
	}
	s.fault.active.Store(directive != "")
	return nil
}

// take returns the directive that lies over this request.
func (f *fault) take() string {
	if !f.active.Load() {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		f.active.Store(false)
		return ""
	}
	if f.left > 0 {
		f.left--
	}
	return f.directive
}

// maxBody bounds a request's body.
const maxBody = 64 << 20

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/mock/") {
		s.control(w, r)
		return
	}
	prefixed, path := splitPrefix(r.URL.Path)
	model, method, gemini := splitGemini(r.URL.Path)
	if gemini {
		path = method
	}
	s.counts.arrived(path)
	defer s.counts.inFlight.Add(-1)

	buffer := s.scratch()
	defer s.release(buffer)
	if _, err := buffer.ReadFrom(io.LimitReader(r.Body, maxBody)); err != nil {
		s.counts.aborted.Add(1)
		return
	}
	s.kept.add(r, path, buffer.Bytes())

	a := &answer{server: s, w: w, http: r, path: path, plan: newPlan(s.options), number: s.served.Add(1)}
	a.request.bigModel, a.request.anthropic, a.request.gemini = prefixed, isAnthropic(path), gemini
	a.request.model, a.request.array = model, path == "streamGenerateContent" && r.URL.Query().Get("alt") != "sse"
	a.serve(buffer.Bytes())
}

// splitPrefix takes the API's prefix off a path, and reports whether it is BigModel's.
func splitPrefix(path string) (bigModel bool, rest string) {
	if rest, ok := strings.CutPrefix(path, "/api/paas/v4/"); ok {
		return true, rest
	}
	if rest, ok := strings.CutPrefix(path, "/v1/"); ok {
		return false, rest
	}
	return false, strings.TrimPrefix(path, "/")
}

// serve authorizes, reads, plans and answers one request.
func (a *answer) serve(body []byte) {
	path := a.path
	if key := a.server.options.RequireKey; key != "" && !a.hasKey(key) {
		a.refuse(errBadKey)
		return
	}
	if path == "models" || strings.HasPrefix(path, "models/") {
		a.models(strings.TrimPrefix(strings.TrimPrefix(path, "models"), "/"))
		return
	}
	if strings.HasPrefix(path, pollRoute+"/") {
		a.poll()
		return
	}
	route, known := routes[path]
	if !known && strings.HasPrefix(path, keptRoute+"/") {
		a.keptResponse()
		return
	}
	if !known || a.request.gemini != (a.request.model != "") {
		a.refuse(errNoRoute(a.http.Method, a.http.URL.Path))
		return
	}
	if a.http.Method != http.MethodPost {
		a.refuse(errMethod(a.http.Method))
		return
	}
	if problem := route.read(&a.request, a.http.Header.Get("Content-Type"), body); problem != nil {
		a.refuse(problem)
		return
	}
	if problem := a.direct(); problem != nil {
		a.refuse(problem)
		return
	}
	if problem := a.goOn(); problem != nil {
		a.refuse(problem)
		return
	}
	a.request.settle(&a.plan)
	if !a.stumble() {
		return
	}
	respond := route.whole
	if a.request.stream && route.stream != nil {
		respond = route.stream
	}
	respond(a)
}

// direct lays the request's directive, and then the server's fault, over the plan.
func (a *answer) direct() *problem {
	own := a.http.Header.Get("x-mock")
	switch {
	case own != "":
		if !strings.HasPrefix(own, directiveMark) {
			own = directiveMark + own
		}
	case strings.HasPrefix(a.request.user, directiveMark):
		own = a.request.user
	default:
		own = a.request.text
	}
	if err := a.plan.apply(own); err != nil {
		return errBadDirective(err)
	}
	if err := a.plan.apply(a.server.fault.take()); err != nil {
		return errBadDirective(err)
	}
	return nil
}

// stumble plays the faults that come before an answer, and reports whether
// there is to be an answer at all.
func (a *answer) stumble() bool {
	if !a.wait(a.plan.latency) {
		return false
	}
	switch {
	case a.plan.close:
		a.sever()
	case a.plan.hang == atHead:
		a.hang()
		return false
	case a.plan.status != 0:
		if a.plan.status == http.StatusTooManyRequests && a.plan.retryAfter < 0 {
			a.plan.retryAfter = 1
		}
		if a.plan.retryAfter >= 0 {
			a.w.Header().Set("Retry-After", strconv.FormatInt(a.plan.retryAfter, 10))
		}
		a.refuse(errStatus(a.plan.status))
		return false
	case a.plan.rejectStreamOptions && a.request.hasStreamOptions:
		a.refuse(errStreamOptions)
		return false
	case strings.HasPrefix(a.request.model, "no-such"):
		a.refuse(errNoModel(a.request.model))
		return false
	}
	return true
}
