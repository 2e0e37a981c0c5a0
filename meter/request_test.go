package meter

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// reading is what a golden file says of a request.
type reading struct {
	Model          string           `json:"model"`
	Stream         bool             `json:"stream"`
	AskedUsage     bool             `json:"asked_usage"`
	Ceiling        map[string]int64 `json:"ceiling"`
	OutputLimited  bool             `json:"output_limited"`
	WithOutput10   map[string]int64 `json:"ceiling_with_output_10"`
	Choices        int64            `json:"choices"`
	Attributes     Attributes       `json:"attributes,omitempty"`
	Tools          []ToolUse        `json:"tools,omitempty"`
	Object         string           `json:"object,omitempty"`
	EstimatedInput int64            `json:"estimated_input"`
	UpstreamBody   string           `json:"upstream_body"`
}

func readingOf(t *testing.T, r *Request) reading {
	t.Helper()
	body, _, err := r.UpstreamBody("other", true)
	if err != nil {
		t.Fatal(err)
	}
	with := r.WithOutput(10)
	return reading{
		Model: r.Model, Stream: r.Stream, AskedUsage: r.AskedUsage, Ceiling: r.Ceiling.Map(),
		OutputLimited: r.OutputLimited, WithOutput10: with.Map(), Choices: r.Choices, Attributes: r.Attributes,
		Tools: r.Tools, Object: storedParam(r), EstimatedInput: r.estimateInput(), UpstreamBody: string(body),
	}
}

// TestReadRequestGolden checks what is read from requests, and what is sent
// on of them under another model name and with usage asked for.
func TestReadRequestGolden(t *testing.T) {
	for _, file := range fixtures(t, "requests") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			r := mustRead(t, fixtureEndpoint(t, file), string(readFile(t, file)))
			checkGolden(t, golden(file), readingOf(t, r))
		})
	}
}

