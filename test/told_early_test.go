package e2e

import (
	"strings"
	"testing"
)

// A usage from the beginning of a stream does not make what follows free, if the
// stream breaks off before the next (P3).
func TestUsageToldEarlyAndStreamCut(t *testing.T) {
	w, p, key := behind(t, streams(breakOff,
		`data: {"choices":[{"index":0,"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":100,"completion_tokens":1}}`+"\n\n",
		strings.Repeat(`data: {"choices":[{"index":0,"delta":{"content":"one two three four "}}]}`+"\n\n", 100)))
	if r := p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed)); r.err == nil {
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
