package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// sdk is an official SDK, driven by a script of its own language.
type sdk struct {
	command []string // the script, to which the case's name is added
	needs   string   // a file that is there when it is installed
	errors  map[string]string
}

// requireSDK demands that the SDK is installed, or that its tests were waived.
func requireSDK(t *testing.T, s sdk) {
	t.Helper()
	if os.Getenv("TOLLGATE_E2E_NO_SDK") == "1" {
		t.Skip("TOLLGATE_E2E_NO_SDK is set")
	}
	if _, err := os.Stat(s.needs); err != nil {
		t.Fatalf("%s is missing: run `make e2e-deps`, or set TOLLGATE_E2E_NO_SDK=1 to leave these tests out", s.needs)
	}
}

// counter stands before the proxy and counts what an SDK really sends.
type counter struct {
	url      string
	requests atomic.Int64
}

func countRequests(t *testing.T, p *process) *counter {
	t.Helper()
	target, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	c := &counter{}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) {}, // a client that left
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.requests.Add(1)
		// The body is read here, whole. ReverseProxy's transport looks once more for its
		// end after it has sent it; an answer that is quicker closes the body under it,
		// and net/http then cuts the connection in the middle of the answer.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // a client that left
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	c.url = server.URL
	return c
}

// sdkRun is one case's outcome.
type sdkRun struct {
	result   gjson.Result
	sent     int64 // requests that the SDK sent
	upstream int64 // requests that reached the upstream
}

// run runs one case of the script.
func (s sdk) run(t *testing.T, w *world, c *counter, name, key string) sdkRun {
	t.Helper()
	sent, upstream := c.requests.Load(), w.up.Stats().Requests
	cmd := exec.Command(s.command[0], append(s.command[1:], name)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "BASE_URL=" + c.url + "/v1", "API_KEY=" + key}
	cmd.WaitDelay = 5 * time.Second
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil || !gjson.ValidBytes(out) {
		t.Fatalf("%s: %v\n%s%s", name, err, out, problems.String())
	}
	return sdkRun{gjson.ParseBytes(out), c.requests.Load() - sent, w.up.Stats().Requests - upstream}
}

// testSDK is what every official SDK must see.
func testSDK(t *testing.T, s sdk) {
	requireSDK(t, s)
	w := newWorld(t, func(s *settings) { s.prices += morePrices })
	w.account("acme", "10")
	w.account("broke", "0.0001")
	key, _ := w.key("acme")
	broke, _ := w.key("broke")
	c := countRequests(t, w.serve())
	t.Run("chat", func(t *testing.T) {
		r := s.run(t, w, c, "chat", key).result
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
		equal(t, "cached tokens", r.Get("cached_tokens").Int(), 40)
		equal(t, "cost", r.Get("cost").String(), "0.0023")
		requireRequestID(t, r)
	})
	t.Run("stream", func(t *testing.T) {
		r := s.run(t, w, c, "stream", key).result
		requireText(t, r)
		equal(t, "usage", r.Get("total_tokens").Type, gjson.Null)
		equal(t, "chunks without choices", r.Get("chunks_without_choices").Int(), 0)
	})
	t.Run("stream with usage", func(t *testing.T) {
		r := s.run(t, w, c, "stream_usage", key).result
		requireText(t, r)
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
		equal(t, "chunks without choices", r.Get("chunks_without_choices").Int(), 1)
	})
	testSDKResponses(t, s, w, c, key, broke)
	t.Run("embedding", func(t *testing.T) {
		r := s.run(t, w, c, "embedding", key).result
		equal(t, "vectors", r.Get("vectors").Int(), 2)
		equal(t, "dimensions", r.Get("dimensions").Int(), 1536)
		equal(t, "total tokens", r.Get("total_tokens").Int(), 1000)
	})
	t.Run("image", func(t *testing.T) {
		r := s.run(t, w, c, "image", key).result
		equal(t, "images", r.Get("images").Int(), 1)
	})
	t.Run("Azure's client", func(t *testing.T) {
		r := s.run(t, w, c, "azure", key).result
		requireText(t, r)
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
	})
	t.Run("moderation without a model", func(t *testing.T) {
		r := s.run(t, w, c, "moderation", key).result
		equal(t, "model", r.Get("model").String(), "omni-moderation-latest")
		equal(t, "results", r.Get("results").Int(), 2)
	})
	testSDKRefusals(t, s, w, c, key, broke)
	// Chat and a response 0.0023 each, five streams and four responses of 0.0025, an embedding of 0.0005, an image of 0.3.
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "9.6724")
	equal(t, "balance of the broke", w.requireSettled("broke").Get("wallets.recharge.balance").String(), "0.0001")
	t.Run("timeout of the client", func(t *testing.T) {
		run := s.run(t, w, c, "timeout", key)
		equal(t, "error", run.result.Get("error").String(), s.errors["timeout"])
		equal(t, "requests sent", run.sent, 1)
		w.up.Close() // lets go of the call that is being drained
		w.requireSettled("acme")
	})
}