// TestReadRequestErrors checks that what cannot be metered is refused, with a
// word that helps.
func TestReadRequestErrors(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	cases := []struct{ name, path, body, param, message string }{
		{"empty", "", ``, "", "is empty"},
		{"blank", "", " \n", "", "is empty"},
		{"cut", "", `{"model":"m","messages":[{"role":"us`, "", "a string without its closing quote at byte 36"},
		{"not JSON", "", `model=m`, "", `found 'm' where a value should follow at byte 0`},
		{"trailing comma", "", `{"model":"m",}`, "", `found '}' where an element should follow`},
		{"two documents", "", `{"model":"m"}{"model":"x"}`, "", `found '{' where the end should follow`},
		{"NUL behind", "", "{\"model\":\"m\"}\x00", "", `where the end should follow`},
		{"byte order mark", "", "\ufeff{\"model\":\"m\"}", "", `not valid JSON`},
		{"single quotes", "", `{'model':'m'}`, "", "a key in quotes"},
		{"bad number", "", `{"model":"m","n":01}`, "", "a malformed number at byte 17"},
		{"bad escape", "", `{"model":"\x6d"}`, "", "an unknown escape"},
		{"control character", "", "{\"model\":\"a\nb\"}", "", "the control character 0x0a"},
		{"array", "", `[{"model":"m"}]`, "", "must be a JSON object, but is an array"},
		{"string", "", `"model"`, "", "must be a JSON object, but is a string"},
		{"null", "", `null`, "", "must be a JSON object, but is null"},
		{"number", "", `12`, "", "must be a JSON object, but is a number"},
		{"deep", "", `{"model":"m","x":` + deep, "", "nested too deeply"},
		{"deep at once", "", deep, "", "nested too deeply"},
		{"no model", "", `{"messages":[]}`, "model", "must provide a model"},
		{"null model", "", `{"model":null}`, "model", "must provide a model"},
		{"empty model", "", `{"model":""}`, "model", "must provide a model"},
		{"model not a string", "", `{"model":["m"]}`, "model", "expected a string, but got an array"},
		{"long model", "", `{"model":"` + strings.Repeat("m", 300) + `"}`, "model", "longer than 256"},
		{"control in model", "", `{"model":"a\u0000b"}`, "model", "control characters"},
		{"model not UTF-8", "", "{\"model\":\"\xf1\"}", "model", "not UTF-8"},
		{"other models", "", `{"model":"m","models":["dear"]}`, "models", "another model than the one that is priced"},
		{"other models first", "", `{"models":["dear","m"],"model":"m"}`, "models", "Name one in 'model'"},
		{"other models in other case", "", `{"model":"m","Models":["dear"]}`, "models", "Did you mean 'models'"},
		{"fallbacks", "/embeddings", `{"model":"m","fallbacks":[{"model":"dear"}]}`, "fallbacks", "another model than the one that is priced"},
		{"other fallbacks", "", `{"model":"m","context_window_fallbacks":[{"m":["dear"]}]}`, "context_window_fallbacks", "another model"},
		{"more fallbacks", "", `{"model":"m","content_policy_fallbacks":[{"m":["dear"]}]}`, "content_policy_fallbacks", "another model"},
		{"stream not a boolean", "", `{"model":"m","stream":"true"}`, "stream", "expected a boolean, but got a string"},
		{"n negative", "", `{"model":"m","n":-1}`, "n", "-1 is not between 1 and 128"},
		{"n zero", "", `{"model":"m","n":0}`, "n", "0 is not between"},
		{"n absurd", "", `{"model":"m","n":1e9}`, "n", "1000000000 is not between"},
		{"n overflow", "", `{"model":"m","n":1e999}`, "n", "not an integer"},
		{"n broken", "", `{"model":"m","n":1.5}`, "n", "not an integer"},
		{"n a string", "", `{"model":"m","n":"2"}`, "n", "expected an integer, but got a string"},
		{"max_tokens negative", "", `{"model":"m","max_tokens":-1}`, "max_tokens", "-1 is not between 0"},
		{"max_tokens absurd", "", `{"model":"m","max_completion_tokens":99999999999}`, "max_completion_tokens", "is not between"},
		{"stream_options not an object", "", `{"model":"m","stream_options":true}`, "stream_options", "expected an object, but got a boolean"},
		{"include_usage not a boolean", "", `{"model":"m","stream_options":{"include_usage":1}}`, "stream_options.include_usage", "expected a boolean, but got a number"},
		{"two searches", "", `{"model":"m","tools":[{"type":"web_search"},{"type":"web_search"}]}`, "tools", "at most one web search"},
		{"best_of", "/completions", `{"model":"m","best_of":1000}`, "best_of", "is not between"},
		{"background, streamed", "/responses", `{"model":"m","background":true,"stream":true}`, "background", "Leave one of them out"},
		{"background not a boolean", "/responses", `{"model":"m","background":"true"}`, "background", "expected a boolean"},
		{"no calls", "/responses", `{"model":"m","max_tool_calls":0}`, "max_tool_calls", "0 is not between 1 and 1000"},
		{"unknown tool", "/responses", `{"model":"m","tools":[{"type":"teleport"}]}`, "tools", "Unsupported tool type 'teleport'"},
		{"unknown tool in a namespace", "/responses", `{"model":"m","tools":[{"type":"namespace","tools":[{"type":"teleport"}]}]}`, "tools", "'teleport'"},
		{"tool found later", "/responses", `{"model":"m","input":[{"type":"tool_search_output","tools":[{"type":"teleport"}]}]}`, "tools", "'teleport'"},
		{"both searches", "/responses", `{"model":"m","tools":[{"type":"web_search"},{"type":"web_search_preview"}]}`, "tools", "at most one web search"},
		{"two types of a tool", "/responses", `{"model":"m","tools":[{"type":"function","type":"mcp"}]}`, "tools.type", "more than once"},
		{"two types of an item", "/responses", `{"model":"m","input":[{"type":"message","type":"item_reference","id":"x"}]}`, "input.type", "more than once"},
		{"odd case in an item", "/responses", `{"model":"m","input":[{"Type":"item_reference","id":"x","role":"user"}]}`, "input.type", "Did you mean 'type'"},
		{"odd case in a part", "/responses", `{"model":"m","input":[{"role":"user","content":[{"type":"input_file","File_ID":"x"}]}]}`, "input.content.file_id", "Did you mean 'file_id'"},
		{"odd case", "/responses", `{"model":"m","Previous_Response_Id":"x"}`, "previous_response_id", "Did you mean"},
		{"image n", "/images/generations", `{"model":"m","n":-3}`, "n", "is not between"},
		{"image size", "/images/generations", `{"model":"m","size":1024}`, "size", "expected a string, but got a number"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, c.path, c.body, c.param, c.message) })
	}
}

