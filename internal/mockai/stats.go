package mockai

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// Stats counts what happened since the start or the last reset.
type Stats struct {
	Requests int64 `json:"requests"`
	InFlight int64 `json:"in_flight"`
	// Completed answers were delivered whole, with a 200.
	Completed int64 `json:"completed"`
	// AbortedByClient counts answers whose client left before their end.
	AbortedByClient int64 `json:"aborted_by_client"`
	// Cut counts connections that a fault broke off.
	Cut     int64            `json:"cut"`
	ByRoute map[string]int64 `json:"by_route"`
	// ByStatus counts the heads sent, by HTTP status.
	ByStatus map[int]int64 `json:"by_status"`
	// Usage is the sum of what completed answers said was used.
	Usage UsageGiven `json:"usage"`
}

// UsageGiven is a sum of usage.
type UsageGiven struct {
	Prompt     int64 `json:"prompt_tokens"`
	Completion int64 `json:"completion_tokens"`
	Total      int64 `json:"total_tokens"`
	Cached     int64 `json:"cached_tokens"`
	Reasoning  int64 `json:"reasoning_tokens"`
	Images     int64 `json:"images"`
}

// counts are the counters behind Stats.
type counts struct {
	requests, inFlight, completed, aborted, cut          atomic.Int64
	prompt, completion, total, cached, reasoning, images atomic.Int64
	status                                               [600]atomic.Int64
	routes                                               [len(routeNames)]atomic.Int64
}

// routeNames are the names under which requests are counted; the last is for all others.
var routeNames = [...]string{
	"chat/completions", "completions", "responses", compactRoute, inputTokensRoute, "embeddings", "images/generations", "images/edits", "images/variations", "rerank", "moderations",
	"audio/speech", "audio/transcriptions", "audio/translations", "messages", "messages/count_tokens", "tokenizer", "web_search",
	"videos/generations", "async/chat/completions", "async/images/generations", pollRoute,
	"generateContent", "streamGenerateContent", "embedContent", "batchEmbedContents", "countTokens", "models", "other",
}

func (c *counts) arrived(path string) {
	c.requests.Add(1)
	c.inFlight.Add(1)
	if strings.HasPrefix(path, "models/") {
		path = "models"
	}
	if strings.HasPrefix(path, pollRoute+"/") {
		path = pollRoute
	}
	for i, name := range routeNames {
		if path == name || i == len(routeNames)-1 {
			c.routes[i].Add(1)
			return
		}
	}
}

func (c *counts) answered(status int) { c.status[status].Add(1) }

func (c *counts) give(u *usage) {
	c.prompt.Add(u.prompt)
	c.completion.Add(u.completion)
	c.total.Add(u.total)
	c.cached.Add(max(u.cached, 0))
	c.reasoning.Add(max(u.reasoning, 0))
}

// Stats returns the counts.
func (s *Server) Stats() Stats {
	c := &s.counts
	stats := Stats{
		Requests: c.requests.Load(), InFlight: c.inFlight.Load(), Completed: c.completed.Load(),
		AbortedByClient: c.aborted.Load(), Cut: c.cut.Load(),
		ByRoute: make(map[string]int64), ByStatus: make(map[int]int64),
		Usage: UsageGiven{
			Prompt: c.prompt.Load(), Completion: c.completion.Load(), Total: c.total.Load(),
			Cached: c.cached.Load(), Reasoning: c.reasoning.Load(), Images: c.images.Load(),
		},
	}
	for i := range c.routes {
		if n := c.routes[i].Load(); n > 0 {
			stats.ByRoute[routeNames[i]] = n
		}
	}
	for i := range c.status {
		if n := c.status[i].Load(); n > 0 {
			stats.ByStatus[i] = n
		}
	}
	return stats
}

// Reset sets the counts to 0, forgets the kept requests and ends the fault.
// Requests in flight go on, and stay counted as in flight.
func (s *Server) Reset() {
	c := &s.counts
	for _, n := range []*atomic.Int64{
		&c.requests, &c.completed, &c.aborted, &c.cut,
		&c.prompt, &c.completion, &c.total, &c.cached, &c.reasoning, &c.images,
	} {
		n.Store(0)
	}
	for i := range c.routes {
		c.routes[i].Store(0)
	}
	for i := range c.status {
		c.status[i].Store(0)
	}
	s.kept.reset()
	_ = s.SetFault("", 0) // an empty directive is never wrong
}

// control answers the /mock/ routes.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /mock/stats":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats()) // a client that left needs no answer
	case "POST /mock/reset":
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// Request is a request as it arrived.
type Request struct {
	Method, Path string // path without the API's prefix
	URL          string // as asked for, with prefix and query
	Header       http.Header
	Body         []byte
}

// recorder keeps the last requests.
type recorder struct {
	limit int
	mu    sync.Mutex
	last  []Request
}

func (k *recorder) add(r *http.Request, path string, body []byte) {
	if k.limit <= 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.last) == k.limit {
		k.last = append(k.last[:0], k.last[1:]...)
	}
	k.last = append(k.last, Request{
		Method: r.Method, Path: path, URL: r.URL.String(), Header: r.Header.Clone(), Body: bytes.Clone(body),
	})
}

func (k *recorder) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = nil
}

// Requests returns the last requests, oldest first, as many as Options.Keep says.
func (s *Server) Requests() []Request {
	s.kept.mu.Lock()
	defer s.kept.mu.Unlock()
	return append([]Request(nil), s.kept.last...)
}

// scratch returns an empty buffer to build an answer in.
func (s *Server) scratch() *bytes.Buffer {
	buffer := s.buffers.Get().(*bytes.Buffer)
	buffer.Reset()
	return buffer
}

// maxScratch bounds the buffers that are kept for the next request.
const maxScratch = 1 << 20

func (s *Server) release(buffer *bytes.Buffer) {
	if buffer.Cap() <= maxScratch {
		s.buffers.Put(buffer)
	}
}