// testSDKResponses is what an SDK must make of responses.
func testSDKResponses(t *testing.T, s sdk, w *world, c *counter, key, broke string) {
	t.Run("response", func(t *testing.T) {
		r := s.run(t, w, c, "response", key).result
		requireText(t, r)
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
		equal(t, "cached tokens", r.Get("cached_tokens").Int(), 40)
		equal(t, "reasoning tokens", r.Get("reasoning_tokens").Int(), 20)
		equal(t, "cost", r.Get("cost").String(), "0.0023")
		requireRequestID(t, r)
	})
	t.Run("events of a response", func(t *testing.T) {
		r := s.run(t, w, c, "response_events", key).result
		equal(t, "last event", r.Get("last").String(), "response.completed")
		equal(t, "arguments", r.Get("text").String(), `{"query":"weather in Beijing"}`)
		equal(t, "function", r.Get("name").String(), "search")
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
	})
	t.Run("response as a stream", func(t *testing.T) {
		r := s.run(t, w, c, "response_stream", key).result
		requireText(t, r)
		equal(t, "the whole text", r.Get("whole").String(), r.Get("text").String())
		equal(t, "status", r.Get("status").String(), "completed")
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
	})
	t.Run("response that goes on from another", func(t *testing.T) {
		r := s.run(t, w, c, "response_goes_on", key).result
		equal(t, "goes on from the first", r.Get("previous").Bool(), true)
		equal(t, "read as it was made", r.Get("read").Bool(), true)
		equal(t, "items of its input", r.Get("items").Int(), 1)
		equal(t, "input", r.Get("input").String(), "Hello")
	})
	t.Run("conversation that is compacted", func(t *testing.T) {
		r := s.run(t, w, c, "response_compacted", key).result
		requireText(t, r)
		equal(t, "items", r.Get("kinds.0").String()+", "+r.Get("kinds.1").String(), "message, compaction")
		equal(t, "total tokens", r.Get("total_tokens").Int(), 150)
		equal(t, "cost", r.Get("cost").String(), "0.0025")
		equal(t, "tokens counted", r.Get("counted").Int(), 8)
	})
	for _, refused := range []struct {
		name, key, class, code string
		status                 int64
	}{{"response_quota", broke, s.errors["quota"], "insufficient_quota", 429}, {"response_stored", key, "NotFoundError", "object_not_found", 404}} {
		t.Run(refused.name, func(t *testing.T) {
			run := s.run(t, w, c, refused.name, refused.key)
			equal(t, "error", run.result.Get("error").String(), refused.class)
			equal(t, "status", run.result.Get("status_code").Int(), refused.status)
			equal(t, "code", run.result.Get("code").String(), refused.code)
			requireRequestID(t, run.result)
			equal(t, "requests sent", run.sent, 1)
			equal(t, "requests upstream", run.upstream, 0)
		})
	}
}

// testSDKRefusals is what an SDK must make of our refusals.
func testSDKRefusals(t *testing.T, s sdk, w *world, c *counter, key, broke string) {
	t.Run("quota exceeded is not retried", func(t *testing.T) {
		run := s.run(t, w, c, "quota", broke)
		equal(t, "error", run.result.Get("error").String(), s.errors["quota"])
		equal(t, "status", run.result.Get("status_code").Int(), 429)
		equal(t, "code", run.result.Get("code").String(), "insufficient_quota")
		equal(t, "type", run.result.Get("type").String(), "insufficient_quota")
		requireRequestID(t, run.result)
		equal(t, "requests sent", run.sent, 1)
		equal(t, "requests upstream", run.upstream, 0)
	})
	t.Run("bad key", func(t *testing.T) {
		run := s.run(t, w, c, "bad_key", wrongKey(key))
		equal(t, "error", run.result.Get("error").String(), s.errors["bad_key"])
		equal(t, "status", run.result.Get("status_code").Int(), 401)
		equal(t, "code", run.result.Get("code").String(), "invalid_api_key")
		equal(t, "requests sent", run.sent, 1)
		equal(t, "requests upstream", run.upstream, 0)
	})
}

func requireText(t *testing.T, r gjson.Result) {
	t.Helper()
	if !strings.HasPrefix(r.Get("text").String(), "Hello from the simulated upstream") {
		t.Errorf("got %s", r.Raw)
	}
}

func requireRequestID(t *testing.T, r gjson.Result) {
	t.Helper()
	id := r.Get("request_id").String()
	if !strings.HasPrefix(id, "req_") || strings.HasPrefix(id, "req_mock") {
		t.Errorf("request id %q in %s", id, r.Raw)
	}
}
