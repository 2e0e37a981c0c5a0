package e2e

import (
	"testing"

	"github.com/tidwall/gjson"
)

// The official Anthropic SDK, unchanged, pointed at the proxy.
func TestAnthropicSDK(t *testing.T) {
	s := sdk{command: []string{"sdk/python/.venv/bin/python", "sdk/python/messages.py"}, needs: "sdk/python/.venv/installed.txt"}
	requireSDK(t, s)
	w, p, key := claude(t, "")
	w.account("broke", "0.0001")
	broke, _ := w.key("broke")
	c := countRequests(t, p)
	require := func(t *testing.T, r gjson.Result, pairs ...string) {
		t.Helper()
		for i := 0; i < len(pairs); i += 2 {
			equal(t, pairs[i], r.Get(pairs[i]).String(), pairs[i+1])
		}
		requireRequestID(t, r)
	}
	t.Run("models", func(t *testing.T) {
		r := s.run(t, w, c, "models", key).result
		equal(t, "those that it can call", r.Get("models").Raw, `["claude-sonnet-4-5"]`)
		equal(t, "one of them", r.Get("one").String(), "claude-sonnet-4-5")
	})
	t.Run("message", func(t *testing.T) {
		r := s.run(t, w, c, "message", key).result
		requireText(t, r)
		require(t, r, "input_tokens", "60", "cache_read", "40", "output_tokens", "50", "stop_reason", "end_turn", "cost", "0.00314")
	})
	t.Run("tool", func(t *testing.T) {
		require(t, s.run(t, w, c, "tool", key).result, "blocks.0", "tool_use", "stop_reason", "tool_use", "output_tokens", "50")
	})
	t.Run("stream", func(t *testing.T) {
		r := s.run(t, w, c, "stream", key).result
		requireText(t, r)
		require(t, r, "streamed", r.Get("text").String(), "input_tokens", "100", "output_tokens", "50", "stop_reason", "end_turn")
	})
	t.Run("quota exceeded is not retried", func(t *testing.T) {
		run := s.run(t, w, c, "quota", broke)
		require(t, run.result, "error", "RateLimitError", "status_code", "429", "body.type", "error",
			"body.error.type", "billing_error", "body.error.code", "insufficient_quota", "body.error.metadata.limit", "balance",
			"request_id", run.result.Get("body.request_id").String())
		equal(t, "requests sent", run.sent, 1)
		equal(t, "requests upstream", run.upstream, 0)
	})
	t.Run("bad key", func(t *testing.T) {
		run := s.run(t, w, c, "bad_key", wrongKey(key))
		require(t, run.result, "error", "AuthenticationError", "status_code", "401", "body.error.type", "authentication_error", "body.error.code", "invalid_api_key")
		equal(t, "requests sent", run.sent, 1)
		equal(t, "requests upstream", run.upstream, 0)
	})
	// Messages of 0.00314, 0.0035 and 0.0035.
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "9.98986")
	w.requireNoCharge("broke")
}