func checkRefused(t *testing.T, path, body, param, message string) {
	t.Helper()
	if path == "" {
		path = "/chat/completions"
	}
	r, err := FindEndpoint(path).ReadRequest("application/json", []byte(body), ReadOptions{})
	var bad *RequestError
	if !errors.As(err, &bad) {
		t.Fatalf("got %+v, %v, want a RequestError", r, err)
	}
	if bad.Param != param || !strings.Contains(bad.Message, message) {
		t.Errorf("got param %q, message %q; want %q, %q", bad.Param, bad.Message, param, message)
	}
}

// TestSmuggling checks that no request is read otherwise than the upstream
// will read it: what two parsers could take differently is refused.
func TestSmuggling(t *testing.T) {
	cases := []struct{ name, path, body, param string }{
		{"two models", "", `{"model":"cheap","model":"dear"}`, "model"},
		{"two models, one escaped", "", `{"model":"cheap","mod\u0065l":"dear"}`, "model"},
		{"two models, one in another case", "", `{"model":"cheap","Model":"dear"}`, "model"},
		{"another case that folds", "", `{"model":"m","ſtream":true}`, "stream"},
		{"two streams", "", `{"model":"m","stream":false,"stream":true}`, "stream"},
		{"two n", "", `{"model":"m","n":1,"n":100}`, "n"},
		{"two limits", "", `{"model":"m","max_tokens":1,"max_tokens":100000}`, "max_tokens"},
		{"two limits, null last", "", `{"model":"m","max_tokens":1,"max_tokens":null}`, "max_tokens"},
		{"two new limits", "", `{"model":"m","max_completion_tokens":1,"max_completion_tokens":null}`, "max_completion_tokens"},
		{"two stream_options", "", `{"model":"m","stream_options":{},"stream_options":null}`, "stream_options"},
		{"two include_usage", "", `{"model":"m","stream_options":{"include_usage":true,"include_usage":false}}`, "stream_options.include_usage"},
		{"escaped include_usage", "", `{"model":"m","stream_options":{"include_usage":true,"include\u005fusage":false}}`, "stream_options.include_usage"},
		{"include_usage in another case", "", `{"model":"m","stream_options":{"Include_Usage":false}}`, "include_usage"},
		{"two messages", "", `{"model":"m","messages":[],"messages":[]}`, "messages"},
		{"an image in another case", "", `{"model":"m","messages":[{"content":[{"type":"image_url","Image_URL":{"url":"https://a/b.png"}}]}]}`, "messages.content.image_url"},
		{"audio in another case", "", `{"model":"m","messages":[{"content":[{"type":"input_audio","input_Audio":{"data":""}}]}]}`, "messages.content.input_audio"},
		{"a file in another case, escaped", "", `{"model":"m","messages":[{"content":[{"type":"file","fi\u004ce":{"file_id":"f"}}]}]}`, "messages.content.file"},
		{"content in another case", "", `{"model":"m","messages":[{"Content":[{"type":"image_url","image_url":{"url":"https://a/b.png"}}]}]}`, "messages.content"},
		{"an earlier answer in another case", "", `{"model":"m","messages":[{"role":"assistant","Audio":{"id":"a"}}]}`, "messages.audio"},
		{"two service tiers", "", `{"model":"m","service_tier":"flex","service_tier":"priority"}`, "service_tier"},
		{"two tools", "", `{"model":"m","tools":[],"tools":[{"type":"web_search"}]}`, "tools"},
		{"two types of a tool", "", `{"model":"m","tools":[{"type":"function","type":"web_search"}]}`, "tools.type"},
		{"two engines", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"search_engine":"search_std","search_engine":"search_pro"}}]}`, "tools.web_search.search_engine"},
		{"search on and off", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"enable":false,"enable":true}}]}`, "tools.web_search.enable"},
		{"a search in another case", "", `{"model":"m","tools":[{"type":"function","Web_Search":{"search_engine":"search_pro"}}]}`, "web_search"},
		{"an engine in another case", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"Search_Engine":"search_pro"}}]}`, "search_engine"},
		{"two counts of a search", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"count":1,"count":50}}]}`, "tools.web_search.count"},
		{"two sizes of what a search finds", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"content_size":"medium","content_size":"high"}}]}`, "tools.web_search.content_size"},
		{"a search shown and hidden", "", `{"model":"m","tools":[{"type":"web_search","web_search":{"search_result":true,"search_result":false}}]}`, "tools.web_search.search_result"},
		{"two sizes", "/images/generations", `{"model":"m","size":"256x256","size":"1024x1024"}`, "size"},
		{"two qualities", "/images/generations", `{"model":"m","quality":"standard","quality":"hd"}`, "quality"},
		{"two best_of", "/completions", `{"model":"m","best_of":1,"best_of":20}`, "best_of"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { checkRefused(t, c.path, c.body, c.param, "") })
	}
	// A parameter that decides nothing may repeat: it is the upstream's business.
	mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","user":"a","user":"b","metadata":{"model":"x","Model":"y"}}`)
	r := mustRead(t, FindEndpoint("/chat/completions"), `{"mod\u0065l":"glm\u002d4.6"}`)
	if r.Model != "glm-4.6" {
		t.Errorf("model %q", r.Model)
	}
}

