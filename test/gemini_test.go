package e2e

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"
)

const (
	geminiModels   = "/v1beta/models/"
	generatePath   = geminiModels + "gemini-2.5-flash:generateContent"
	generateStream = geminiModels + "gemini-2.5-flash:streamGenerateContent"
	generateEvents = generateStream + "?alt=sse"
)

// geminiPrices are round: of gemini-2.5-flash, 100 in and 50 out cost 0.0035.
const geminiPrices = testPrices + `  - models: [gemini-2.5-flash, gemini-3-flash, fast]
    endpoints: [tokenizer]
    rates: {call: 0}
  - models: [gemini-2.5-flash, gemini-3-flash, fast]
    endpoints: [chat]
    rates: {input: 10/1M, cached_input: 1/1M, input_audio: 100/1M, output: 50/1M, reasoning: 60/1M}
  - models: [gemini-2.5-flash-image]
    endpoints: [chat]
    rates: {input: 10/1M, output: 50/1M, output_image: 100/1M}
  - models: [gemini-embedding-001]
    endpoints: [embeddings]
    rates: {input: 100/1M}
  - tools: [web_search]
    when: {engine: google_search}
    rates: {search: 0.1}
`

// withGemini serves gemini-* by an upstream of kind gemini, beside those of OpenAI and BigModel.
func withGemini(more string) func(*settings) {
	return func(s *settings) {
		s.prices = geminiPrices
		s.upstreams = `  - {name: sim, base_url: "UPSTREAM/v1", api_key: "` + upstreamKey + `", models: ["gpt-*", "glm-*"]}
  - {name: google, kind: gemini, base_url: "UPSTREAM/v1beta", api_key: "` + upstreamKey + `", models: ["gemini-*", {fast: gemini-2.5-flash}]` + more + `}
`
	}
}

// gemini is acme with an upstream of kind gemini.
func gemini(t *testing.T, more string, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	return acmeAt(t, append([]func(*settings){withGemini(more)}, change...)...)
}

