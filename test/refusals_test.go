package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// refusal is a row of the table in docs/errors.md.
type refusal struct {
	status int
	code   string
	kind   string // "": any
	final  bool   // x-should-retry: false, and no Retry-After
	retry  bool   // Retry-After and retry-after-ms
}

// require compares an answer with the row.
func (want refusal) require(t *testing.T, r reply) {
	t.Helper()
	equal(t, "status", r.status, want.status)
	equal(t, "content type", r.header.Get("Content-Type"), "application/json")
	problem := r.get("error")
	for _, member := range []string{"message", "type", "param", "code"} {
		if !problem.Get(member).Exists() {
			t.Errorf("error.%s is missing: %s", member, r.body)
		}
	}
	if problem.Get("code").Type != gjson.String || problem.Get("message").String() == "" || problem.Get("type").String() == "" {
		t.Errorf("not OpenAI's error shape: %s", r.body)
	}
	equal(t, "code", problem.Get("code").String(), want.code)
	if want.kind != "" {
		equal(t, "type", problem.Get("type").String(), want.kind)
	}
	if !strings.HasPrefix(r.header.Get("x-request-id"), "req_") {
		t.Errorf("x-request-id is %q", r.header.Get("x-request-id"))
	}
	for _, name := range []string{"cost", "usage-input", "usage-cached-input", "usage-output", "usage-total", "paid-pack", "paid-bonus", "paid-recharge"} {
		equal(t, name, r.header.Get("x-tollgate-"+name), "0")
	}
	want.requireRetry(t, r)
}

func (want refusal) requireRetry(t *testing.T, r reply) {
	t.Helper()
	after, afterMS := r.header.Get("Retry-After"), r.header.Get("retry-after-ms")
	switch {
	case want.final:
		equal(t, "x-should-retry", r.header.Get("x-should-retry"), "false")
		equal(t, "Retry-After", after+afterMS, "")
	case want.retry:
		seconds, err := strconv.Atoi(after)
		ms, errMS := strconv.Atoi(afterMS)
		if err != nil || errMS != nil || seconds < 1 || ms < 1 {
			t.Errorf("Retry-After %q, retry-after-ms %q", after, afterMS)
		}
		equal(t, "x-should-retry", r.header.Get("x-should-retry"), "")
	}
}

// Unknown, revoked and expired keys: 401.
func TestRefusedKeys(t *testing.T) {
	w, p, key := acme(t)
	want := refusal{status: 401, code: "invalid_api_key", kind: "invalid_request_error", final: true}
	body := chat("gpt-4o", "usage=1,1")
	for _, bad := range []string{"", "sk-something", "tg-acme-wrong", "tg-nobody-" + key[len("tg-acme-"):], wrongKey(key), key + "x"} {
		want.require(t, p.post(chatPath, bad, body))
		want.require(t, p.get("/v1/models", bad))
	}
	secret, id := w.key("acme")
	p.post(chatPath, secret, body).requireStatus(t, 200)
	w.verb("key", "revoke", id)
	want.require(t, p.post(chatPath, secret, body)) // at once

	soon, _ := w.key("acme", "--expires", time.Now().Add(5*time.Second).UTC().Format(time.RFC3339))
	eventually(t, "the key expires", func() bool { return p.post(chatPath, soon, body).status != 200 })
	want.require(t, p.post(chatPath, soon, body))
}

// wrongKey is a key that looks like one, and is not.
func wrongKey(key string) string {
	last := "a"
	if strings.HasSuffix(key, last) {
		last = "b"
	}
	return key[:len(key)-1] + last
}

// The credential is taken from wherever SDKs put it.
func TestCredentialHeaders(t *testing.T) {
	_, p, key := acme(t)
	for _, name := range []string{"x-api-key", "api-key", "x-goog-api-key"} {
		p.post(chatPath, "", chat("gpt-4o", "usage=1,1"), name, key).requireStatus(t, 200)
	}
}

