package e2e

import (
	"testing"

	"github.com/tidwall/gjson"
)

// The official Google Gen AI SDK, unchanged, pointed at the proxy.
func TestGeminiSDK(t *testing.T) {
	s := sdk{command: []string{"sdk/python/.venv/bin/python", "sdk/python/gemini.py"}, needs: "sdk/python/.venv/installed.txt"}
	requireSDK(t, s)
	w, p, key := gemini(t, "")
	w.account("broke", "0.0001")
	broke, _ := w.key("broke")
	c := countRequests(t, p)
	require := func(t *testing.T, r gjson.Result, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			equal(t, pairs[i], r.Get(pairs[i]).String(), pairs[i+1])
		}
	}
	t.Run("content", func(t *testing.T) {
		r := s.run(t, w, c, "content", key).result
		requireText(t, r)
		requireRequestID(t, r)
		require(t, r, "input_tokens", "100", "cached", "40", "thoughts", "10", "output_tokens", "40", "finish_reason", "STOP", "cost", "0.00324")
	})
	t.Run("tool", func(t *testing.T) {
		require(t, s.run(t, w, c, "tool", key).result, "call", "weather", "output_tokens", "50")
	})
	t.Run("stream", func(t *testing.T) {
		r := s.run(t, w, c, "stream", key).result
		requireText(t, r)
		require(t, r, "input_tokens", "100", "output_tokens", "50", "finish_reason", "STOP")
	})
	t.Run("embed", func(t *testing.T) {
		require(t, s.run(t, w, c, "embed", key).result, "embeddings", "2", "dims", "1536")
	})
	t.Run("count", func(t *testing.T) {
		require(t, s.run(t, w, c, "count", key).result, "tokens", "8")
	})
	t.Run("models", func(t *testing.T) {
		require(t, s.run(t, w, c, "models", key).result, "one", "models/gemini-2.5-flash", "models.#", "5")
	})
	t.Run("quota exceeded", func(t *testing.T) {
		run := s.run(t, w, c, "quota", broke)
		require(t, run.result, "error", "ClientError", "status_code", "429", "status", "RESOURCE_EXHAUSTED",
			"body.error.details.0.reason", "insufficient_quota", "body.error.details.0.metadata.limit", "balance")
		equal(t, "requests sent", run.sent, 1)
		equal(t, "requests upstream", run.upstream, 0)
	})
	t.Run("bad key", func(t *testing.T) {
		run := s.run(t, w, c, "bad_key", wrongKey(key))
		require(t, run.result, "error", "ClientError", "status_code", "401", "status", "UNAUTHENTICATED", "body.error.details.0.reason", "invalid_api_key")
		equal(t, "requests upstream", run.upstream, 0)
	})
	w.requireSettled("acme")
	w.requireNoCharge("broke")
}
