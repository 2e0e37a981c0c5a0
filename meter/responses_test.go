package meter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func responsesRequest(t testing.TB, members string) *Request {
	t.Helper()
	return mustRead(t, FindEndpoint("/responses"), `{"model":"m",`+members+`}`)
}

// TestResponsesStored checks what is taken for a reference to something that is kept
// upstream: all that brings in what the body does not have, and nothing else.
func TestResponsesStored(t *testing.T) {
	for members, param := range map[string]string{
		`"previous_response_id":"resp_1"`:                         "previous_response_id",
		`"conversation":"conv_1"`:                                 "conversation",
		`"conversation":{"id":"conv_1"}`:                          "conversation",
		`"prompt":{"id":"pmpt_1"}`:                                "prompt",
		`"input":[{"type":"item_reference","id":"msg_1"}]`:        "input.id",
		`"input":[{"id":"msg_1","type":"item\u005freference"}]`:   "input.id",
		`"input":[{"id":"msg_1"}]`:                                "input.id",
		`"input":[{"id":"msg_1","type":null}]`:                    "input.id",
		`"input":[{"type":"reasoning","id":"rs_1","summary":[]}]`: "input.id",
		`"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":null,"content":[]}]`:                  "input.id",
		`"input":[{"type":"image_generation_call","id":"ig_1"}]`:                                                         "input.id",
		`"input":[{"type":"image_generation_call","id":"ig_1","result":null}]`:                                           "input.id",
		`"input":[{"role":"user","content":[{"type":"input_image","file_id":"file-1"}]}]`:                                "input.content.file_id",
		`"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]`:                                 "input.content.file_id",
		`"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_id":"file-1"}]}]`:    "input.content.file_id",
		`"input":[{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","file_id":"f"}}]`:  "input.content.file_id",
		`"input":[{"type":"code_interpreter_call","id":"ci_1","code":"x","container_id":"cntr_1"}]`:                      "input.container_id",
		`"input":[{"type":"shell_call","call_id":"c","environment":{"type":"container_reference","container_id":"c1"}}]`: "input.environment",
		`"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]`:                                                   "tools",
		`"tools":[{"type":"code_interpreter","container":"cntr_1"}]`:                                                     "tools",
		`"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["file-1"]}}]`:                        "tools",
		`"tools":[{"container":{"file_ids":["file-1"]},"type":"code_interpreter"}]`:                                      "tools",
		`"tools":[{"type":"image_generation","input_image_mask":{"file_id":"file-1"}}]`:                                  "tools",
		`"tools":[{"type":"shell","environment":{"type":"container_auto","skills":[{"skill_id":"s"}]}}]`:                 "tools",
		`"input":[{"type":"tool_search_output","tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}]`:           "tools",
		`"previous_response_id":null,"conversation":null,"prompt":null,"background":false,"store":true`:                  "",
		`"input":"msg_1"`: "",
		`"input":[{"role":"user","content":"hi","id":"msg_1"}]`: "",
		`"input":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[{"file_id":"f","type":"file_citation"}]}]}]`: "",
		`"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}]`:                                                                                "",
		`"input":[{"type":"reasoning","id":"rs_1","content":[{"type":"reasoning_text","text":"hm"}]}]`:                                                                      "",
		`"input":[{"type":"image_generation_call","id":"ig_1","result":"iVBO"}]`:                                                                                            "",
		`"input":[{"role":"user","content":[{"type":"input_image","file_id":null,"image_url":"https://x"}]}]`:                                                               "",
		`"input":[{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{\"file_id\":\"x\"}"}]`:                                                         "",
		`"input":[{"type":"mcp_list_tools","id":"m","tools":[{"name":"f","input_schema":{"file_id":"x"}}]}]`:                                                                "",
		`"tools":[{"type":"function","name":"f","parameters":{"properties":{"file_id":{"type":"string"}}}}]`:                                                                "",
		`"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":[]}}]`:                                                                                   "",
		`"tools":[{"type":"mcp","server_label":"a","headers":{"container_id":"x"}}]`:                                                                                        "",
	} {
		stored := responsesRequest(t, members).Stored()
		switch {
		case param == "" && stored != nil:
			t.Errorf("%s: %v", members, stored)
		case param != "" && (stored == nil || stored.Param != param || !strings.Contains(stored.Message, "kept upstream")):
			t.Errorf("%s: %+v, want a reference in %s", members, stored, param)
		}
	}
}