func TestRefusedAccount(t *testing.T) {
	w, p, key := acme(t)
	w.verb("account", "suspend", "acme")
	refusal{status: 403, code: "account_suspended", final: true}.require(t, p.post(chatPath, key, chat("gpt-4o", "usage=1,1")))
	w.verb("account", "resume", "acme")
	p.post(chatPath, key, chat("gpt-4o", "usage=1,1")).requireStatus(t, 200)
}

// The address that Tollgate sees is the load balancer's, as often as not: its log says which it was. The client is not told.
func TestRefusedNetwork(t *testing.T) {
	w, p, _ := acme(t)
	key, _ := w.key("acme", "--networks", "10.0.0.0/8")
	for what, r := range map[string]reply{"a call": p.post(chatPath, key, chat("gpt-4o", "usage=1,1")), "a holder": p.get("/v1/key", key)} {
		refusal{status: 403, code: "network_not_allowed", final: true}.require(t, r)
		if strings.Contains(r.body, "127.0.0.1") {
			t.Errorf("%s is told %s", what, r.body)
		}
	}
	p.stop()
	equal(t, "lines of the log with the address", strings.Count(p.stderr.String(), `"from":"127.0.0.1"`), 2)
}

func TestRefusedModels(t *testing.T) {
	w, p, key := acme(t)
	narrow, _ := w.key("acme", "--models", "glm-*,cogview-4")
	forbidden := refusal{status: 403, code: "model_not_allowed", final: true}
	forbidden.require(t, p.post(chatPath, narrow, chat("gpt-4o", "usage=1,1")))
	p.post(chatPath, narrow, chat("glm-4.6", "usage=1,1")).requireStatus(t, 200)
	unknown := refusal{status: 404, code: "model_not_found", final: true}
	unknown.require(t, p.post(chatPath, key, chat("gpt-unpriced", "usage=1,1")))
	unknown.require(t, p.post(imagePath, key, image("gpt-4o", "images=1"))) // priced, but for chat only
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 1)
}

// What is truly exhausted is not to be tried again; the metadata says how much there is.
func TestRefusedForFunds(t *testing.T) {
	for _, status := range []int{429, 402} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			w := newWorld(t, policy("quota_status: "+strconv.Itoa(status)))
			w.account("acme", "0.03")
			key, _ := w.key("acme")
			limited, _ := w.key("acme", "--spend-total", "0.003")
			p := w.serve()
			r := p.post(chatPath, key, affordableChat("usage=10,1", 2000)) // 0.06 and the prompt
			refusal{status: status, code: "insufficient_quota", kind: "insufficient_quota", final: true}.require(t, r)
			about := r.get("error.metadata")
			equal(t, "available", about.Get("available").String(), "0.03")
			if about.Get("limit").String() == "" || !strings.HasPrefix(about.Get("required").String(), "0.06") {
				t.Errorf("metadata %s", about.Raw)
			}
			requireAffordable(t, w, p, key, about.Get("affordable_output_tokens"))

			r = p.post(chatPath, limited, chat("gpt-4o", "usage=1,1", `"max_tokens":200`))
			refusal{status: status, code: "key_quota_exceeded", kind: "insufficient_quota", final: true}.require(t, r)
			equal(t, "available to the key", r.get("error.metadata.available").String(), "0.003")
			w.requireSettled("acme")
		})
	}
}

// requireAffordable demands that a request of that many output tokens fits, and of one more does not.
func requireAffordable(t *testing.T, w *world, p *process, key string, affordable gjson.Result) {
	t.Helper()
	n := affordable.Int()
	if n < 900 || n >= 1000 {
		t.Errorf("%d output tokens are said to be affordable for 0.03 at 30/1M", n)
	}
	more := p.post(chatPath, key, affordableChat("usage=10,1", n+1))
	equal(t, "status with one token more", more.get("error.code").String(), "insufficient_quota")
	fits := p.post(chatPath, key, affordableChat("status=400", n))
	equal(t, "status with what is affordable, from the upstream", fits.status, 400)
	if fits.header.Get("x-upstream-request-id") == "" {
		t.Errorf("refused: %s", fits.body)
	}
}

