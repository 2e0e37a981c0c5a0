package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// P8: what a query says is not metered, so it does not go upstream. This one is
// as LiteLLM's proxy, whose /v1/chat/completions takes a model from the query
// before that of the body.
func TestAQueryNamesNoOtherModel(t *testing.T) {
	var served, query atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		query.Store(r.URL.RawQuery)
		model := "gpt-4o-mini" // the body's
		if other := r.URL.Query().Get("model"); other != "" {
			model = other
		}
		served.Store(model)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"model":%q,"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":50}}`, model)
	}))
	defer server.Close()
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme", "--models", "gpt-4o-mini")
	w.withUpstreams(w.upstreamItem("litellm", server.URL, ""))
	p := w.serve()
	for _, q := range []string{"?model=o1-pro", "?x=1&%6dodel=o1-pro", "?%6bey=" + key, "?key=" + key} {
		p.post(chatPath+q, key, chat("gpt-4o-mini", "x")).requireStatus(t, 200)
		equal(t, q+": model that was served", served.Load().(string), "gpt-4o-mini")
		if sent := query.Load().(string); strings.Contains(sent, "o1") || strings.Contains(sent, key) {
			t.Errorf("%s: the upstream is told %q", q, sent)
		}
	}
	p.post(chatPath+"?beta=true&model=o1-pro&api-version=2024-10-21", key, chat("gpt-4o-mini", "x")).requireStatus(t, 200)
	equal(t, "query upstream", query.Load().(string), "api-version=2024-10-21&beta=true")
}
