package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// TestUpstreamThatRejectsStreamOptions plays upstreams that do not know
// stream_options, with the statuses by which they say so: OpenAI's family 400,
// those that check by a schema (Mistral, FastAPI) 422.
func TestUpstreamThatRejectsStreamOptions(t *testing.T) {
	for status, refusal := range map[int]string{
		http.StatusBadRequest:          `{"error":{"message":"Unrecognized request argument supplied: stream_options"}}`,
		http.StatusUnprocessableEntity: `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted"}]}}`,
	} {
		s := serveUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if strings.Contains(string(body), "stream_options") {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, refusal)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: [DONE]\n\n")
		})
		c, _ := streamingCall(t, s.URL)
		c.r.URL.Path = "/v1/chat/completions"
		u := routingOf(t, Upstream{Name: "strict", BaseURL: s.URL, Models: []ModelRule{{Pattern: "*"}}}).candidates("m", meter.OpenAI)[0]
		response, err := c.attempt(u)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusOK || !u.refusesStreamOptions.Load() {
			t.Errorf("%d: the client gets %d, remembered: %v; want 200 without the question", status, response.StatusCode, u.refusesStreamOptions.Load())
		}
		_ = response.Body.Close()
	}
}

// A route of which no stream is asked for its usage is asked once: what is refused there is the client's own,
// and tells nothing of the upstream.
func TestStreamOptionsWhereNobodyAsks(t *testing.T) {
	for path, body := range map[string]string{
		"/responses": `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`,
		"/messages":  `{"model":"m","stream":true,"stream_options":{"include_usage":true}}`,
	} {
		asked := 0
		s := serveUpstream(t, false, func(w http.ResponseWriter, r *http.Request) {
			if asked++; asked == 2 { // the first was for streamingCall
				w.WriteHeader(http.StatusBadRequest)
			}
			_, _ = io.WriteString(w, `{"error":{"message":"Unknown parameter: 'stream_options.include_usage'."}}`)
		})
		c, _ := streamingCall(t, s.URL)
		request, err := meter.FindEndpoint(path).ReadRequest("application/json", []byte(body), meter.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		c.endpoint, c.request, c.r.URL.Path = request.Endpoint, request, "/v1"+path
		u := routingOf(t, Upstream{Name: "strict", BaseURL: s.URL, Models: []ModelRule{{Pattern: "*"}}}).candidates("m", meter.OpenAI)[0]
		response, err := c.attempt(u)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusBadRequest || asked != 2 || u.refusesStreamOptions.Load() {
			t.Errorf("%s: the client gets %d, asked %d times, remembered: %v", path, response.StatusCode, asked-1, u.refusesStreamOptions.Load())
		}
		_ = response.Body.Close()
	}
}