// Who had said no limit, and now says the one that is said to fit, is served:
// saying it makes the request longer.
func TestAffordableOfAnUnlimitedRequest(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "0.01")
	key, _ := w.key("acme")
	p := w.serve()
	n := p.post(chatPath, key, chat("gpt-4o", "status=400")).get("error.metadata.affordable_output_tokens").Int()
	if n == 0 {
		t.Fatal("nothing is said to be affordable")
	}
	for _, limit := range []string{`"max_tokens":%d`, `"max_completion_tokens": %d`} {
		fits := p.post(chatPath, key, chat("gpt-4o", "status=400", fmt.Sprintf(limit, n)))
		equal(t, "status from the upstream", fits.status, 400)
	}
}

// What is said to be affordable is so by all limits, not by the one that is named alone; and a pack that comes after the
// wallets gives nothing where it is the key that may spend no more.
func TestAffordableByEveryLimit(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "1")
	p := w.serve()
	for _, limits := range [][]string{
		{"--tokens", "500"},
		{"--tpm", "500"},
		{"--tokens", "2000", "--tpm", "500"},
		{"--spend-total", "0.01"},
		{"--spend-daily", "0.01", "--tokens", "5000"},
	} {
		for _, pack := range []bool{false, true} {
			if pack {
				w.verb("pack", "grant", "acme", "--quantity", "100000", "--order", "after_balance")
			}
			key, _ := w.key("acme", limits...)
			n := p.post(chatPath, key, affordableChat("status=400", 200_000)).get("error.metadata.affordable_output_tokens").Int()
			if n == 0 {
				t.Fatalf("%v, packs %t: nothing is said to be affordable", limits, pack)
			}
			equal(t, fmt.Sprintf("status with what is affordable under %v, packs %t", limits, pack),
				p.post(chatPath, key, affordableChat("status=400", n)).status, 400)
		}
	}
}

