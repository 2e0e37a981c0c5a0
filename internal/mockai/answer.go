package mockai

import (
	"compress/gzip"
	"net/http"
	"strconv"
	"time"
)

// answer is one request on its way through the server.
type answer struct {
	server  *Server
	w       http.ResponseWriter
	http    *http.Request
	request request
	path    string
	plan    plan
	number  int64 // of the answer, from 1; ids derive from it
	gzip    *gzip.Writer
}

// Constant header values, shared by all answers: nobody may change them.
var (
	headerJSON        = []string{"application/json"}
	headerAudio       = []string{"audio/mpeg"}
	headerText        = []string{"text/plain; charset=utf-8"}
	headerStream      = []string{"text/event-stream; charset=utf-8"}
	headerStreamCN    = []string{"text/event-stream;charset=UTF-8"}
	headerNoCache     = []string{"no-cache"}
	headerGzip        = []string{"gzip"}
	headerOrg         = []string{"mockai"}
	headerVersion     = []string{"2020-10-01"}
	headerMS          = []string{"1"}
	headerTiming      = []string{"gfet4t7; dur=1"}
	headerRequests    = []string{"10000"}
	headerRequestsNow = []string{"9999"}
	headerRequestsIn  = []string{"6ms"}
	headerTokens      = []string{"2000000"}
	headerTokensNow   = []string{"1999900"}
	headerTokensIn    = []string{"3ms"}
)

// id is the request's id, as the upstream names it.
func (a *answer) id() string {
	if a.request.bigModel {
		return strconv.FormatInt(20260101000000000+a.number, 10)
	}
	return "req_mock" + strconv.FormatInt(a.number, 10)
}

// head sends status and headers. A negative length is not known.
func (a *answer) head(status int, contentType string, length int) {
	h := a.w.Header()
	switch {
	case contentType == "application/json":
		h["Content-Type"] = headerJSON
	case contentType == "audio/mpeg":
		h["Content-Type"] = headerAudio
	case contentType == "text/plain":
		h["Content-Type"] = headerText
	case a.request.bigModel:
		h["Content-Type"] = headerStreamCN
	default:
		h["Content-Type"] = headerStream
		h["Cache-Control"] = headerNoCache
	}
	switch {
	case a.request.bigModel:
	case a.request.gemini:
		h["Server-Timing"] = headerTiming
	case a.request.anthropic:
		h["Request-Id"] = []string{a.id()}
		h["Anthropic-Organization-Id"] = headerOrg
		h["Anthropic-Ratelimit-Requests-Limit"] = headerRequests
		h["Anthropic-Ratelimit-Requests-Remaining"] = headerRequestsNow
	default:
		h["X-Request-Id"] = []string{a.id()}
		h["Openai-Organization"] = headerOrg
		h["Openai-Version"] = headerVersion
		h["Openai-Processing-Ms"] = headerMS
		h["X-Ratelimit-Limit-Requests"] = headerRequests
		h["X-Ratelimit-Remaining-Requests"] = headerRequestsNow
		h["X-Ratelimit-Reset-Requests"] = headerRequestsIn
		h["X-Ratelimit-Limit-Tokens"] = headerTokens
		h["X-Ratelimit-Remaining-Tokens"] = headerTokensNow
		h["X-Ratelimit-Reset-Tokens"] = headerTokensIn
	}
	switch {
	case a.plan.gzip && status < 400:
		h["Content-Encoding"] = headerGzip
		a.gzip = gzip.NewWriter(a.w)
	case length >= 0:
		h["Content-Length"] = []string{strconv.Itoa(length)}
	}
	a.server.counts.answered(status)
	a.w.WriteHeader(status)
}

// write sends bytes, and reports false, having counted it, if the client has left.
func (a *answer) write(p []byte) bool {
	var err error
	if a.gzip != nil {
		_, err = a.gzip.Write(p)
	} else {
		_, err = a.w.Write(p)
	}
	if err != nil || a.http.Context().Err() != nil {
		a.server.counts.aborted.Add(1)
		return false
	}
	return true
}

// flush puts on the wire what was written. An error shows at the next write.
func (a *answer) flush() {
	if a.gzip != nil {
		_ = a.gzip.Flush()
	}
	_ = http.NewResponseController(a.w).Flush()
}

// finish closes an answer that was delivered whole.
func (a *answer) finish(usageGiven bool) {
	if a.gzip != nil {
		_ = a.gzip.Close()
	}
	if a.http.Context().Err() != nil {
		a.server.counts.aborted.Add(1)
		return
	}
	a.server.counts.completed.Add(1)
	a.server.counts.images.Add(a.request.used.images)
	if usageGiven {
		a.server.counts.give(&a.request.used)
	}
}

// wait lets d pass, and reports false, having counted it, if the client leaves meanwhile.
func (a *answer) wait(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.http.Context().Done():
		a.server.counts.aborted.Add(1)
		return false
	case <-a.server.done:
		a.sever()
		return false
	}
}

// hang stops until the client leaves.
func (a *answer) hang() {
	select {
	case <-a.http.Context().Done():
		a.server.counts.aborted.Add(1)
	case <-a.server.done:
		a.sever()
	}
}

// sever breaks the connection off where it is. It does not return.
func (a *answer) sever() {
	a.server.counts.cut.Add(1)
	panic(http.ErrAbortHandler) // net/http's way to close a connection without another byte
}

// json sends a whole answer, and plays the faults that happen on its way.
func (a *answer) json(body []byte) { a.whole("application/json", body) }

// whole sends an answer that is no stream, as far as the directive lets it.
func (a *answer) whole(contentType string, body []byte) {
	length := len(body)
	if a.plan.cut == clean {
		length /= 2
		body = body[:length]
	}
	said := length
	if contentType == "audio/mpeg" && a.plan.chunks > 1 {
		said = -1 // it is spoken as it is sent
	}
	a.head(http.StatusOK, contentType, said)
	stop := length
	switch {
	case a.plan.cut == atHead:
		stop = 0
	case a.plan.cut == midBody || a.plan.cut == midFrame || a.plan.hang == atMiddle:
		stop = length / 2
	case a.plan.cut == atEnd || a.plan.hang == atEnd:
		stop = max(length-1, 0)
	}
	if !a.pieces(body[:stop]) {
		return
	}
	if stop < length {
		a.flush()
		if a.plan.cut != "" {
			a.sever()
		}
		a.hang()
		return
	}
	a.finish(!a.request.used.absent && !a.request.used.null)
}

// pieces writes a body: at once, or in as many pieces as the directive
// says, with its delay between them.
func (a *answer) pieces(body []byte) bool {
	n := int(min(a.plan.chunks, int64(len(body))))
	if n <= 1 {
		return a.write(body)
	}
	for i := range n {
		if i > 0 && !a.wait(a.plan.delay) {
			return false
		}
		if !a.write(body[len(body)*i/n : len(body)*(i+1)/n]) {
			return false
		}
		a.flush()
	}
	return true
}
