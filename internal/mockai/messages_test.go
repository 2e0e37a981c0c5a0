package mockai

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// message is the body of a messages request; extra are members such as `"stream":true`.
func message(directive string, extra ...string) string {
	return `{"model":"claude-sonnet-4-5","max_tokens":1000,"metadata":{"user_id":"mock:` + directive + `"},"messages":[{"role":"user","content":"Good morning"}]` +
		strings.Join(append([]string{""}, extra...), ",") + "}"
}

func TestMessageShapes(t *testing.T) {
	_, url := start(t, Options{})
	response, body, err := post(t, url+"/v1/messages", message("reasoning=4;cached=2;cache-write=1;cache-write-1h=3;usage=20,30"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn", "content.#": "2",
		"content.0.type": "thinking", "content.1.type": "text", "content.1.text": sentence,
		"usage.input_tokens": "14", "usage.cache_read_input_tokens": "2", "usage.cache_creation_input_tokens": "4",
		"usage.cache_creation.ephemeral_5m_input_tokens": "1", "usage.cache_creation.ephemeral_1h_input_tokens": "3",
		"usage.output_tokens": "30", "usage.output_tokens_details.thinking_tokens": "4", "usage.service_tier": "standard",
	} {
		if got := gjson.Get(body, path).String(); got != want {
			t.Errorf("%s is %q, want %q in %s", path, got, want, body)
		}
	}
	if h := response.Header; !strings.HasPrefix(h.Get("request-id"), "req_mock") || h.Get("x-request-id")+h.Get("openai-version") != "" || !gjson.Valid(body) {
		t.Errorf("headers %v of %s", h, body)
	}
	if _, counted, _ := post(t, url+"/v1/messages/count_tokens", `{"model":"m","messages":[{"role":"user","content":"Good morning"}]}`); counted != `{"input_tokens":9}` {
		t.Errorf("counted: %s", counted)
	}
	if _, short, _ := post(t, url+"/v1/messages", strings.Replace(message("chunks=1"), "1000", "5", 1)); gjson.Get(short, "stop_reason").Str != "max_tokens" || gjson.Get(short, "usage.output_tokens").Int() != 5 {
		t.Errorf("with a limit: %s", short)
	}
	_, called, _ := post(t, url+"/v1/messages", message("tool-call=f"))
	if gjson.Get(called, "content.0.type").Str != "tool_use" || gjson.Get(called, "content.0.input.query").Str == "" || gjson.Get(called, "stop_reason").Str != "tool_use" {
		t.Errorf("a tool: %s", called)
	}
	_, found, _ := post(t, url+"/v1/messages", message("tool-results=2", `"tools":[{"type":"web_search_20250305","name":"web_search"}]`))
	if gjson.Get(found, "usage.server_tool_use.web_search_requests").Int() != 1 || gjson.Get(found, "content.1.content.#").Int() != 2 || gjson.Get(found, "usage.input_tokens").Int() < 1000 {
		t.Errorf("a search: %s", found)
	}
}

func TestMessageStreamShapes(t *testing.T) {
	_, url := start(t, Options{})
	_, body, err := post(t, url+"/v1/messages", message("usage=20,30;chunks=2;reasoning=2", `"stream":true`, `"tools":[{"type":"web_search_20250305","name":"web_search"}]`))
	if err != nil {
		t.Fatal(err)
	}
	var events []string
	text, last := "", gjson.Result{}
	for frame := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(strings.TrimPrefix(frame, "event: "), "\ndata: ")
		if !gjson.Valid(data) || gjson.Get(data, "type").Str != name {
			t.Errorf("event %q with %s", name, data)
		}
		events = append(events, name)
		text += gjson.Get(data, "delta.text").Str
		if usage := gjson.Get(data, "usage"); usage.Exists() {
			last = usage
		}
	}
	block := func(deltas int) string {
		return "content_block_start " + strings.Repeat("content_block_delta ", deltas) + "content_block_stop "
	}
	want := "message_start ping " + block(1) + block(1) + block(0) + block(2) + "message_delta message_stop"
	if got := strings.Join(events, " "); got != want {
		t.Errorf("events %s\nwant   %s", got, want)
	}
	if text != sentence || last.Get("output_tokens").Int() != 30 || last.Get("server_tool_use.web_search_requests").Int() != 1 {
		t.Errorf("text %q, usage %s", text, last)
	}
	if _, failed, _ := post(t, url+"/v1/messages", message("chunks=5;error-event", `"stream":true`)); !strings.HasSuffix(failed, "\n\n") ||
		!strings.Contains(failed, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"") || strings.Contains(failed, "message_stop") {
		t.Errorf("an error on the way: %s", failed)
	}
}

func TestMessageErrors(t *testing.T) {
	_, url := start(t, Options{RequireKey: "k"})
	for body, want := range map[string]string{
		message("status=429"): "429 rate_limit_error",
		message("status=529"): "529 overloaded_error",
		`{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"x"}]}`:                 "400 invalid_request_error",
		`{"model":"no-such-model","max_tokens":1,"messages":[{"role":"user","content":"x"}]}`:      "404 not_found_error",
		strings.Replace(message("usage=1,1"), `"metadata":`, `"key":"wrong","metadata":`, 1) + " ": "401 authentication_error",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/messages", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if request.Header.Set("x-api-key", "k"); strings.Contains(body, `"wrong"`) {
			request.Header.Set("x-api-key", "wrong")
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		if err := response.Write(&text); err != nil {
			t.Fatal(err)
		}
		status, kind, _ := strings.Cut(want, " ")
		if !strings.Contains(response.Status, status) || !strings.Contains(text.String(), `{"type":"error","error":{"type":"`+kind+`"`) {
			t.Errorf("%s: %s", body, text.String())
		}
	}
}
