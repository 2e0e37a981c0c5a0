package e2e

import (
	"testing"
)

// What was withheld of a stream that breaks reaches the client once it is booked:
// the upstream's error says why it breaks, and an image that is charged is there.
func TestWithheldFramesOfABrokenStream(t *testing.T) {
	const (
		content  = `data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}` + "\n\n"
		finish   = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
		usage    = `data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150}}` + "\n\n"
		overload = `data: {"error":{"message":"overloaded","type":"server_error"}}` + "\n\n"
	)
	for name, c := range map[string]struct {
		pieces []string
		want   string
		fee    string // empty: estimated
	}{
		"an error after a part":    {[]string{content, overload}, content + overload, ""},
		"an error alone":           {[]string{": hi\n\n", overload}, ": hi\n\n" + overload, "0"},
		"an error before anything": {[]string{overload}, overload, ""},
		"its end, but for [DONE]":  {[]string{content, finish + usage}, content + finish, "0.0025"},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := behind(t, streams(breakOff, c.pieces...))
			r := p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed))
			equal(t, "body", r.body, c.want)
			if r.err == nil {
				t.Error("the client was told that the part is the whole")
			}
			if name == "an error before anything" {
				w.requireNoCharge("acme")
				return
			}
			if fee := w.onlyCharge("acme").Get("fee").String(); c.fee != "" && fee != c.fee || c.fee == "" && fee == "0" {
				t.Errorf("fee %s, want %q", fee, c.fee)
			}
		})
	}
}
