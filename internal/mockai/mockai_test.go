package mockai

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

// start serves a Server, its clock fixed.
func start(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return time.Unix(1767225600, 0) }
	}
	s := New(o)
	listener := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		listener.Close()
	})
	return s, listener.URL
}

func client(url string) *openai.Client {
	config := openai.DefaultConfig("sk-test")
	config.BaseURL = url + "/v1"
	return openai.NewClientWithConfig(config)
}

// post sends body and returns the answer; an error while reading is part of it.
func post(t *testing.T, url, body string) (*http.Response, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response, string(content), err
}

// eventually waits until a condition holds that another goroutine brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func chatBody(model, directive string, extra ...string) string {
	return `{"model":"` + model + `","messages":[{"role":"user","content":"` + directive + ` Hi"}]` + strings.Join(extra, "") + `}`
}

func TestAuthentication(t *testing.T) {
	s, url := start(t, Options{RequireKey: "sk-test"})
	if _, err := client(url).ListModels(t.Context()); err != nil {
		t.Fatal(err)
	}
	response, body, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", ""))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"error":{"message":"Incorrect API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}`
	if response.StatusCode != 401 || body != want {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if _, body, _ = post(t, url+"/api/paas/v4/chat/completions", chatBody("glm-4.6", "")); !strings.HasPrefix(body, `{"error":{"code":"1002",`) {
		t.Errorf("BigModel's style: %s", body)
	}
	if got := s.Stats().ByStatus[401]; got != 2 {
		t.Errorf("%d counted as 401, want 2", got)
	}
}

func TestErrorsOfBothStyles(t *testing.T) {
	_, url := start(t, Options{})
	cases := []struct {
		name, path, body string
		status           int
		has              string
	}{
		{"unknown model, OpenAI", "/v1/chat/completions", chatBody("no-such-model", ""), 404, `"code":"model_not_found"}}`},
		{"unknown model, BigModel", "/api/paas/v4/chat/completions", chatBody("no-such-model", ""), 400, `{"error":{"code":"1211"`},
		{"not JSON", "/v1/chat/completions", `{"model":`, 400, `"param":null,"code":null}}`},
		{"no model", "/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`, 400, `"param":"model"`},
		{"no messages", "/v1/chat/completions", `{"model":"gpt-4o"}`, 400, `"param":"messages"`},
		{"no such route", "/v1/chat/nothing", `{}`, 404, "Invalid URL (POST /v1/chat/nothing)"},
		{"asked for 503", "/v1/chat/completions", chatBody("gpt-4o", "mock:status=503"), 503, `"type":"server_error"`},
		{"asked for 429", "/v1/chat/completions", chatBody("glm-4.6", "mock:status=429"), 429, `{"error":{"code":"1302"`},
		{"bad directive", "/v1/chat/completions", chatBody("gpt-4o", "mock:nonsense"), 400, `"code":"invalid_mock_directive"`},
		{
			"stream_options rejected", "/v1/chat/completions",
			chatBody("gpt-4o", "mock:reject-stream-options", `,"stream":true,"stream_options":{"include_usage":true}`),
			400, `"param":"stream_options"`,
		},
		{"image without a picture", "/v1/images/edits", `{"model":`, 400, "parse"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			response, body, err := post(t, url+c.path, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || !strings.Contains(body, c.has) {
				t.Errorf("got %d %s, want %d with %s", response.StatusCode, body, c.status, c.has)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	_, url := start(t, Options{})
	for directive, want := range map[string]string{"mock:status=429": "1", "mock:status=503;retry-after=7": "7", "mock:status=500": ""} {
		response, _, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", directive))
		if err != nil {
			t.Fatal(err)
		}
		if got := response.Header.Get("Retry-After"); got != want {
			t.Errorf("%s: Retry-After %q, want %q", directive, got, want)
		}
	}
}

func TestDirectiveIsReadStrictly(t *testing.T) {
	good := []string{
		"", "no directive at all", "mock:usage=1,2", "mock:hang", "mock:hang=mid;cut=mid-frame", "mock:delay=10ms;chunks=3 and a prompt",
		"mock:status=599;retry-after=0;crlf;comments", "mock:cached=1;reasoning=2;total=3;tier=flex;model=x;finish=length;tool-call=f",
	}
	for _, text := range good {
		p := newPlan(Options{})
		if err := p.apply(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	bad := []string{
		"mock:", "mock:x", "mock:x=1", "mock:usage", "mock:usage=1", "mock:usage=1,-2", "mock:usage=a,b", "mock:status=200", "mock:status=x",
		"mock:delay=10", "mock:delay=-1s", "mock:crlf=1", "mock:crlf;crlf", "mock:cut=nowhere", "mock:hang=", "mock:bytes=99999999999", "mock:cut", "mock:crlf;",
	}
	for _, text := range bad {
		p := newPlan(Options{})
		if err := p.apply(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestWhereADirectiveIsFound(t *testing.T) {
	_, url := start(t, Options{})
	bodies := map[string]string{
		"user":      `{"model":"gpt-4o","user":"mock:status=418","messages":[{"role":"user","content":"mock:status=500"}]}`,
		"message":   chatBody("gpt-4o", "mock:status=418"),
		"parts":     `{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"mock:status=418"}]}]}`,
		"last user": `{"model":"gpt-4o","messages":[{"role":"user","content":"mock:status=500"},{"role":"user","content":"mock:status=418"},{"role":"tool","content":"mock:status=500"}]}`,
	}
	for name, body := range bodies {
		if response, got, err := post(t, url+"/v1/chat/completions", body); err != nil || response.StatusCode != 418 {
			t.Errorf("%s: %v %s", name, err, got)
		}
	}
	for path, body := range map[string]string{
		"completions":        `{"model":"gpt-4o","prompt":"mock:status=418"}`,
		"embeddings":         `{"model":"embedding-3","input":["mock:status=418","x"]}`,
		"images/generations": `{"model":"cogview-4","prompt":"mock:status=418"}`,
	} {
		if response, got, err := post(t, url+"/"+path, body); err != nil || response.StatusCode != 418 {
			t.Errorf("%s: %v %s", path, err, got)
		}
	}
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions", strings.NewReader(chatBody("gpt-4o", "mock:status=500")))
	request.Header.Set("x-mock", "status=418")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 418 {
		t.Errorf("header: got %d", response.StatusCode)
	}
}

func TestFaultLiesOverRequests(t *testing.T) {
	s, url := start(t, Options{})
	if err := s.SetFault("bogus", 1); err == nil {
		t.Error("a bad fault was accepted")
	}
	if err := s.SetFault("status=502", 2); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{502, 502, 200} {
		response, body, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", ""))
		if err != nil || response.StatusCode != want {
			t.Errorf("request %d: %v %s, want %d", i, err, body, want)
		}
	}
	if err := s.SetFault("status=503", 0); err != nil {
		t.Fatal(err)
	}
	if response, _, _ := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "")); response.StatusCode != 503 {
		t.Errorf("got %d", response.StatusCode)
	}
	s.Reset()
	if response, _, _ := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "")); response.StatusCode != 200 {
		t.Errorf("after the reset: %d", response.StatusCode)
	}
}

func TestStatsAndRequests(t *testing.T) {
	s, url := start(t, Options{Keep: 2})
	api := client(url)
	for range 3 {
		_, err := api.CreateChatCompletion(t.Context(), openai.ChatCompletionRequest{
			Model: "gpt-4o", User: "mock:usage=10,5;cached=4", Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "x"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := api.CreateImage(t.Context(), openai.ImageRequest{Model: "cogview-4", Prompt: "x", N: 2}); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(url + "/mock/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"requests":4,"in_flight":0,"completed":4,"aborted_by_client":0,"cut":0,` +
		`"by_route":{"chat/completions":3,"images/generations":1},"by_status":{"200":4},` +
		`"usage":{"prompt_tokens":30,"completion_tokens":15,"total_tokens":45,"cached_tokens":12,"reasoning_tokens":0,"images":2}}` + "\n"
	if string(got) != want {
		t.Errorf("got  %swant %s", got, want)
	}
	kept := s.Requests()
	if len(kept) != 2 || kept[1].Path != "images/generations" || kept[1].URL != "/v1/images/generations" {
		t.Fatalf("kept %+v", kept)
	}
	if kept[0].Header.Get("Authorization") != "Bearer sk-test" || !strings.Contains(string(kept[0].Body), "cached=4") {
		t.Errorf("kept %+v", kept[0])
	}
	reset, err := http.Post(url+"/mock/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reset.Body.Close()
	if after := s.Stats(); after.Requests != 0 || len(after.ByStatus) != 0 || len(s.Requests()) != 0 {
		t.Errorf("after the reset: %+v", after)
	}
}

func TestNoticesAClientThatLeaves(t *testing.T) {
	cases := map[string]string{
		"before the head": chatBody("gpt-4o", "mock:latency=1h"),
		"hanging":         chatBody("gpt-4o", "mock:hang"),
		"mid-stream":      chatBody("gpt-4o", "mock:hang=mid", `,"stream":true`),
		"slow chunks":     chatBody("gpt-4o", "mock:delay=1h", `,"stream":true`),
		"large JSON":      chatBody("gpt-4o", "mock:bytes=50000000;chunks=50;delay=100ms"),
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, Options{})
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					return
				}
				defer response.Body.Close()
				_, _ = io.ReadFull(response.Body, make([]byte, 1))
				<-ctx.Done()
			}()
			eventually(t, "the request arrives", func() bool { return s.Stats().InFlight == 1 })
			leave()
			<-gone
			eventually(t, "the client's leaving is counted", func() bool {
				stats := s.Stats()
				return stats.AbortedByClient == 1 && stats.InFlight == 0 && stats.Completed == 0
			})
		})
	}
}

func TestCloseLetsGoOfWhatHangs(t *testing.T) {
	s, url := start(t, Options{})
	failed := make(chan error, 1)
	go func() {
		_, _, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:hang"))
		failed <- err
	}()
	eventually(t, "the request arrives", func() bool { return s.Stats().InFlight == 1 })
	s.Close()
	if err := <-failed; err == nil {
		t.Error("the hanging request was answered")
	}
}

// Clients write null for what they leave to the API, as LlamaIndex and LangChain do: it is as good as not there.
func TestNullIsNotGiven(t *testing.T) {
	_, url := start(t, Options{})
	for path, c := range map[string]struct{ body, plain string }{
		"/v1/responses": {
			`{"model":"gpt-4o","input":"hi","include":null,"instructions":null,"max_output_tokens":null,"metadata":null,"previous_response_id":null,"tools":null,"user":null}`,
			`{"model":"gpt-4o","input":"hi"}`,
		},
		"/v1/chat/completions": {
			`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"n":null,"max_tokens":null,"stream":null,"stream_options":null,"tools":null,"response_format":null}`,
			`{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}`,
		},
		"/v1/embeddings": {`{"model":"m","input":"hi","dimensions":null,"encoding_format":null}`, `{"model":"m","input":"hi"}`},
		"/v1beta/models/m:generateContent": {
			`{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":null,"candidateCount":null},"tools":null}`,
			`{"contents":[{"parts":[{"text":"hi"}]}]}`,
		},
	} {
		for _, told := range []string{"usage", "usageMetadata", "status", "data.0.embedding.#"} {
			_, got, _ := post(t, url+path, c.body)
			_, want, _ := post(t, url+path, c.plain)
			if gjson.Get(got, told).Raw != gjson.Get(want, told).Raw || gjson.Get(got, "error.message").Exists() {
				t.Errorf("%s: %s, want %s as in %s", path, got, told, want)
			}
		}
	}
}
