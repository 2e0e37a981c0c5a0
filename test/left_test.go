package e2e

import (
	"net/http"
	"testing"
)

// requireLeft compares what an answer says is left. "" is a header that is not there.
func requireLeft(t *testing.T, what string, h http.Header, recharge, packs, key, requests string) {
	t.Helper()
	equal(t, what+": recharge", h.Get("x-tollgate-balance-recharge"), recharge)
	equal(t, what+": packs", h.Get("x-tollgate-pack-remaining"), packs)
	equal(t, what+": key", h.Get("x-tollgate-key-remaining"), key)
	equal(t, what+": requests a minute", h.Get("x-ratelimit-limit-requests"), requests)
}

// Whoever has a key is told what is left with every answer that the ledger was
// asked for, calls or not. How much of the packs that is depends on the model.
func TestEveryAnswerSaysWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "700", "--models", "gpt-*")
	key, _ := w.key("acme", "--models", "gpt-*", "--endpoints", "chat", "--spend-total", "3", "--rpm", "60")
	p := w.serve()
	for what, r := range map[string]reply{
		"another model":    p.post(chatPath, key, chat("glm-4.6", "usage=1,1")),
		"another endpoint": p.post("/v1/embeddings", key, `{"model": "text-embedding-3-small", "input": "x"}`),
	} {
		refusal{status: 403, code: "model_not_allowed", final: true}.require(t, r)
		requireLeft(t, what, r.header, "10", "0", "3", "60")
	}
	for what, r := range map[string]reply{
		"not JSON":      p.post(chatPath, key, "{"),
		"unknown model": p.post(chatPath, key, chat("gpt-unpriced", "usage=1,1")),
		"quote":         p.post("/v1/quote", key, chat("gpt-4o", "usage=1,1")),
		"no such quote": p.post("/v1/quote", key, chat("glm-4.6", "usage=1,1")),
		"models":        p.get("/v1/models", key),
		"credits":       p.get("/v1/credits", key),
		"no receipt":    p.get("/v1/receipts/req_1", key),
	} {
		requireLeft(t, what, r.header, "10", "", "3", "60")
	}
	call := p.post(chatPath, key, chat("gpt-4o", "usage=1,1"))
	requireLeft(t, "call", call.header, "10", "698", "3", "60")
	requireLeft(t, "after it", p.get("/v1/key", key).header, "10", "", "3", "60")
	requireLeft(t, "stranger", p.post(chatPath, key+"x", "{").header, "", "", "", "")
	w.verb("account", "suspend", "acme")
	requireLeft(t, "suspended", p.get("/v1/credits", key).header, "", "", "", "")
}
