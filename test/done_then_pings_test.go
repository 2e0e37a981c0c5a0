package e2e

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// An upstream that keeps its connection alive with pings beyond [DONE] does not
// keep the client waiting for the end.
func TestPingsAfterDone(t *testing.T) {
	const stream = `data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}}` + "\n\ndata: [DONE]\n\n"
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, err := io.WriteString(w, stream)
		for end := time.Now().Add(patience); err == nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if _, err = io.WriteString(w, ": ping\n\n"); err == nil {
				err = http.NewResponseController(w).Flush()
			}
		}
	})
	began := time.Now()
	r := p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed, askedUsage))
	if took := time.Since(began); r.err != nil || took > 10*time.Second {
		t.Errorf("after %s: %v", took, r.err)
	}
	if len(r.body) < len(stream) || r.body[:len(stream)] != stream {
		t.Errorf("body %q", r.body)
	}
	equal(t, "cost", r.trailer.Get("x-tollgate-cost"), "0.0025")
	charge := w.onlyCharge("acme")
	equal(t, "fee", charge.Get("fee").String(), "0.0025")
	equal(t, "anomalies", charge.Get("anomalies").Raw, "")
}
