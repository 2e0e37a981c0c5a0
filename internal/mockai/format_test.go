package mockai

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
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