// A hosted tool makes the model read its input again after each call, with what was
// found and written until then; upstreams count that each time.
func TestHostedToolsCeiling(t *testing.T) {
	plain := responsesRequest(t, `"input":"News?","max_output_tokens":100`)
	tool := `,"tools":[{"type":"web_search"}]`
	base := plain.Ceiling[Input] + int64(len(tool)) + toolTemplateTokens
	calls := `,"max_tool_calls":7`
	for _, tt := range []struct {
		members string
		calls   int64
	}{{"", usualToolCalls}, {calls, 7}} {
		r := responsesRequest(t, `"input":"News?","max_output_tokens":100`+tool+tt.members)
		own := base + int64(len(tt.members))
		var want int64
		for turn := range tt.calls + 1 {
			want += own + turn*searchTokens
		}
		want += tt.calls * 100
		if got := r.Ceiling[Input]; got != want || r.Tools[0].Count != tt.calls {
			t.Errorf("%q: a ceiling of %d for %d calls, want %d for %d", tt.members, got, r.Tools[0].Count, want, tt.calls)
		}
	}
	image := `"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x"}]}],"max_tool_calls":1`
	if got := responsesRequest(t, image+tool).Ceiling[InputImage]; got != 2*imageTokens {
		t.Errorf("an image that may be read twice: %d", got)
	}
	dear := mustRead(t, FindEndpoint("/responses"), `{"model":"gpt-4o-mini",`+image+tool+`}`)
	if got := dear.Ceiling[InputImage]; got != 2*dearImageTokens {
		t.Errorf("a dear image that may be read twice: %d", got)
	}
}

// With the limit that is named to a client, the request is within the ceiling that was
// computed for it.
func TestResponsesWithOutput(t *testing.T) {
	for _, tools := range []string{"", `,"tools":[{"type":"web_search"}]`} {
		r := responsesRequest(t, `"input":"News?"`+tools)
		for _, n := range []int64{1, 100, defaultMaxOutput} {
			with := r.WithOutput(n)
			limited := responsesRequest(t, fmt.Sprintf(`"input":"News?"%s, "max_output_tokens": %d`, tools, n))
			if limited.Ceiling[Input] > with[Input] || limited.Ceiling[Output] != with[Output] {
				t.Errorf("%d tokens: a ceiling of %v, and %v was promised", n, limited.Ceiling.Map(), with.Map())
			}
		}
	}
	// It is known to all who serve the row, whatever they know of chat's.
	r := responsesRequest(t, `"input":"x","max_output_tokens":10`)
	if r.MayIgnoreMaxCompletionTokens(); r.Ceiling[Output] != 10 || !r.OutputLimited {
		t.Errorf("the limit is taken for one that is passed over: %v", r.Ceiling.Map())
	}
}

// Wherever a stream is cut, its last event is kept back, and all before it has gone out
// by then; with it the stream is at its end, whatever becomes of its connection.
func TestResponsesEndIsKeptBack(t *testing.T) {
	for name, last := range map[string]string{"openai": "response.completed", "incomplete": "response.incomplete", "failed": "response.failed"} {
		in := readFile(t, "testdata/streams/responses-"+name+".sse")
		end := bytes.Index(in, []byte("event: "+last))
		for size := 1; size < 200; size++ {
			tap := responsesRequest(t, `"stream":true`).NewTap("text/event-stream")
			var out []byte
			for at := 0; at < len(in); at += size {
				if tap.Done() {
					t.Fatalf("%s: done before its end", name)
				}
				out = tap.Pass(out, in[at:min(at+size, len(in))])
			}
			if len(out) > end+len("event: "+last) || len(out) < end {
				t.Fatalf("%s in pieces of %d: %d bytes went out, the last event begins at %d", name, size, len(out), end)
			}
			if !tap.Done() {
				t.Fatalf("%s: not done", name)
			}
			if out = append(out, tap.End()...); !bytes.Equal(out, in) {
				t.Fatalf("%s in pieces of %d: other bytes went through", name, size)
			}
		}
	}
}