// contents is the body of a Gemini request; more are members such as `"tools":[]`.
func contents(directive string, more ...string) string {
	members := append([]string{
		`"contents":[{"role":"user","parts":[{"text":"mock:` + directive + ` Please say hello."}]}]`, `"generationConfig":{"maxOutputTokens":200}`,
	}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// generate asks as Google's SDK does.
func (p *process) generate(path, key, body string, headers ...string) reply {
	p.t.Helper()
	return p.post(path, "", body, append([]string{"x-goog-api-key", key}, headers...)...)
}

func TestGemini(t *testing.T) {
	w, p, key := gemini(t, "")
	body := contents("usage=1000,50;cached=400;reasoning=20")
	r := p.generate(generatePath, key, body, "x-goog-api-client", "google-genai-sdk/1", "x-goog-fieldmask", "candidates", "x-http-method-override", "GET", "accept", "application/x-protobuf")
	r.requireStatus(t, 200)
	equal(t, "body", r.body, string(w.up.lastSent()))
	// 600 × 10 + 400 × 1 + 30 × 50 + 20 × 60, by the million.
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0091", "x-tollgate-usage-source", "upstream",
		"x-tollgate-usage-input", "1000", "x-tollgate-usage-cached-input", "400", "x-tollgate-usage-output", "50", "x-tollgate-usage-total", "1050",
		"x-tollgate-balance-recharge", "9.9909")
	sent := w.up.Requests()[0]
	equal(t, "path upstream", sent.URL, generatePath)
	requireHeaders(t, sent.Header, "x-goog-api-key", upstreamKey, "authorization", "", "x-goog-fieldmask", "", "x-http-method-override", "", "accept", "")
	equal(t, "body upstream", string(sent.Body), body)

	// The key in the query, which stays here as all of it does, and as a bearer.
	r = p.post(generatePath+"?key="+key+"&fields=candidates&$alt=proto&alt=json&prettyPrint=false&model=gemini-3-flash", "", contents("usage=100,50"))
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0035")
	equal(t, "path upstream", w.up.Requests()[1].URL, generatePath+"?alt=json")
	r = p.post("/v1beta/models/gemini%2D2.5-flash%3AgenerateContent", key, contents("usage=100,50"))
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0035")
	equal(t, "path upstream", w.up.Requests()[2].URL, generatePath)
	equal(t, "a key in the query elsewhere", p.post(chatPath+"?key="+key, "", chat("gpt-4o", "usage=1,1")).status, 401)

	entry := w.entries("acme", "charge")[0]
	for path, want := range map[string]string{
		"endpoint": "generateContent", "model": "gemini-2.5-flash", "usage.input": "600", "usage.cached_input": "400", "usage.output": "30", "usage.reasoning": "20", "usage_source": "upstream",
	} {
		equal(t, path, entry.Get(path).String(), want)
	}
	if stored := p.get("/v1/receipts/"+r.header.Get("x-request-id"), key); stored.status != 200 {
		t.Errorf("no receipt: %s", stored.body)
	}
	w.requireSettled("acme")
}

// P7, and P6: of either kind of stream the bytes are the upstream's, and its last word is billed.
func TestGeminiStreams(t *testing.T) {
	w, p, key := gemini(t, "")
	for _, path := range []string{generateEvents, generateStream, generateStream + "?alt=json"} {
		for _, directive := range []string{
			"chunks=20", "chunks=20;crlf", "chunks=20;comments;no-space", "chunks=20;no-blank", "chunks=300", "chunks=1", "chunks=3;tool-call=f", "chunks=2;finish=SAFETY",
			"chunks=1;finish=blocked", "chunks=0;bytes=0",
		} {
			if strings.Contains(directive, "comments") && path != generateEvents {
				continue
			}
			r := p.send("POST", path, key, contents("usage=100,50;"+directive))
			equal(t, directive+": error", r.err, nil)
			if sent := string(w.up.lastSent()); r.body != sent {
				t.Errorf("%s %s: the client got\n%s\nthe upstream sent\n%s", path, directive, tail(r.body), tail(sent))
			}
			requireHeaders(t, r.trailer, "x-tollgate-cost", "0.0035", "x-tollgate-usage-source", "upstream")
			if r.header.Get("x-tollgate-hold") == "" {
				t.Errorf("%s: %v", path, r.header)
			}
		}
	}
	equal(t, "path upstream", w.up.Requests()[0].URL, generateEvents)
	w.requireSettled("acme")
}

// P3: the end of either stream is not delivered before its charge is booked: what ends it brings text, too.
func TestEndOfGeminiIsWithheldUntilBooked(t *testing.T) {
	for path, end := range map[string]string{generateEvents: "STOP", generateStream: "\n]"} {
		w, p, key := gemini(t, "")
		requireEndWithheld(t, w, p, key, stalled{
			before: 3, path: path, body: contents("usage=100,50;chunks=5"), here: `"text"`, end: end, early: []string{"finishReason", "\n]", "always "},
		})
	}
}

// A stream without its end is charged for what it told until then and for what came after, and the client
// cannot take it for whole.
func TestGeminiThatIsCut(t *testing.T) {
	for path, directives := range map[string][]string{
		generateEvents: {"cut=mid-body", "cut=mid-frame", "cut=clean"}, generateStream: {"cut=mid-body", "cut=mid-frame", "cut=clean", "no-done"},
	} {
		for _, directive := range directives {
			t.Run(path+" "+directive, func(t *testing.T) {
				w, p, key := gemini(t, "")
				r := p.send("POST", path, key, contents("usage=100,200;bytes=800;chunks=40;"+directive))
				if r.err == nil || gjson.Valid(r.body) {
					t.Errorf("it looks whole: %s", tail(r.body))
				}
				charge := w.onlyCharge("acme")
				if output := charge.Get("usage.output").Int(); output < 90 || output > 200 || charge.Get("usage.input").Int() != 100 {
					t.Errorf("charged for %s", charge.Get("usage").Raw)
				}
			})
		}
	}
}

// An answer without usage is estimated, and never free; a blocked prompt is billed by its usage.
func TestGeminiWithoutUsage(t *testing.T) {
	w, p, key := gemini(t, "")
	for _, path := range []string{generatePath, generateStream, generateEvents} {
		for _, directive := range []string{"no-usage", "null-usage"} {
			p.generate(path, key, contents(directive)).requireStatus(t, 200)
		}
	}
	p.generate(generatePath, key, contents("finish=blocked;usage=70,0")).requireStatus(t, 200)
	w.requireSettled("acme")
	charges := w.entries("acme", "charge")
	equal(t, "charges", len(charges), 7)
	for _, charge := range charges[:6] {
		if charge.Get("usage_source").String() != "estimated" || charge.Get("usage.input").Int() < 4 || charge.Get("usage.output").Int() < 8 {
			t.Errorf("charged %s", charge.Raw)
		}
	}
	equal(t, "blocked", charges[6].Get("usage").Raw, `{"input":70}`)
}

// Searches are counted in the answer: one for it, or each, as the model is billed.
func TestGeminiSearches(t *testing.T) {
	w, p, key := gemini(t, "")
	const tool = `"tools":[{"google_search":{}}]`
	for path, cost := range map[string]string{
		generatePath: "0.1185", generateEvents: "0.1185", geminiModels + "gemini-3-flash:generateContent": "0.3185", geminiModels + "gemini-3-flash:streamGenerateContent": "0.3185",
	} {
		r := p.generate(path, key, contents("usage=100,50;tool-results=3", tool)) // and 1500 tokens of what they found
		equal(t, path, r.header.Get("x-tollgate-cost")+r.trailer.Get("x-tollgate-cost"), cost)
	}
	equal(t, "a tool without a price", p.generate(generatePath, key, contents("usage=1,1", `"tools":[{"codeExecution":{}}]`)).status, 404)
	equal(t, "an unknown tool", p.generate(generatePath, key, contents("usage=1,1", `"tools":[{"exaAiSearch":{}}]`)).status, 400)
	w.requireSettled("acme")
}

// What a model makes is priced by what it is, and held for although nobody asked for it.
func TestGeminiImages(t *testing.T) {
	w, p, key := gemini(t, "")
	r := p.generate(geminiModels+"gemini-2.5-flash-image:generateContent", key, contents("chunks=1"))
	r.requireStatus(t, 200)
	charge := w.onlyCharge("acme")
	equal(t, "images", charge.Get("usage.output_image").Int(), 1290)
	if hold, fee := charge.Get("hold").Float(), charge.Get("fee").Float(); hold < fee || hold < 0.8 {
		t.Errorf("held %v, charged %v", hold, fee)
	}
}

// A model may have another name upstream: there it stands in the path, and wherever else the client named it.
func TestGeminiRenamed(t *testing.T) {
	w, p, key := gemini(t, "")
	r := p.generate(geminiModels+"fast:generateContent", key, contents("usage=100,50", `"model":"models/fast"`))
	requireHeaders(t, r.header, "x-tollgate-cost", "0.0035")
	sent := w.up.Requests()[0]
	equal(t, "path upstream", sent.URL, generatePath)
	equal(t, "body upstream", string(sent.Body), contents("usage=100,50", `"model":"models/gemini-2.5-flash"`))
	equal(t, "charged", w.onlyCharge("acme").Get("model").String(), "fast")
	equal(t, "another model in the body", p.generate(generatePath, key, contents("usage=1,1", `"model":"models/gemini-3-flash"`)).status, 400)
	equal(t, "requests upstream", w.up.Stats().Requests, 1)
}

func TestGeminiEmbeddingsAndCounts(t *testing.T) {
	w, p, key := gemini(t, "")
	const model = geminiModels + "gemini-embedding-001:"
	r := p.generate(model+"embedContent", key, `{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"What does prepaid mean?"}]}}`)
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-usage-source", "estimated", "x-tollgate-usage-input", "5", "x-tollgate-cost", "0.0005")
	r = p.generate(model+"batchEmbedContents", key, `{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"mock:usage=9,0 one"}]}}]}`)
	requireHeaders(t, r.header, "x-tollgate-usage-source", "upstream", "x-tollgate-cost", "0.0009")
	equal(t, "another model in a batch", p.generate(model+"batchEmbedContents", key, `{"requests":[{"model":"models/dear","content":{"parts":[]}}]}`).status, 400)
	r = p.generate(geminiModels+"gemini-2.5-flash:countTokens", key, contents("usage=7,0"))
	r.requireStatus(t, 200)
	requireHeaders(t, r.header, "x-tollgate-cost", "0", "x-tollgate-usage-input", "0")
	only, _ := w.key("acme", "--endpoints", "generateContent")
	equal(t, "for a key of contents alone", p.generate(geminiModels+"gemini-2.5-flash:countTokens", only, contents("usage=7,0")).status, 403)
	w.requireSettled("acme")
}

// Refusals have Google's shape on its routes, with the statuses, codes and headers of all others.
func TestGeminiRefusals(t *testing.T) {
	w, p, key := gemini(t, "", func(s *settings) { s.policy = "max_body: 1MiB" })
	w.account("broke", "0.0001")
	broke, _ := w.key("broke")
	picky, _ := w.key("acme", "--models", "gpt-*")
	slow, _ := w.key("acme", "--rpm", "1")
	body := contents("usage=1,1")
	part := func(part string) string { return `{"contents":[{"parts":[` + part + `]}]}` }
	p.generate(generatePath, slow, body).requireStatus(t, 200)
	for name, c := range map[string]struct {
		r            reply
		status       int
		google, code string
		final        bool
	}{
		"no key":               {p.generate(generatePath, "", body), 401, "UNAUTHENTICATED", "invalid_api_key", true},
		"a bad key":            {p.generate(generatePath, wrongKey(key), body), 401, "UNAUTHENTICATED", "invalid_api_key", true},
		"a bad key in a query": {p.post(generatePath+"?key="+wrongKey(key), "", body), 401, "UNAUTHENTICATED", "invalid_api_key", true},
		"a model not to be":    {p.generate(generatePath, picky, body), 403, "PERMISSION_DENIED", "model_not_allowed", true},
		"no such model":        {p.generate(geminiModels+"gemini-1:generateContent", key, body), 404, "NOT_FOUND", "model_not_found", true},
		"another's model":      {p.generate(geminiModels+"gpt-4o:generateContent", key, body), 404, "NOT_FOUND", "model_not_found", true},
		"a tuned model":        {p.generate("/v1beta/tunedModels/mine:generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"a model in a folder":  {p.generate(geminiModels+"models/gemini-2.5-flash:generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"an escaped folder":    {p.generate(geminiModels+"x%2Fgemini-2.5-flash:generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"escaped twice":        {p.generate(geminiModels+"x%252Fgemini-2.5-flash:generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"two colons":           {p.generate(geminiModels+"gemini-2.5-flash:predict:generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"another method":       {p.generate(geminiModels+"gemini-2.5-flash:batchGenerateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"no model":             {p.generate(geminiModels+":generateContent", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"twice":                {p.generate("/v1"+generatePath, key, body), 404, "NOT_FOUND", "unknown_url", true},
		"files":                {p.generate("/v1beta/files", key, body), 404, "NOT_FOUND", "unknown_url", true},
		"the wrong method":     {p.send(http.MethodGet, generatePath, key, ""), 405, "INVALID_ARGUMENT", "method_not_allowed", true},
		"another form":         {p.generate(generatePath+"?alt=proto", key, body), 400, "INVALID_ARGUMENT", "invalid_request", true},
		"two forms":            {p.generate(generateStream+"?alt=sse&alt=proto", key, body), 400, "INVALID_ARGUMENT", "invalid_request", true},
		"no JSON":              {p.generate(generatePath, key, "{"), 400, "INVALID_ARGUMENT", "invalid_request", true},
		"two spellings":        {p.generate(generatePath, key, contents("usage=1,1", `"generation_config":{"max_output_tokens":9}`)), 400, "INVALID_ARGUMENT", "invalid_request", true},
		"too large":            {p.generate(generatePath, key, contents(strings.Repeat("x", 2<<20))), 413, "INVALID_ARGUMENT", "request_too_large", true},
		"no money":             {p.generate(generatePath, broke, body), 429, "RESOURCE_EXHAUSTED", "insufficient_quota", true},
		"too often":            {p.generate(generatePath, slow, body), 429, "RESOURCE_EXHAUSTED", "rate_limit_exceeded", false},
		"another's file":       {p.generate(generatePath, key, part(`{"fileData":{"fileUri":"files/abc"}}`)), 404, "NOT_FOUND", "object_not_found", true},
		"a file as Google":     {p.generate(generatePath, key, part(`{"file_data":{"file_uri":"https://Generativelanguage.googleapis.com:443/v1beta/files/abc"}}`)), 404, "NOT_FOUND", "object_not_found", true},
		"another's prompt":     {p.generate(generatePath, key, contents("usage=1,1", `"cached_content":"cachedContents/abc"`)), 404, "NOT_FOUND", "object_not_found", true},
		"another's store":      {p.generate(generatePath, key, contents("usage=1,1", `"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/a"]}}]`)), 404, "NOT_FOUND", "object_not_found", true},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "status", c.r.status, c.status)
			for path, want := range map[string]string{
				"error.code": strconv.Itoa(c.status), "error.status": c.google, "error.details.0.reason": c.code,
			} {
				if got := c.r.get(path).String(); got != want {
					t.Errorf("%s is %q, want %q in %s", path, got, want, c.r.body)
				}
			}
			equal(t, "cost", c.r.header.Get("x-tollgate-cost"), "0")
			equal(t, "x-should-retry: false", c.r.header.Get("x-should-retry") == "false", c.final)
			equal(t, "Retry-After", c.r.header.Get("Retry-After") != "", !c.final)
			equal(t, "details", c.r.get("error.details.#").String(), map[bool]string{true: "1", false: "2"}[c.final])
			equal(t, "RetryInfo", c.r.get("error.details.1.retryDelay").Exists(), !c.final)
			if c.r.get("error.message").String() == "" || c.r.header.Get("x-request-id") == "" || c.code == "insufficient_quota" != c.r.get("error.details.0.metadata.required").Exists() {
				t.Errorf("it says %s", c.r.body)
			}
		})
	}
	equal(t, "requests upstream", w.up.Stats().Requests, 1)
	r := p.generate(generateStream, key, contents("status=503"))
	equal(t, "status", r.status, 503)
	equal(t, "the upstream's own error", r.body, string(w.up.lastSent()))
	w.requireSettled("acme")
	w.requireNoCharge("broke")
}

// An upstream that says so shares what is kept there.
func TestGeminiOfSharedObjects(t *testing.T) {
	w, p, key := gemini(t, ", shared_objects: true")
	w.verb("topup", "acme", "100") // for all that a model takes in
	p.generate(generatePath, key, contents("usage=100,50", `"cachedContent":"cachedContents/abc"`)).requireStatus(t, 200)
	w.requireSettled("acme")
}

// P1: a balance for 2 calls serves 2, though 20 come at once.
func TestNoOverspendByGemini(t *testing.T) {
	w, p, _ := gemini(t, "")
	body := contents("usage=100,200;bytes=100;chunks=3;delay=20ms")
	probe, _ := w.key("acme")
	held := p.generate(generateEvents, probe, body)
	held.requireStatus(t, 200)
	hold, fee := gjson.Parse(held.header.Get("x-tollgate-hold")).Float(), gjson.Parse(held.trailer.Get("x-tollgate-cost")).Float()
	w.account("thin", strconv.FormatFloat(2*hold+hold/2, 'f', 6, 64))
	key, _ := w.key("thin")
	var served sync.WaitGroup
	open := w.up.hold()
	statuses := make([]int, 20)
	for i := range statuses {
		served.Add(1)
		go func() {
			defer served.Done()
			statuses[i] = p.send("POST", []string{generatePath, generateStream, generateEvents}[i%3], key, body).status
		}()
	}
	eventually(t, "two calls are upstream", func() bool { return w.up.waiting.Load() == 2 })
	eventually(t, "the others are refused", func() bool {
		refused := 0
		for _, line := range []string{"in_flight_quota_exhausted", "insufficient_quota"} {
			refused += strings.Count(p.stderr.String(), line)
		}
		return refused >= 18
	})
	open()
	served.Wait()
	got := 0
	for _, status := range statuses {
		if status == 200 {
			got++
		}
	}
	equal(t, "served", got, 2)
	if hold < fee {
		t.Errorf("held %v, charged %v", hold, fee)
	}
	w.requireSettled("thin")
	equal(t, "charges", len(w.entries("thin", "charge")), 2)
}

// Who may use what is told in Google's form, too; and all else that speaks of models goes by it.
func TestGeminiModelsAndQuotes(t *testing.T) {
	w, p, key := gemini(t, "")
	models := p.send("GET", "/v1beta/models?key="+key+"&pageSize=50", "", "")
	models.requireStatus(t, 200)
	equal(t, "methods", models.get(`models.#(name=="models/gemini-2.5-flash").supportedGenerationMethods`).Raw, `["generateContent","streamGenerateContent","countTokens"]`)
	equal(t, "embeddings", models.get(`models.#(name=="models/gemini-embedding-001").supportedGenerationMethods`).Raw, `["embedContent","batchEmbedContents"]`)
	equal(t, "another's", models.get(`models.#(name=="models/gpt-4o")`).Exists(), false)
	equal(t, "one", p.get("/v1beta/models/gemini-2.5-flash", key).get("name").String(), "models/gemini-2.5-flash")
	equal(t, "none", p.get("/v1beta/models/gpt-4o", key).get("error.status").String(), "NOT_FOUND")
	equal(t, "nobody's", p.get("/v1beta/models", "").get("error.status").String(), "UNAUTHENTICATED")
	equal(t, "owner", p.get("/v1/models", key).get(`data.#(id=="gemini-2.5-flash").owned_by`).String(), "google")
	equal(t, "at another route", p.post(chatPath, key, chat("gemini-2.5-flash", "usage=1,1")).get("error.code").String(), "model_not_found")
	for _, ask := range []struct{ query, body string }{
		{"", contents("usage=1,1", `"model":"gemini-2.5-flash"`)},
		{"?endpoint=" + generatePath, contents("usage=1,1")},
		{"?endpoint=generateContent", contents("usage=1,1", `"model":"models/gemini-2.5-flash"`)},
	} {
		quote := p.post("/v1/quote"+ask.query, key, ask.body)
		quote.requireStatus(t, 200)
		equal(t, "a ceiling", quote.get("ceiling").Bool(), true)
	}
	quote := p.post("/v1/quote", key, `{"model":"gemini-2.5-flash","usage":{"input":100,"output":50}}`)
	equal(t, "fee", quote.get("fee").String(), "0.0035")
	equal(t, "the verb's fee", w.verb("quote", "gemini-2.5-flash", "--endpoint", "generateContent", "--input", "100", "--output", "50").Get("fee").String(), "0.0035")
	equal(t, "checked", w.verb("check").Get(`upstreams.#(name=="google").used`).Bool(), true)
	w.requireSettled("acme")
}

// The cost is put into the usage object, where the client asks for it.
func TestGeminiTellsItsCost(t *testing.T) {
	w, p, key := gemini(t, "")
	r := p.generate(generatePath, key, contents("usage=100,50"), "x-tollgate-receipt", "body")
	equal(t, "cost", r.get("usageMetadata.cost").String(), "0.0035")
	r = p.generate(generateStream, key, contents("usage=100,50;chunks=3"), "x-tollgate-receipt", "body")
	equal(t, "cost", r.get("2.usageMetadata.cost").String(), "0.0035")
	equal(t, "valid", gjson.Valid(r.body), true)
	r = p.generate(generateEvents, key, contents("usage=100,50;chunks=3"), "x-tollgate-receipt", "body")
	equal(t, "costs told", strings.Count(r.body, `"cost":`), 1)
	w.requireSettled("acme")
}

// It is served by the next of its upstreams, each by its own name of the model, on one hold and for one charge.
func TestGeminiFailsOver(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.prices = geminiPrices })
	w.account("acme", "10")
	key, _ := w.key("acme")
	first := startUpstream(t, w.made.mock)
	if err := first.SetFault("status=503", 0); err != nil {
		t.Fatal(err)
	}
	w.made.upstreams = ""
	for name, url := range map[string]string{"1": first.url, "2": w.up.url} {
		w.made.upstreams += `  - {name: google` + name + `, kind: gemini, base_url: "` + url + `/v1beta", api_key: "` + upstreamKey + `", priority: ` + name + `, models: [{fast: gemini-` + name + `}]}` + "\n"
	}
	w.writeConfig()
	p := w.serve()
	for i, method := range []string{"generateContent", "streamGenerateContent", "streamGenerateContent?alt=sse"} {
		p.generate(geminiModels+"fast:"+method, key, contents("usage=100,50")).requireStatus(t, 200)
		eventually(t, "it is booked", func() bool { return len(w.entries("acme", "charge")) == i+1 })
		equal(t, "fee", w.entries("acme", "charge")[i].Get("fee").String(), "0.0035")
		equal(t, "the second was asked", w.up.Requests()[i].URL, geminiModels+"gemini-2:"+method)
		equal(t, "the first was asked", first.Requests()[i].URL, geminiModels+"gemini-1:"+method)
	}
	w.requireSettled("acme")
}

// Whoever leaves a stream of either form, by any policy, has used what the upstream made until then, once.
func TestGeminiStreamsAreLeft(t *testing.T) {
	for _, policy := range []string{"drain", "cancel"} {
		t.Run(policy, func(t *testing.T) {
			w, p, key := gemini(t, "", func(s *settings) { s.policy = "on_disconnect: " + policy + ", drain: 500ms" })
			for i, path := range []string{generateEvents, generateStream} {
				r, err := p.call(t.Context(), http.MethodPost, path, key, contents("usage=100,200;bytes=4000;chunks=40;hang=mid"))
				if err != nil {
					t.Fatal(err)
				}
				readUntil(t, r.Body, `"text"`, 5) // before it hangs
				r.Body.Close()
				eventually(t, "it is booked", func() bool { return len(w.entries("acme", "charge")) == i+1 })
				charge := w.entries("acme", "charge")[i]
				if output := charge.Get("usage.output").Int(); output < 5 || charge.Get("usage.input").Int() != 100 {
					t.Errorf("%s: charged %s", path, charge.Raw)
				}
			}
			w.requireSettled("acme")
		})
	}
}
