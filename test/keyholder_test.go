package e2e

import (
	"slices"
	"strings"
	"testing"
)

// What a key holder may ask, without being charged.
func TestKeyHolderRoutes(t *testing.T) {
	w, p, key := acme(t, func(s *settings) { s.prices += "  - {models: [cogvideox-3], endpoints: [videos], rates: {video: 1}}\n" })
	w.verb("topup", "acme", "5", "--wallet", "bonus")
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "1000", "--models", "glm-*")
	narrow, id := w.key("acme", "--models", "glm-4.6,cogview-4", "--spend-total", "2", "--rpm", "100")

	models := p.get("/v1/models", narrow)
	models.requireStatus(t, 200)
	equal(t, "object", models.get("object").String(), "list")
	var names []string
	for _, model := range models.get("data").Array() {
		names = append(names, model.Get("id").String())
		equal(t, "object of a model", model.Get("object").String(), "model")
	}
	slices.Sort(names)
	equal(t, "models of the narrow key", strings.Join(names, " "), "cogview-4 glm-4.6")
	if !strings.Contains(models.body, "14/1M") || !strings.Contains(models.body, "0.06") {
		t.Errorf("the models come without their prices: %s", models.body)
	}
	all := p.get("/v1/models", key)
	if !strings.Contains(all.body, `"gpt-4o"`) || !strings.Contains(all.body, `"text-embedding-3-small"`) {
		t.Errorf("models of a key without limits: %s", all.body)
	}

	chatOnly, _ := w.key("acme", "--models", "glm-*,cogview-4", "--endpoints", "chat")
	for name, status := range map[string]int{
		"glm-4.6": 200, "cogview-4": 404, // of another endpoint
	} {
		equal(t, "status of "+name, p.get("/v1/models/"+name, chatOnly).status, status)
	}
	equal(t, "status of what is priced, but has no route", p.get("/v1/models/cogvideox-3", key).status, 404)

	about := p.get("/v1/key", narrow)
	about.requireStatus(t, 200)
	if !strings.HasPrefix(about.header.Get("X-Request-Id"), "req_") || about.header.Get("Content-Type") != "application/json" {
		t.Errorf("an answer without its id or type: %v", about.header)
	}
	equal(t, "key", about.get("id").String(), id)
	equal(t, "limit", about.get("limits.spend_total").String(), "2")
	equal(t, "requests left this minute", about.get("remaining.rpm").Int(), 100)
	equal(t, "a limit that the key has not", about.get("remaining.tpm").Exists(), false)
	if strings.Contains(about.body, narrow) {
		t.Error("the secret is shown again")
	}

	credits := p.get("/v1/credits", key)
	credits.requireStatus(t, 200)
	equal(t, "recharge", credits.get("wallets.recharge.free").String(), "10")
	equal(t, "bonus", credits.get("wallets.bonus.free").String(), "5")
	equal(t, "pack", credits.get("packs.0.free").Int(), 1000)

	w.requireNoCharge("acme")
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
}

// A receipt belongs to its account.
func TestReceiptsAreOnesOwn(t *testing.T) {
	w, p, key := acme(t)
	w.account("other", "10")
	other, _ := w.key("other")
	second, _ := w.key("acme")
	r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50"))
	path := "/v1/receipts/" + r.header.Get("x-request-id")
	for _, own := range []string{key, second} {
		receipt := p.get(path, own)
		receipt.requireStatus(t, 200)
		equal(t, "fee", receipt.get("fee").String(), r.header.Get("x-tollgate-cost"))
		equal(t, "model", receipt.get("model").String(), "gpt-4o")
		equal(t, "account", receipt.get("account").String(), "acme")
	}
	unknown := refusal{status: 404, code: "receipt_not_found", kind: "invalid_request_error", final: true}
	unknown.require(t, p.get(path, other))
	unknown.require(t, p.get("/v1/receipts/req_nothing", key))
}

// A quote is the most that a request can cost, and costs nothing itself.
func TestQuoteRoute(t *testing.T) {
	w, p, key := acme(t)
	body := chat("gpt-4o", "usage=100,50", `"max_tokens":1000`)
	quote := p.post("/v1/quote", key, body)
	quote.requireStatus(t, 200)
	equal(t, "currency", quote.get("currency").String(), "CNY")
	if !strings.HasPrefix(quote.get("fee").String(), "0.03") || len(quote.get("lines").Array()) == 0 || quote.get("price_version").String() == "" {
		t.Errorf("got %s", quote.body)
	}
	image := p.post("/v1/quote", key, `{"model":"cogview-4","prompt":"A cat","n":2}`)
	equal(t, "fee of two images", image.get("fee").String(), "0.12")
	text := p.post("/v1/quote", key, `{"model":"gpt-4o","prompt":"A cat"}`) // a completion that sets no limit
	equal(t, "what a prompt to a model of text is for", text.get("lines.#.dimension").String(), `["input","output"]`)
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
	w.requireNoCharge("acme")
}

