package mockai

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

func TestChatWithAClient(t *testing.T) {
	_, url := start(t, Options{})
	request := openai.ChatCompletionRequest{
		Model: "gpt-4o", N: 2,
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Good morning"}}, // 12 bytes
	}
	answer, err := client(url).CreateChatCompletion(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Choices) != 2 || answer.Choices[1].Message.Content != sentence || answer.Choices[0].FinishReason != openai.FinishReasonStop {
		t.Errorf("choices %+v", answer.Choices)
	}
	if answer.Usage.PromptTokens != 3+3+3 || answer.Usage.CompletionTokens != 2*16 || answer.Usage.TotalTokens != 41 {
		t.Errorf("usage %+v", answer.Usage)
	}
	request.N, request.MaxTokens, request.User = 1, 5, "mock:cached=4;reasoning=2;tier=flex"
	answer, err = client(url).CreateChatCompletion(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Choices[0].FinishReason != openai.FinishReasonLength || answer.Choices[0].Message.Content != sentence[:20] {
		t.Errorf("choice %+v", answer.Choices[0])
	}
	if answer.Usage.PromptTokensDetails.CachedTokens != 4 || answer.Usage.CompletionTokensDetails.ReasoningTokens != 2 ||
		answer.Usage.CompletionTokens != 7 || answer.ServiceTier != openai.ServiceTierFlex {
		t.Errorf("usage %+v tier %s", answer.Usage, answer.ServiceTier)
	}
}

func TestAToolResultIsInput(t *testing.T) {
	_, url := start(t, Options{})
	messages := []openai.ChatCompletionMessage{{Role: "user", Content: "mock:tool-call=search What is the weather?"}}
	request := openai.ChatCompletionRequest{Model: "glm-4.6", Messages: messages}
	first, err := client(url).CreateChatCompletion(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	call := first.Choices[0].Message
	if first.Choices[0].FinishReason != openai.FinishReasonToolCalls || len(call.ToolCalls) != 1 || call.ToolCalls[0].Function.Name != "search" {
		t.Fatalf("got %+v", first.Choices[0])
	}
	result := strings.Repeat("x", 400)
	request.Messages = append(request.Messages, call, openai.ChatCompletionMessage{Role: "tool", Content: result, ToolCallID: call.ToolCalls[0].ID})
	request.User = "mock:finish=stop"
	second, err := client(url).CreateChatCompletion(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	want := 3 + 3 + 100 + int(tokens(len(toolArguments))) // two messages, the result, the call
	if grown := second.Usage.PromptTokens - first.Usage.PromptTokens; grown != want {
		t.Errorf("the prompt grew by %d, want %d", grown, want)
	}
}

func TestStreamWithAClient(t *testing.T) {
	_, url := start(t, Options{})
	for _, asked := range []bool{false, true} {
		request := openai.ChatCompletionRequest{
			Model: "gpt-4o", User: "mock:usage=100,50;chunks=7",
			Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "x"}},
		}
		if asked {
			request.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
		}
		stream, err := client(url).CreateChatCompletionStream(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		var used *openai.Usage
		frames := 0
		for {
			chunk, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			frames++
			for _, choice := range chunk.Choices {
				text.WriteString(choice.Delta.Content)
			}
			if chunk.Usage != nil {
				used = chunk.Usage
			}
		}
		stream.Close()
		if text.String() != sentence || (used != nil) != asked || asked && used.TotalTokens != 150 {
			t.Errorf("asked %v: %q, usage %+v", asked, text.String(), used)
		}
		if want := 1 + 7 + 1 + int(flag(asked)); frames != want {
			t.Errorf("asked %v: %d chunks, want %d", asked, frames, want)
		}
	}
}

const openAIChunk = `data: {"id":"chatcmpl-mock1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_mock","choices":[`

func TestStreamShapes(t *testing.T) {
	const choice = `{"index":0,`
	const bigChunk = `data: {"id":"20260101000000001","request_id":"20260101000000001","created":1767225600,"model":"glm-4.6","choices":[{"index":0,`
	cases := []struct{ name, body, want string }{
		{"OpenAI, not asked", chatBody("gpt-4o", "mock:bytes=5;chunks=1", `,"stream":true`), "" +
			openAIChunk + choice + `"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}]}` + "\n\n" +
			openAIChunk + choice + `"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}` + "\n\n" +
			openAIChunk + choice + `"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"},
		{"OpenAI, asked", chatBody("gpt-4o", "mock:bytes=5;chunks=1;usage=19,10", `,"stream":true,"stream_options":{"include_usage":true}`), "" +
			openAIChunk + choice + `"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n" +
			openAIChunk + choice + `"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n" +
			openAIChunk + choice + `"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}` + "\n\n" +
			openAIChunk + `],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},` +
			`"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}` + "\n\ndata: [DONE]\n\n"},
		{"BigModel", chatBody("glm-4.6", "mock:bytes=5;chunks=1;usage=8,262;cached=0;reasoning=1;tool-results=1", `,"stream":true`), "" +
			bigChunk + `"delta":{"role":"assistant","reasoning_content":"Hell"}}]}` + "\n\n" +
			bigChunk + `"delta":{"role":"assistant","content":"Hello"}}]}` + "\n\n" +
			bigChunk + `"delta":{"role":"assistant","content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":262,"total_tokens":270,` +
			`"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":1}},` +
			`"web_search":[{"title":"Result 1","link":"https://search.mock.invalid/1","content":"` + sentence + `","media":"mock","refer":"ref_1"}]}` + "\n\ndata: [DONE]\n\n"},
		{"CRLF, comments, no space, no end", chatBody("glm-4.6", "mock:bytes=5;chunks=1;no-usage;crlf;comments;no-space;no-done;no-blank", `,"stream":true`), "" +
			": keep-alive\r\n\r\n" + "data:" + bigChunk[6:] + `"delta":{"role":"assistant","content":"Hello"}}]}` + "\r\n\r\n" +
			": keep-alive\r\n\r\n" + "data:" + bigChunk[6:] + `"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}` + "\r\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, url := start(t, Options{})
			response, body, err := post(t, url+"/v1/chat/completions", c.body)
			if err != nil || response.StatusCode != 200 {
				t.Fatal(err, body)
			}
			if body != c.want {
				t.Errorf("got\n%s\nwant\n%s", body, c.want)
			}
			if !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
				t.Errorf("content type %q", response.Header.Get("Content-Type"))
			}
		})
	}
}