// A client that reads its cost in the body finds it in the usage of the last event, and
// of a whole response.
func TestResponsesCost(t *testing.T) {
	const cost = `"cost":0.5,"cost_details":{}`
	for file, usage := range map[string]string{
		"streams/responses-openai.sse":     `"total_tokens":48,` + cost + `}`,
		"streams/responses-incomplete.sse": `"total_tokens":53,` + cost + `}`,
	} {
		in := readFile(t, "testdata/"+file)
		tap := responsesRequest(t, `"stream":true`).NewTap("text/event-stream")
		out := append(tap.Pass(nil, in), tap.EndWithCost([]byte(cost))...)
		if !bytes.Contains(out, []byte(usage)) || len(out) != len(in)+len(cost)+1 {
			t.Errorf("%s: %s", file, out[len(out)-400:])
		}
	}
	whole := patchCost(readFile(t, "testdata/answers/responses-openai.json"), []byte(cost), "usage")
	if !bytes.Contains(whole, []byte(cost+`}`)) {
		t.Errorf("a whole response: %s", whole)
	}
}

// Every event of a stream repeats what those before it said in pieces. Without usage the
// text is counted once, and no less than that if only the last event has it.
func TestResponsesTextIsCountedOnce(t *testing.T) {
	pieces := readFile(t, "testdata/streams/responses-null-usage.sse")
	of := func(stream []byte) Usage {
		tap := responsesRequest(t, `"stream":true,"input":"hi"`).NewTap("text/event-stream")
		tap.Pass(nil, stream)
		tap.End()
		return tap.Usage()
	}
	_, end, _ := bytes.Cut(pieces, []byte("event: response.completed\n"))
	whole, last := of(pieces), of(end)
	if whole.Quantities[Output] != 10 || last.Quantities != whole.Quantities || whole.Source != Estimated {
		t.Errorf("in pieces and again: %v; the last event alone: %v; want 10 of output", whole.Map(), last.Map())
	}
}

// A call of a hosted tool is one, however often a stream tells of it, and a response that
// failed after it had begun to think is not free.
func TestResponsesCallsAreCountedOnce(t *testing.T) {
	event := func(name, members string) string {
		return "event: " + name + "\ndata: {\"type\":\"" + name + "\"," + members + "}\n\n"
	}
	const search, call = `{"id":"ws_1","type":"web_search_call","status":"completed"}`, `{"id":"mcp_1","type":"mcp_call","name":"f"}`
	for _, tt := range []struct {
		name, stream, calls string
		output              int64
	}{
		{
			"the list, growing", event("response.in_progress", `"response":{"output":[`+search+`]}`) +
				event("response.completed", `"response":{"output":[`+search+`,`+search+`],"usage":{"input_tokens":5,"output_tokens":3}}`), "web_search 2", 3,
		},
		{
			"one that has no status", event("response.output_item.added", `"item":`+call) + event("response.output_item.done", `"item":`+call) +
				event("response.completed", `"response":{"output":[`+call+`],"usage":{"input_tokens":5,"output_tokens":3}}`), "mcp 1", 3,
		},
		{"one that has begun", event("response.output_item.added", `"item":`+call), "", 1},
		{
			"a thought, and a failure", event("response.output_item.added", `"item":{"type":"reasoning","summary":[]}`) +
				event("response.failed", `"response":{"output":[],"usage":null,"error":{"code":"server_error"}}`), "", 1,
		},
		{"a failure", event("response.created", `"response":{"output":[]}`) + event("response.failed", `"response":{"output":[],"usage":null,"error":{"code":"server_error"}}`), "", 0},
	} {
		tap := responsesRequest(t, `"stream":true,"input":"hi"`).NewTap("text/event-stream")
		tap.Pass(nil, []byte(tt.stream))
		tap.End()
		u := tap.Usage()
		var calls []string
		for _, use := range u.ToolCalls {
			calls = append(calls, fmt.Sprintf("%s %d", use.Tool, use.Count))
		}
		if got := strings.Join(calls, ", "); got != tt.calls || u.TotalOutput() != tt.output || u.IsZero() != (tt.output == 0) {
			t.Errorf("%s: calls %q, usage %v; want %q and %d of output", tt.name, got, u.Map(), tt.calls, tt.output)
		}
	}
}