// P8: what is not metered is not passed on.
func TestUnknownRoutesAreNotPassed(t *testing.T) {
	w, p, key := acme(t)
	for _, path := range []string{
		"/v1/nothing", "/v1/chat/completions/extra", "/v1/files", "/v2/chat/completions", "/", "/v1", "/mock/stats",
		"/v1/../mock/stats", "/api/paas/v3/chat/completions", "/chat/completions", "//v1/chat/completions", "/v1//chat/completions",
	} {
		r := p.post(path, key, chat("gpt-4o", "usage=1,1"))
		equal(t, path+": status", r.status, 404)
		equal(t, path+": type", r.get("error.type").String(), "invalid_request_error")
		if !r.get("error.code").Exists() || !r.get("error.param").Exists() || r.get("error.message").String() == "" {
			t.Errorf("%s: not OpenAI's error shape: %s", path, r.body)
		}
	}
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
}

// The commonest slip in a base_url is told as what it is.
func TestWrongBaseURL(t *testing.T) {
	_, p, key := acme(t)
	for path, meant := range map[string]string{
		"/chat/completions": chatPath, "/v1/v1/chat/completions": chatPath, "//v1/chat/completions": chatPath, "/v1/embeddings/": embeddingPath,
		"/v1/threads": "", "/v2/chat/completions": "", "/": "",
	} {
		message := p.post(path, key, chat("gpt-4o", "usage=1,1")).get("error.message").String()
		if strings.Contains(message, "Did you mean "+meant+"?") != (meant != "") || strings.Contains(message, "Did you mean") != (meant != "") {
			t.Errorf("%s: %s", path, message)
		}
	}
	if r := p.get("/models", key); !strings.Contains(r.body, "Did you mean /v1/models?") {
		t.Errorf("/models: %s", r.body)
	}
}

// BigModel's SDKs use a prefix of their own; what is behind it is the same.
func TestBigModelPrefix(t *testing.T) {
	w, p, key := acme(t)
	p.post("/api/paas/v4/chat/completions", key, chat("glm-4.6", "usage=100,50")).requireStatus(t, 200)
	p.post("/api/paas/v4/embeddings", key, `{"model":"embedding-3","input":"one"}`).requireStatus(t, 200)
	p.post("/api/paas/v4/images/generations", key, image("cogview-4", "images=1")).requireStatus(t, 200)
	p.get("/api/paas/v4/models", key).requireStatus(t, 200)
	for _, request := range w.up.Requests() {
		if !strings.HasPrefix(request.URL, "/v1/") {
			t.Errorf("sent to %s, want the upstream's base_url and what follows our prefix", request.URL)
		}
		equal(t, "credential upstream", request.Header.Get("Authorization"), "Bearer "+upstreamKey)
		if strings.Contains(strings.Join(request.Header.Values("x-api-key"), "")+request.Header.Get("Cookie"), key) {
			t.Error("the client's key went upstream")
		}
	}
	w.requireSettled("acme")
}

// Legacy completions are chat by another name, and edits come as forms.
func TestOtherEndpoints(t *testing.T) {
	w, p, key := acme(t)
	r := p.post("/v1/completions", key, `{"model":"gpt-4o","prompt":"mock:usage=100,50"}`)
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0025")
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ndall-e-2\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--b--\r\n"
	for _, path := range []string{"/v1/images/edits", "/v1/images/variations"} {
		r := p.post(path, key, form, "Content-Type", "multipart/form-data; boundary=b")
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", "0.6")
		requests := w.up.Requests()
		equal(t, "the form upstream", string(requests[len(requests)-1].Body), form)
	}
	w.requireSettled("acme")
}

// A body nested without end is refused, and not followed down: that would end the process.
func TestQuoteOfADeepBody(t *testing.T) {
	_, p, key := acme(t)
	const levels = 100_000
	deep := `{"model":"gpt-4o","usage":{"input":1},"x":` + strings.Repeat("[", levels) + strings.Repeat("]", levels) + `}`
	r := p.post("/v1/quote", key, deep)
	refusal{status: 400, code: "invalid_request", kind: "invalid_request_error", final: true}.require(t, r)
}
