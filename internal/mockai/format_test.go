package mockai

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

// formatted asks for an answer in a format, whole and as a stream, and returns both.
func formatted(t *testing.T, format *openai.ChatCompletionResponseFormat) (whole, streamed string) {
	t.Helper()
	_, url := start(t, Options{})
	request := openai.ChatCompletionRequest{
		Model: "gpt-4o", ResponseFormat: format,
		Messages: []openai.ChatCompletionMessage{{Role: "user", Content: "Hello"}},
	}
	answer, err := client(url).CreateChatCompletion(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	whole = answer.Choices[0].Message.Content
	if want := int(tokens(len(whole))); answer.Usage.CompletionTokens != want {
		t.Errorf("%d completion tokens, want %d", answer.Usage.CompletionTokens, want)
	}
	stream, err := client(url).CreateChatCompletionStream(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return whole, streamed
		}
		if err != nil {
			t.Fatal(err)
		}
		streamed += chunk.Choices[0].Delta.Content
	}
}

// A client that asks for JSON is answered what it can read, and what fits its schema.
func TestAnAnswerHasTheFormatAskedFor(t *testing.T) {
	whole, streamed := formatted(t, &openai.ChatCompletionResponseFormat{Type: "json_object"})
	if whole != toolArguments || streamed != toolArguments {
		t.Errorf("json_object: %s and %s", whole, streamed)
	}
	whole, _ = formatted(t, &openai.ChatCompletionResponseFormat{Type: "text"})
	if whole != sentence {
		t.Errorf("text: %s", whole)
	}
	for schema, want := range map[string]string{
		`{"type":"object","properties":{"query":{"type":"string"},"n":{"type":"integer","minimum":-9},"ok":{"type":"boolean"}}}`: `{"query":"Hello","n":1,"ok":true}`,
		`{"type":"object","properties":{"at":{"$ref":"#/$defs/At"}},"$defs":{"At":{"enum":["北京市","上海"]}}}`:                       `{"at":"北京市"}`,
		`{"type":"array","items":{"anyOf":[{"type":["number","null"],"minimum":5},{"type":"null"}]}}`:                            `[5]`,
		`{"type":"object","properties":{"a":{"const":{"b": 1}},"c":{"type":"null"}}}`:                                            `{"a":{"b": 1},"c":null}`,
	} {
		whole, streamed := formatted(t, &openai.ChatCompletionResponseFormat{
			Type: "json_schema", JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{Name: "x", Schema: json.RawMessage(schema)},
		})
		want = strings.ReplaceAll(want, ": ", ":") // a client that sends a schema writes it without blanks
		if whole != want || streamed != want {
			t.Errorf("%s\n got %s\n and %s\nwant %s", schema, whole, streamed, want)
		}
	}
}

// A schema that names itself has an answer of some depth.
func TestASchemaThatNamesItselfEnds(t *testing.T) {
	whole, _ := formatted(t, &openai.ChatCompletionResponseFormat{
		Type: "json_schema", JSONSchema: &openai.ChatCompletionResponseFormatJSONSchema{
			Name: "x", Schema: json.RawMessage(`{"type":"object","properties":{"next":{"$ref":"#"}}}`),
		},
	})
	if !json.Valid([]byte(whole)) || !strings.HasPrefix(whole, `{"next":{"next":`) {
		t.Errorf("got %s", whole)
	}
}

// schema is that of an object which a client's own code reads: what does not fit it is an error there.
const schema = `{"type":"object","properties":{"city":{"type":"string"},"temp":{"type":"integer"}},"required":["city","temp"]}`

const fitting = `{"city":"Hello","temp":1}`