// A line whose tier ends below what the request may use comes to less than its quantity at its rate, and a pack that covers
// a part of it first makes that good.
func TestAffordableInATierThatEnds(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - models: [gpt-4o]
    tiers:
      - {input: "[0,100)", rates: {input: 1000/1M, output: 30/1M}}
      - {input: "[100,)", rates: {input: 1/1M, output: 30/1M}}
`
	})
	w.account("acme", "0.08")
	w.verb("pack", "grant", "acme", "--quantity", "400")
	key, _ := w.key("acme")
	p := w.serve()
	n := p.post(chatPath, key, affordableChat("status=400", 9000)).get("error.metadata.affordable_output_tokens").Int()
	if n == 0 {
		t.Fatal("nothing is said to be affordable")
	}
	fits := p.post(chatPath, key, affordableChat("status=400", n))
	equal(t, fmt.Sprintf("status with %d tokens, from the upstream", n), fits.status, 400)
}

// affordableChat is a request whose length does not depend on n: what it may
// use as input is always the same.
func affordableChat(directive string, n int64) string {
	return chat("gpt-4o", directive, fmt.Sprintf(`"max_tokens":%4d`, n))
}

// What the account's own requests hold comes back soon: that is worth a retry.
func TestRefusedForHolds(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "0.06")
	key, _ := w.key("acme")
	p := w.serve()
	open := w.up.hold()
	first := make(chan reply, 1)
	go func() { first <- p.send("POST", imagePath, key, image("cogview-4", "images=1")) }()
	eventually(t, "the first is upstream", func() bool { return w.up.waiting.Load() == 1 })
	r := p.post(imagePath, key, image("cogview-4", "images=1"))
	refusal{status: 429, code: "in_flight_quota_exhausted", kind: "rate_limit_error", retry: true}.require(t, r)
	if seconds, _ := strconv.Atoi(r.header.Get("Retry-After")); seconds > 8 {
		t.Errorf("Retry-After %d is more than SDKs honour", seconds)
	}
	open()
	(<-first).requireStatus(t, 200)
}

// Limits a minute and in parallel come with OpenAI's rate limit headers.
func TestRefusedForRate(t *testing.T) {
	w, p, _ := acme(t)
	want := refusal{status: 429, code: "rate_limit_exceeded", retry: true}
	key, _ := w.key("acme", "--rpm", "1")
	ok := p.post(chatPath, key, chat("gpt-4o", "usage=1,1"))
	ok.requireStatus(t, 200)
	requireHeaders(t, ok.header, "x-ratelimit-limit-requests", "1", "x-ratelimit-remaining-requests", "0",
		"x-ratelimit-limit-tokens", "2000000") // the key has no such limit: the upstream's stays
	equal(t, "requests left this minute", p.get("/v1/key", key).get("remaining.rpm").Raw, "0")
	r := p.post(chatPath, key, chat("gpt-4o", "usage=1,1"))
	want.require(t, r)
	requireHeaders(t, r.header, "x-ratelimit-limit-requests", "1", "x-ratelimit-remaining-requests", "0")
	if reset, err := time.ParseDuration(r.header.Get("x-ratelimit-reset-requests")); err != nil || reset <= 0 || reset > time.Minute {
		t.Errorf("x-ratelimit-reset-requests is %q", r.header.Get("x-ratelimit-reset-requests"))
	}
	tokens, _ := w.key("acme", "--tpm", "3000")
	p.post(chatPath, tokens, chat("gpt-4o", "usage=1000,1000", `"max_tokens":2000`)).requireStatus(t, 200)
	want.require(t, p.post(chatPath, tokens, chat("gpt-4o", "usage=1,1", `"max_tokens":2000`)))

	parallel, _ := w.key("acme", "--parallel", "1")
	open := w.up.hold()
	defer open()
	go p.send("POST", chatPath, parallel, chat("gpt-4o", "usage=1,1"))
	eventually(t, "the first is upstream", func() bool { return w.up.waiting.Load() == 1 })
	want.require(t, p.post(chatPath, parallel, chat("gpt-4o", "usage=1,1")))
}

// What is no request at all.
func TestRefusedRequests(t *testing.T) {
	w, p, key := acme(t, policy("max_body: 2000"))
	invalid := refusal{status: 400, code: "invalid_request", kind: "invalid_request_error", final: true}
	for _, body := range []string{`{"model":`, `[]`, `{"messages":[]}`, `{"model":7,"messages":[]}`, ``} {
		invalid.require(t, p.post(chatPath, key, body))
	}
	large := `{"model":"gpt-4o","messages":[{"role":"user","content":"` + strings.Repeat("x", 2000) + `"}]}`
	refusal{status: 413, code: "request_too_large", final: true}.require(t, p.post(chatPath, key, large))
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
	w.requireNoCharge("acme")
}

// Who announces too much is told so before it sends it, and is not asked to send it.
func TestRefusedBeforeTheBody(t *testing.T) {
	_, p, key := acme(t, policy("max_body: 2000"))
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		conn := p.dial()
		say(t, conn, "POST "+chatPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n"+expect+"Content-Length: 2001\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		equal(t, "status", response.StatusCode, 413)
		equal(t, "code", gjson.GetBytes(body, "error.code").String(), "request_too_large")
	}
}

// Upstream away and timed out.
func TestRefusedByTheUpstream(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	dead := "  - {name: dead, base_url: \"" + deadURL(t) + "/v1\", api_key: x, models: [\"glm-*\"]}\n"
	slow := "  - {name: slow, base_url: \"" + w.up.url + "/v1\", api_key: " + upstreamKey + ", models: [\"gpt-*\"], timeout: 200ms}\n"
	w.withUpstreams(dead, slow)
	p := w.serve()
	refusal{status: 502, code: "upstream_unavailable"}.require(t, p.post(chatPath, key, chat("glm-4.6", "usage=1,1")))
	refusal{status: 504, code: "upstream_timeout"}.require(t, p.post(chatPath, key, chat("gpt-4o", "hang")))
}
