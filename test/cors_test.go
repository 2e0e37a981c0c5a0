package e2e

import (
	"testing"
)

// The script of a page that the policy lets in may ask, call, stream and read what it cost; one of another page is told nothing.
func TestPagesThatMayCall(t *testing.T) {
	_, p, key := acme(t, func(s *settings) { s.policy = `cors_origins: ["https://chat.example.com"]` })
	const page, other = "https://chat.example.com", "https://evil.example.com"
	ask := func(origin string) reply {
		return p.send("OPTIONS", chatPath, "", "", "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang")
	}
	preflight := ask(page)
	equal(t, "status of a preflight", preflight.status, 204)
	equal(t, "who may", preflight.header.Get("Access-Control-Allow-Origin"), page)
	equal(t, "with which headers", preflight.header.Get("Access-Control-Allow-Headers"), "authorization,content-type,x-stainless-lang")
	equal(t, "by which methods", preflight.header.Get("Access-Control-Allow-Methods"), "GET, POST, DELETE")
	if preflight.header.Get("x-request-id") == "" {
		t.Error("a preflight's answer has no id")
	}
	for name, r := range map[string]reply{
		"an answer":  p.post(chatPath, key, chat("gpt-4o", "usage=100,50"), "Origin", page),
		"a stream":   p.post(chatPath, key, chat("gpt-4o", "usage=100,50", streamed), "Origin", page),
		"a refusal":  p.post(chatPath, wrongKey(key), chat("gpt-4o", "usage=1,1"), "Origin", page),
		"the models": p.send("GET", "/v1/models", key, "", "Origin", page),
	} {
		equal(t, name+": who may read", r.header.Get("Access-Control-Allow-Origin"), page)
		equal(t, name+": what", r.header.Get("Access-Control-Expose-Headers"), "*")
	}

	refused := ask(other)
	equal(t, "status of another page's preflight", refused.status, 405)
	for name, r := range map[string]reply{
		"another page's preflight": refused,
		"another page's call":      p.post(chatPath, key, chat("gpt-4o", "usage=100,50"), "Origin", other),
		"a call from no page":      p.post(chatPath, key, chat("gpt-4o", "usage=100,50")),
	} {
		equal(t, name+": who may read", r.header.Get("Access-Control-Allow-Origin"), "")
	}
	equal(t, "status of an OPTIONS that is no preflight", p.send("OPTIONS", chatPath, "", "", "Origin", page).status, 405)
}

// Any page, if the policy says so; none, if it says nothing.
func TestAnyPageOrNone(t *testing.T) {
	for policy, want := range map[string]string{`cors_origins: ["*"]`: "null", "": ""} {
		_, p, _ := acme(t, func(s *settings) { s.policy = policy })
		r := p.send("OPTIONS", chatPath, "", "", "Origin", "null", "Access-Control-Request-Method", "POST")
		equal(t, policy+": who may", r.header.Get("Access-Control-Allow-Origin"), want)
	}
}