func TestChatShapes(t *testing.T) {
	cases := []struct{ name, path, body, want string }{
		{
			"OpenAI", "/v1/chat/completions", chatBody("gpt-4o", "mock:bytes=5;usage=1,2;null-usage"),
			`{"id":"chatcmpl-mock1","object":"chat.completion","created":1767225600,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_mock",` +
				`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":null}`,
		},
		{
			"BigModel", "/api/paas/v4/chat/completions", chatBody("glm-4.6", "mock:bytes=5;usage=1200,300;cached=800;reasoning=1;float-usage;finish=sensitive"),
			`{"id":"20260101000000001","request_id":"20260101000000001","created":1767225600,"model":"glm-4.6",` +
				`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning_content":"Hell"},"finish_reason":"sensitive"}],` +
				`"usage":{"prompt_tokens":1200.0,"completion_tokens":300.0,"total_tokens":1500.0,"prompt_tokens_details":{"cached_tokens":800.0},` +
				`"completion_tokens_details":{"reasoning_tokens":1.0}},"content_filter":[{"role":"assistant","level":0}]}`,
		},
		{
			"completions", "/v1/completions", `{"model":"gpt-4o","prompt":"mock:bytes=5;no-usage"}`,
			`{"id":"cmpl-mock1","object":"text_completion","created":1767225600,"model":"gpt-4o","service_tier":"default","system_fingerprint":"fp_mock",` +
				`"choices":[{"index":0,"text":"Hello","logprobs":null,"finish_reason":"stop"}]}`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, url := start(t, Options{})
			_, body, err := post(t, url+c.path, c.body)
			if err != nil {
				t.Fatal(err)
			}
			if body != c.want {
				t.Errorf("got\n%s\nwant\n%s", body, c.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	_, url := start(t, Options{})
	response, _, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x-request-id", "openai-processing-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "content-length"} {
		if response.Header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	response, _, err = post(t, url+"/v1/chat/completions", chatBody("glm-4.6", ""))
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Get("x-request-id") != "" {
		t.Error("BigModel has no x-request-id header")
	}
}

func TestCumulativeUsage(t *testing.T) {
	_, url := start(t, Options{})
	_, body, err := post(t, url+"/v1/chat/completions", chatBody("glm-4.6", "mock:usage=10,40;chunks=4;cumulative", `,"stream":true`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"completion_tokens":10,"total_tokens":20`, `"completion_tokens":20,`, `"completion_tokens":30,`, `"completion_tokens":40,"total_tokens":50`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

func TestBreaksOff(t *testing.T) {
	cases := []struct {
		name, directive string
		stream          bool
		clean           bool // the body ends as if that were all
		has, hasNot     string
	}{
		{"JSON after the head", "cut=head", false, false, "", "{"},
		{"JSON half way", "cut=mid-body", false, false, `{"id"`, `"usage"`},
		{"JSON before the end", "cut=end", false, false, `"usage"`, "}}}}"},
		{"stream after the head", "cut=head", true, false, "", "data"},
		{"stream half way", "cut=mid-body", true, false, "delta", "finish_reason\":\"stop"},
		{"stream in a frame", "cut=mid-frame", true, false, "delta", "finish_reason\":\"stop"},
		{"stream before the end", "cut=end", true, false, "finish_reason\":\"stop", "[DONE]"},
		{"stream, cleanly", "cut=clean", true, true, "delta", "finish_reason\":\"stop"},
		{"stream, error event", "error-event", true, true, `data: {"error":{"message":`, "[DONE]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, url := start(t, Options{})
			extra := ""
			if c.stream {
				extra = `,"stream":true`
			}
			_, body, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:"+c.directive, extra))
			if (err == nil) != c.clean {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(body, c.has) || strings.Contains(body, c.hasNot) {
				t.Errorf("got %s", body)
			}
			if want := flag(!c.clean); s.Stats().Cut != want {
				t.Errorf("%d counted as cut, want %d", s.Stats().Cut, want)
			}
		})
	}
	_, url := start(t, Options{})
	if _, _, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:close")); err == nil {
		t.Error("close: there was an answer")
	}
}

func TestGzipUnasked(t *testing.T) {
	_, url := start(t, Options{})
	for _, extra := range []string{"", `,"stream":true`} {
		response, body, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:gzip", extra))
		if err != nil || response.Header.Get("Content-Encoding") != "gzip" {
			t.Fatal(err, response.Header)
		}
		plain, err := gzip.NewReader(bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(plain)
		if err != nil || !bytes.Contains(content, []byte("Hell")) {
			t.Errorf("%v: %s", err, content)
		}
	}
}

func TestLargeReplies(t *testing.T) {
	_, url := start(t, Options{})
	_, whole, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:bytes=5000000"))
	if err != nil || len(whole) < 5_000_000 {
		t.Fatal(err, len(whole))
	}
	_, frame, err := post(t, url+"/v1/chat/completions", chatBody("gpt-4o", "mock:bytes=1000000;chunks=1", `,"stream":true`))
	if err != nil || strings.Count(frame, "\n\n") != 4 || len(frame) < 1_000_000 {
		t.Fatal(err, len(frame), strings.Count(frame, "\n\n"))
	}
}

// A list of prompts is answered with a choice for each, or n for each; LangChain and LiteLLM send such lists.
func TestEachPromptIsCompleted(t *testing.T) {
	_, url := start(t, Options{})
	for body, want := range map[string]int64{
		`{"model":"m","prompt":"a"}`: 1, `{"model":"m","prompt":["a","b","c"]}`: 3, `{"model":"m","prompt":["a","b"],"n":2}`: 4, `{"model":"m","prompt":[1,2,3]}`: 1,
	} {
		_, answer, err := post(t, url+"/v1/completions", body)
		if err != nil {
			t.Fatal(err)
		}
		if got := gjson.Get(answer, "choices.#").Int(); got != want || gjson.Get(answer, "usage.completion_tokens").Int() != 16*want {
			t.Errorf("%s: %d choices, want %d: %s", body, got, want, answer)
		}
	}
}
