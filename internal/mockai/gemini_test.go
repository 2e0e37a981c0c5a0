package mockai

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// contents is the body of a Gemini request; extra are members such as `"tools":[]`.
func contents(directive string, extra ...string) string {
	return `{"contents":[{"role":"user","parts":[{"text":"mock:` + directive + ` Good morning"}]}]` + strings.Join(append([]string{""}, extra...), ",") + "}"
}

const geminiModel = "/v1beta/models/gemini-2.5-flash:"

func TestGeminiShapes(t *testing.T) {
	_, url := start(t, Options{})
	url += geminiModel
	response, body, err := post(t, url+"generateContent", contents("usage=20,30;cached=5;reasoning=4", `"tools":[{"google_search":{}}]`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"candidates.#": "1", "candidates.0.content.parts.0.thought": "true", "candidates.0.content.parts.1.text": sentence[:64], "candidates.0.finishReason": "STOP",
		"candidates.0.groundingMetadata.webSearchQueries.#": "1", "modelVersion": "gemini-2.5-flash",
		"usageMetadata.promptTokenCount": "20", "usageMetadata.candidatesTokenCount": "26", "usageMetadata.thoughtsTokenCount": "4",
		"usageMetadata.cachedContentTokenCount": "5", "usageMetadata.toolUsePromptTokenCount": "500", "usageMetadata.totalTokenCount": "550",
	} {
		if got := gjson.Get(body, path).String(); got != want {
			t.Errorf("%s is %q, want %q in %s", path, got, want, body)
		}
	}
	if response.Header.Get("x-request-id") != "" || !gjson.Valid(body) {
		t.Errorf("headers %v of %s", response.Header, body)
	}
	_, body, _ = post(t, url+"generateContent", contents("finish=blocked"))
	if gjson.Get(body, "candidates").Exists() || gjson.Get(body, "promptFeedback.blockReason").Str == "" || !gjson.Get(body, "usageMetadata").Exists() {
		t.Errorf("blocked: %s", body)
	}
	_, body, _ = post(t, url+"generateContent", contents("tool-call=f"))
	if gjson.Get(body, "candidates.0.content.parts.0.functionCall.args.query").Str == "" {
		t.Errorf("a call: %s", body)
	}
	_, body, _ = post(t, url+"generateContent", contents("chunks=1", `"generation_config":{"max_output_tokens":5,"candidate_count":2}`))
	if gjson.Get(body, "candidates.1.finishReason").Str != "MAX_TOKENS" || gjson.Get(body, "usageMetadata.candidatesTokenCount").Int() != 10 {
		t.Errorf("with a limit: %s", body)
	}
	_, body, _ = post(t, strings.Replace(url, "flash", "flash-image", 1)+"generateContent", contents("chunks=1"))
	if gjson.Get(body, "candidates.0.content.parts.1.inlineData.mimeType").Str != "image/png" || gjson.Get(body, "usageMetadata.candidatesTokensDetails.0.tokenCount").Int() != 1290 {
		t.Errorf("an image: %s", body)
	}
}

func TestGeminiStreamShapes(t *testing.T) {
	_, url := start(t, Options{})
	url += geminiModel + "streamGenerateContent"
	response, body, _ := post(t, url+"?alt=sse", contents("usage=20,30;chunks=3"))
	events := strings.Split(strings.TrimSpace(body), "\n\n")
	last := strings.TrimPrefix(events[len(events)-1], "data: ")
	if len(events) != 3 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") || gjson.Get(last, "candidates.0.finishReason").Str != "STOP" ||
		gjson.Get(last, "usageMetadata.totalTokenCount").Int() != 50 || strings.Count(body, "finishReason") != 1 {
		t.Errorf("events: %v %s", response.Header, body)
	}
	response, body, _ = post(t, url, contents("usage=20,30;chunks=3"))
	array := gjson.Parse(body)
	if !gjson.Valid(body) || len(array.Array()) != 3 || response.Header.Get("Content-Type") != "application/json" || array.Get("2.usageMetadata.totalTokenCount").Int() != 50 {
		t.Errorf("an array: %v %s", response.Header, body)
	}
	_, body, _ = post(t, url, contents("chunks=4;error-event"))
	if !gjson.Valid(body) || gjson.Get(body, "2.error.status").Str != "INTERNAL" {
		t.Errorf("failed on the way: %s", body)
	}
	if _, body, _ = post(t, url, contents("chunks=2;no-done")); gjson.Valid(body) {
		t.Errorf("without its end: %s", body)
	}
}

func TestGeminiErrorsAndOthers(t *testing.T) {
	_, url := start(t, Options{RequireKey: "k"})
	for path, want := range map[string]int{"generateContent": 401, "streamGenerateContent": 401, "predict": 401} {
		if response, body, _ := post(t, url+geminiModel+path, contents("chunks=1")); response.StatusCode != want || !strings.Contains(body, `"status":"UNAUTHENTICATED"`) {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
	_, url = start(t, Options{})
	url += geminiModel
	for name, c := range map[string]struct {
		method, body string
		status       int
	}{
		"no contents":     {"generateContent", `{}`, 400},
		"another model":   {"generateContent", contents("chunks=1", `"model":"models/other"`), 400},
		"no JSON":         {"generateContent", `{`, 400},
		"no method":       {"generate", `{}`, 404},
		"told to fail":    {"generateContent", contents("status=503"), 503},
		"no requests":     {"batchEmbedContents", `{}`, 400},
		"no content":      {"embedContent", `{}`, 400},
		"others in batch": {"batchEmbedContents", `{"requests":[{"model":"models/other","content":{"parts":[]}}]}`, 400},
	} {
		response, body, _ := post(t, url+c.method, c.body)
		if response.StatusCode != c.status || int(gjson.Get(body, "error.code").Int()) != c.status || gjson.Get(body, "error.status").Str == "" {
			t.Errorf("%s: %d %s", name, response.StatusCode, body)
		}
	}
	for method, c := range map[string]struct{ body, want string }{
		"embedContent":       {`{"model":"models/gemini-2.5-flash","content":{"parts":[{"text":"Good morning"}]},"outputDimensionality":2}`, `{"embedding":{"values":[-0.033333335,0.030633334]}}`},
		"batchEmbedContents": {`{"requests":[{"content":{"parts":[{"text":"mock:usage=9,0"}]},"outputDimensionality":1}]}`, `{"embeddings":[{"values":[-0.033333335]}],"usageMetadata":{"promptTokenCount":9}}`},
		"countTokens":        {`{"contents":[{"parts":{"text":"Good morning"}}]}`, `{"totalTokens":9}`},
	} {
		if response, body, _ := post(t, url+method, c.body); response.StatusCode != http.StatusOK || body != c.want {
			t.Errorf("%s: %d %s", method, response.StatusCode, body)
		}
	}
}
