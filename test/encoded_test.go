package e2e

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Nobody asked an upstream to encode its answers. What can be undone is; of its
// own errors what cannot passes as it is; and another answer is refused.
func TestEncodedAnswers(t *testing.T) {
	var squeezed bytes.Buffer
	zip := gzip.NewWriter(&squeezed)
	_, _ = io.WriteString(zip, `{"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":50}}`)
	_ = zip.Close()
	for name, c := range map[string]struct {
		status    int
		encodings []string
		sent      string
		want      int
		got, cost string
	}{
		"gzip on a line of its own": {200, []string{"identity", "gzip"}, squeezed.String(), 200, "", "0.0025"},
		"gzip in capitals":          {200, []string{"identity, GZIP"}, squeezed.String(), 200, "", "0.0025"},
		"another":                   {200, []string{"br"}, "\x8b\x01", 502, "", "0"},
		"twice":                     {200, []string{"gzip", "gzip"}, squeezed.String(), 502, "", "0"},
		"an error of nothing, gzip": {429, []string{"gzip"}, "", 429, "", "0"},
		"an error, encoded as ever": {429, []string{"br"}, "\x8b\x01", 429, "\x8b\x01", "0"},
		"an error, said to be gzip": {429, []string{"gzip"}, "busy", 502, "", "0"},
		"an error, merely identity": {429, []string{"", "identity"}, "busy", 429, "busy", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header()["Content-Encoding"] = c.encodings
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.sent)
			})
			r := p.post(chatPath, key, chat("gpt-4o", "x"))
			r.requireStatus(t, c.want)
			equal(t, "cost", r.header.Get("x-tollgate-cost"), c.cost)
			if c.want == 429 {
				equal(t, "body", r.body, c.got)
				equal(t, "Retry-After", r.header.Get("Retry-After"), "7")
			}
			if c.got != "" && c.encodings[0] == "br" {
				equal(t, "Content-Encoding", r.header.Get("Content-Encoding"), "br")
			}
			if c.want == 502 {
				eventually(t, "the log says why", func() bool { return strings.Contains(p.stderr.String(), `"upstream_faults":["`) })
			}
		})
	}
}