// A client that demands a call of its function gets one, with arguments that fit; structured output of instructor,
// pydantic-ai and LangChain is made so. BigModel lets nobody demand it.
func TestADemandedFunctionIsCalled(t *testing.T) {
	_, url := start(t, Options{})
	chat := func(model, choice string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"other","parameters":{}}},` +
			`{"type":"function","function":{"name":"w","parameters":` + schema + `}}],"tool_choice":` + choice + `}`
	}
	respond := func(choice string) string {
		return `{"model":"gpt-4o","input":"hi","tools":[{"type":"web_search"},{"type":"function","name":"w","parameters":` + schema + `}],"tool_choice":` + choice + `}`
	}
	messages := func(choice string) string {
		return message("cached=0", `"tools":[{"type":"web_search_20250305","name":"web_search"},{"name":"w","input_schema":`+schema+`}]`, `"tool_choice":`+choice)
	}
	generate := func(config string) string {
		return contents("cached=0", `"tools":[{"functionDeclarations":[{"name":"w","parameters":`+strings.ReplaceAll(strings.ReplaceAll(schema, `"object"`, `"OBJECT"`), `"string"`, `"STRING"`)+
			`}]}]`, `"toolConfig":{"functionCallingConfig":`+config+`}`)
	}
	declared := contents("cached=0", `"tools":[{"functionDeclarations":[{"name":"w","parameters_json_schema":`+schema+`}]}]`, `"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}`)
	const chatCall, chatArguments, chatFinish = "choices.0.message.tool_calls.0.function.name", "choices.0.message.tool_calls.0.function.arguments", "choices.0.finish_reason"
	for i, c := range []struct{ path, body, name, call, arguments, want, finish, finished string }{
		{"/v1/chat/completions", chat("gpt-4o", `{"type":"function","function":{"name":"w"}}`), chatCall, "w", chatArguments, fitting, chatFinish, "stop"},
		{"/v1/chat/completions", chat("gpt-4o", `"required"`), chatCall, "other", chatArguments, toolArguments, chatFinish, "tool_calls"},
		{"/v1/chat/completions", chat("gpt-4o", `"auto"`), chatCall, "", chatArguments, "", chatFinish, "stop"},
		{"/v1/chat/completions", chat("glm-4.6", `"required"`), chatCall, "", chatArguments, "", chatFinish, "stop"},
		{"/v1/responses", respond(`{"type":"function","name":"w"}`), "output.1.name", "w", "output.1.arguments", fitting, "status", "completed"},
		{"/v1/responses", respond(`"required"`), "output.1.name", "w", "output.1.arguments", fitting, "status", "completed"},
		{"/v1/responses", respond(`{"type":"web_search"}`), "output.1.name", "", "output.1.arguments", "", "status", "completed"},
		{"/v1/messages", messages(`{"type":"tool","name":"w"}`), "content.2.name", "w", "content.2.input", fitting, "stop_reason", "tool_use"},
		{"/v1/messages", messages(`{"type":"any"}`), "content.2.name", "w", "content.2.input", fitting, "stop_reason", "tool_use"},
		{"/v1/messages", messages(`{"type":"auto"}`), "content.2.name", "", "content.2.input", "", "stop_reason", "end_turn"},
		{geminiModel + "generateContent", generate(`{"mode":"ANY"}`), geminiCall + "name", "w", geminiCall + "args", fitting, "candidates.0.finishReason", "STOP"},
		{geminiModel + "generateContent", generate(`{"mode":"ANY","allowedFunctionNames":["w"]}`), geminiCall + "name", "w", geminiCall + "args", fitting, "candidates.0.finishReason", "STOP"},
		{geminiModel + "generateContent", declared, geminiCall + "name", "w", geminiCall + "args", fitting, "candidates.0.finishReason", "STOP"}, // as Google's own SDK writes it
		{geminiModel + "generateContent", generate(`{"mode":"AUTO"}`), geminiCall + "name", "", geminiCall + "args", "", "candidates.0.finishReason", "STOP"},
	} {
		_, body, err := post(t, url+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{c.name: c.call, c.arguments: c.want, c.finish: c.finished} {
			if got := gjson.Get(body, path).String(); got != want {
				t.Errorf("%d, %s: %s is %q, want %q in %s", i, c.path, path, got, want, body)
			}
		}
	}
}

const geminiCall = "candidates.0.content.parts.0.functionCall."

// Anthropic's and Google's answers keep to a schema as well, whole and in streams.
func TestOtherAPIsHaveFormatsToo(t *testing.T) {
	_, url := start(t, Options{})
	for i, c := range []struct{ path, body, want string }{
		{"/v1/messages", message("cached=0", `"output_config":{"format":{"type":"json_schema","schema":`+schema+`}}`), fitting},
		{"/v1/messages", message("cached=0", `"output_format":{"type":"json_schema","schema":`+schema+`}`), fitting},
		{"/v1/messages", message("cached=0", `"output_config":{"effort":"low"}`), sentence},
		{"/v1/messages", message("cached=0", `"stream":true`, `"output_config":{"format":{"type":"json_schema","schema":`+schema+`}}`), fitting},
		{geminiModel + "generateContent", contents("cached=0", `"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":`+schema+`}`), fitting},
		{geminiModel + "generateContent", contents("cached=0", `"generationConfig":{"responseMimeType":"application/json","responseSchema":`+strings.ReplaceAll(schema, `"integer"`, `"INTEGER"`)+`}`), fitting},
		{geminiModel + "generateContent", contents("cached=0", `"generationConfig":{"responseMimeType":"application/json"}`), toolArguments},
		{geminiModel + "streamGenerateContent?alt=sse", contents("cached=0", `"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":`+schema+`}`), fitting},
	} {
		_, body, err := post(t, url+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for line := range strings.SplitSeq(body, "\n") {
			told := gjson.Parse(strings.TrimPrefix(line, "data: "))
			said += told.Get("content.0.text").Str + told.Get("delta.text").Str + told.Get("candidates.0.content.parts.0.text").Str
		}
		if said != c.want {
			t.Errorf("%d, %s: said %q, want %q in %s", i, c.path, said, c.want, body)
		}
	}
}