// TestUpstreamBodyKeepsTheSlice checks that a body that needs no change is
// not copied.
func TestUpstreamBodyKeepsTheSlice(t *testing.T) {
	for body, ask := range map[string]bool{
		`{"model":"m","messages":[]}`:                                         true,
		`{"model":"m","stream":true,"stream_options":{"include_usage":true}}`: true,
		`{"model":"m","stream":true}`:                                         false, // of an upstream that takes it badly
	} {
		in := []byte(body)
		r, err := FindEndpoint("/chat/completions").ReadRequest("application/json", in, ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out, contentType, err := r.UpstreamBody("m", ask)
		if err != nil || &out[0] != &in[0] || len(out) != len(in) || contentType != "application/json" {
			t.Errorf("%s: got %s (%s), %v", body, out, contentType, err)
		}
	}
}

// TestUpstreamBodyIsValid checks that a patched body says what it should, and
// nothing else has changed.
func TestUpstreamBodyIsValid(t *testing.T) {
	bodies := []string{
		`{"model":"m","stream":true}`, "\t{ \"stream\" : true ,\n \"model\" : \"m\" }\n",
		`{"stream_options":{"include_usage":false},"model":"m","stream":true}`,
		`{"stream_options":{"include_usage":null},"model":"m","stream":true}`,
		`{"model":"m","stream":true,"stream_options":null}`, `{"model":"m","stream":true,"stream_options":{}}`,
		`{"model":"m","stream":true,"stream_options": { } }`, `{"model":"m","stream":true,"stream_options":{"a":[1]}}`,
	}
	for _, body := range bodies {
		r := mustRead(t, FindEndpoint("/chat/completions"), body)
		out, _, err := r.UpstreamBody(`a"b\c`, true)
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s → %s: %v", body, out, err)
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatal(err)
		}
		options, _ := want["stream_options"].(map[string]any)
		if options == nil {
			options = map[string]any{}
		}
		options["include_usage"] = true
		want["stream_options"], want["model"] = options, `a"b\c`
		if g, w := asJSON(t, got), asJSON(t, want); g != w {
			t.Errorf("%s → %s, want %s", body, g, w)
		}
		again := mustRead(t, FindEndpoint("/chat/completions"), string(out))
		if !again.AskedUsage || again.Model != `a"b\c` {
			t.Errorf("%s → %s is read as %+v", body, out, again)
		}
	}
}

// TestReadHostileShapes reads a great deal of what makes careless readers slow
// or deep. A reader that took the square of the time would not come back.
func TestReadHostileShapes(t *testing.T) {
	const n = 1 << 18
	bodies := map[string]string{
		"keys":     `{"model":"m"` + strings.Repeat(`,"Aa":1`, n) + `}`,
		"escapes":  `{"model":"m","x":"` + strings.Repeat(`\"`, n) + `"}`,
		"messages": `{"model":"m","messages":[{}` + strings.Repeat(`,{"content":[{"image_url":{"url":"x"}}]}`, n/8) + `]}`,
		"prompts":  `{"model":"m","messages":[` + strings.Repeat(`[],`, n) + `[]]}`,
	}
	for name, body := range bodies {
		r := mustRead(t, FindEndpoint("/chat/completions"), body)
		if r.Ceiling[Input] < int64(len(body))/2 {
			t.Errorf("%s: input ceiling %d", name, r.Ceiling[Input])
		}
	}
	checkRefused(t, "", `{"model":"m","x":`+strings.Repeat(`{"a":`, n), "", "nested too deeply")
}

func TestOtherModelsThatAreNone(t *testing.T) {
	if r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","models":null,"fallbacks":null,"max_tokens":7}`); r.Ceiling[Output] != 7 {
		t.Errorf("ceiling %v", r.Ceiling)
	}
}

// storedParam is the parameter that names what is kept upstream, "" if none does.
func storedParam(r *Request) string {
	if stored := r.Stored(); stored != nil {
		return stored.Param
	}
	return ""
}
