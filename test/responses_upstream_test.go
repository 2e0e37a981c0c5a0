package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// anOddResponse is a response of gpt-4o with more members than its id and its status.
func anOddResponse(id, status, more string) string {
	return fmt.Sprintf(`{"id":%q,"object":"response","model":"gpt-4o","status":%q%s}`, id, status, more)
}

const (
	// usage150 costs 0.0025 by testPrices.
	usage150 = `,"usage":{"input_tokens":100,"output_tokens":50,"total_tokens":150}`
	saysHi   = `,"output":[{"type":"message","id":"msg_1","status":"completed","content":[{"type":"output_text","text":"Hi, this is all of it."}]}]`
)

// oddUpstream says what a test has put into it: to calls in made, to questions in told.
type oddUpstream struct {
	made, told  atomic.Value // strings
	status      atomic.Int64 // of what is told; 0: 200
	contentType atomic.Value // a string, of all
	ends        atomic.Value // a func(*http.Request): how what is told ends, if not well
	asked       atomic.Int64
}

func (u *oddUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	u.asked.Add(1)
	w.Header().Set("Content-Type", u.contentType.Load().(string))
	answer := u.told.Load().(string)
	if bytes.Contains(body, []byte(`"model"`)) {
		answer = u.made.Load().(string)
	} else if status := u.status.Load(); status != 0 {
		w.WriteHeader(int(status))
	}
	_, _ = io.WriteString(w, answer)
	if end, ok := u.ends.Load().(func(*http.Request)); ok {
		_ = http.NewResponseController(w).Flush()
		end(r)
	}
}

// behindOddUpstream is acme with an upstream that says what it is told to.
func behindOddUpstream(t *testing.T, change ...func(*settings)) (w *world, p *process, key string, up *oddUpstream) {
	t.Helper()
	up = new(oddUpstream)
	up.made.Store(anOddResponse("resp_1", "queued", `,"output":[],"usage":null`))
	up.told.Store("")
	up.contentType.Store("application/json")
	server := httptest.NewServer(up)
	t.Cleanup(server.Close)
	w = newWorld(t, change...)
	w.withUpstreams(w.upstreamItem("odd", server.URL, ""))
	w.account("acme", "10")
	key, _ = w.key("acme")
	p = w.serve()
	return w, p, key, up
}

// tells sets what is told of a response.
func (u *oddUpstream) tells(status, more string) {
	u.told.Store(anOddResponse("resp_1", status, more))
}
