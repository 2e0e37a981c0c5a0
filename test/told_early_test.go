package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A usage from the beginning of a stream does not make what follows free, if the
// stream breaks off before the next (P3).
func TestUsageToldEarlyAndStreamCut(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":100,"completion_tokens":1}}`+"\n\n")
		_, _ = io.WriteString(w, strings.Repeat(`data: {"choices":[{"index":0,"delta":{"content":"one two three four "}}]}`+"\n\n", 100))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("early", server.URL, ""))
	if r := w.serve().send("POST", chatPath, key, chat("gpt-4o", "x", streamed)); r.err == nil {
		t.Errorf("the client was told that %q is the whole", r.body)
	}
	charge := w.onlyCharge("acme")
	if n := charge.Get("usage.output").Int(); n < 300 || n > 600 {
		t.Errorf("some 400 tokens were delivered, and %d charged", n)
	}
	equal(t, "input", charge.Get("usage.input").Int(), 100)
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	equal(t, "anomalies", charge.Get("anomalies").Raw, `["output_missing","answer_incomplete"]`)
}
