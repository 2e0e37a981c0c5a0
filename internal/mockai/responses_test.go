package mockai

import (
	"errors"
	"io"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

func TestResponseWithAClient(t *testing.T) {
	_, url := start(t, Options{})
	request := openai.CreateResponseRequest{Model: "gpt-4o", Input: "Good morning"} // 12 bytes
	answer, err := client(url).CreateResponse(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != "completed" || len(answer.Output) != 1 || answer.GetOutputText() != sentence {
		t.Errorf("got %+v", answer)
	}
	if u := answer.Usage; u.InputTokens != 3+3+3 || u.OutputTokens != 16 || u.TotalTokens != 25 {
		t.Errorf("usage %+v", u)
	}
	request.MaxOutputTokens, request.User = 5, "mock:cached=4;reasoning=2;tier=flex"
	answer, err = client(url).CreateResponse(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != "incomplete" || answer.IncompleteDetails.Reason != "max_output_tokens" || answer.GetOutputText() != sentence[:20] {
		t.Errorf("got %+v", answer)
	}
	if u := answer.Usage; u.InputTokensDetails.CachedTokens != 4 || u.OutputTokensDetails.ReasoningTokens != 2 || u.OutputTokens != 7 || answer.ServiceTier != "flex" {
		t.Errorf("usage %+v tier %s", answer.Usage, answer.ServiceTier)
	}
}

// The events of a stream come in the API's order, and numbered.
func TestResponseStreamWithAClient(t *testing.T) {
	_, url := start(t, Options{})
	const begin, end = "created in_progress ", "output_text.done content_part.done output_item.done completed"
	for _, tt := range []struct{ directive, tools, events string }{
		{"chunks=2", "", "output_item.added content_part.added output_text.delta output_text.delta " + end},
		{"chunks=1;reasoning=3", "", "output_item.added output_item.done output_item.added content_part.added output_text.delta " + end},
		{
			"chunks=1", "web_search", "output_item.added web_search_call.in_progress web_search_call.searching web_search_call.completed output_item.done " +
				"output_item.added content_part.added output_text.delta " + end,
		},
		{"tool-call=search", "", "output_item.added function_call_arguments.delta function_call_arguments.done output_item.done completed"},
		{"finish=failed", "", "failed"},
		{"bytes=0;finish=content_filter", "", "output_item.added content_part.added output_text.done content_part.done output_item.done incomplete"},
	} {
		request := openai.CreateResponseRequest{Model: "gpt-4o", Input: "x", User: "mock:usage=100,50;" + tt.directive}
		if tt.tools != "" {
			request.Tools = []openai.ResponseTool{{Type: openai.ToolType(tt.tools)}}
		}
		stream, err := client(url).CreateResponseStream(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		var events []string
		var last openai.ResponseStreamEvent
		for {
			event, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", tt.directive, err)
			}
			if event.SequenceNumber != len(events) {
				t.Errorf("%s: event %d has the number %d", tt.directive, len(events), event.SequenceNumber)
			}
			events = append(events, strings.TrimPrefix(string(event.Type), "response."))
			last = event
		}
		stream.Close()
		if got := strings.Join(events, " "); got != begin+tt.events {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.directive, got, begin+tt.events)
		}
		if u := last.Response.Usage; u == nil || u.InputTokens != 100 || u.OutputTokens != 50 {
			t.Errorf("%s: usage %+v", tt.directive, u)
		}
	}
}

func TestResponsesCountTheirInput(t *testing.T) {
	_, url := start(t, Options{})
	for input, want := range map[string]int64{
		`"input":"12345678"`: 3 + 3 + 2,
		`"input":[{"role":"user","content":"12345678"},{"type":"function_call_output","call_id":"c","output":"1234"}]`:             3 + 3 + 2 + 3 + 1,
		`"input":[{"role":"user","content":[{"type":"input_text","text":"1234"},{"type":"input_image","image_url":"https://x"}]}]`: 3 + 3 + 1 + 85,
		`"input":"12345678","instructions":"1234"`:                    3 + 3 + 2 + 1,
		`"input":"12345678","conversation":"conv_1"`:                  3 + 3 + 2 + storedTokens,
		`"input":"12345678","tools":[{"type":"web_search"}]`:          3 + 3 + 2 + tokens(len(`[{"type":"web_search"}]`)) + searchTokens,
		`"input":"12345678","user":"mock:tool-results=3","tools":[]`:  3 + 3 + 2 + 1 + 3*searchTokens,
		`"input":"1","user":"mock:tool-results=3","max_tool_calls":2`: 3 + 3 + 1 + 2*searchTokens,
	} {
		_, body, err := post(t, url+"/v1/responses", `{"model":"gpt-4o",`+input+`}`)
		if got := gjson.Get(body, "usage.input_tokens").Int(); err != nil || got != want {
			t.Errorf("%s: %d, want %d: %v %s", input, got, want, err, body)
		}
	}
	response, body, _ := post(t, url+"/v1/responses", `{"model":"gpt-4o"}`)
	if response.StatusCode != 400 || gjson.Get(body, "error.param").Str != "input" {
		t.Errorf("without input: %d %s", response.StatusCode, body)
	}
}

// A stream's error is an event of its own, and a failed response has no usage.
func TestResponsesFail(t *testing.T) {
	_, url := start(t, Options{})
	_, body, _ := post(t, url+"/v1/responses", `{"model":"gpt-4o","input":"mock:error-event;chunks=4","stream":true}`)
	if !strings.Contains(body, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":") || strings.Contains(body, "response.completed") {
		t.Errorf("got %s", body)
	}
	_, body, _ = post(t, url+"/v1/responses", `{"model":"gpt-4o","input":"mock:finish=failed"}`)
	if gjson.Get(body, "status").Str != "failed" || gjson.Get(body, "usage").Raw != "null" || gjson.Get(body, "error.code").Str != "server_error" || len(gjson.Get(body, "output").Array()) != 0 {
		t.Errorf("got %s", body)
	}
	_, body, _ = post(t, url+"/v1/responses", `{"model":"gpt-4o","input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"a":{"const":7}},"required":["a"]}}}}`)
	if text := gjson.Get(body, "output.0.content.0.text").Str; gjson.Get(text, "a").Int() != 7 {
		t.Errorf("the reply %q does not fit the format: %s", text, body)
	}
}
