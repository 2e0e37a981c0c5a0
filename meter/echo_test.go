package meter

import (
	"strings"
	"testing"
)

// TestEchoIsNoOutput: with echo a completion begins with its prompt, and with
// max_tokens 0, as to score a text, it is nothing else. What is repeated is input.
func TestEchoIsNoOutput(t *testing.T) {
	const prompt = "The quick brown fox jumps over the lazy dog. "
	text := strings.Repeat(prompt, 20)
	choice := `{"choices":[{"text":"` + text + `","index":0,"finish_reason":"length"}]`
	for _, c := range []struct {
		name, request, answer string
		most                  int64
		source                Source
	}{
		{"no output, unsaid", `"echo":true,"max_tokens":0`, choice + `,"usage":{"prompt_tokens":200,"total_tokens":200}}`, 0, FromUpstream},
		{"no output, said", `"max_tokens":0,"echo":true`, choice + `,"usage":{"prompt_tokens":200,"completion_tokens":0,"total_tokens":200}}`, 0, FromUpstream},
		{"some output", `"echo":true`, choice + `,"usage":{"prompt_tokens":200,"completion_tokens":7,"total_tokens":207}}`, 7, FromUpstream},
		{"no usage", `"echo":true`, choice + `}`, 5, Estimated},
		{"no usage, two choices", `"echo":true,"n":2`, `{"choices":[{"text":"` + text + `"},{"text":"` + text + `"}]}`, 5, Estimated},
		{"no echo", `"echo":false`, choice + `,"usage":{"prompt_tokens":200,"total_tokens":200}}`, 250, Estimated},
	} {
		r := mustRead(t, FindEndpoint("/completions"), `{"model":"m","prompt":"`+text+`",`+c.request+`}`)
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(c.answer))
		u := tap.Usage()
		if n := u.Quantities[Output]; n > c.most || n < c.most-50 || c.source == Estimated && n == 0 || u.Source != c.source {
			t.Errorf("%s: %v from %s, %v; want at most %d of output, from %s", c.name, u.Map(), u.Source, u.Anomalies, c.most, c.source)
		}
	}
	r := mustRead(t, FindEndpoint("/completions"), `{"model":"m","prompt":"`+text+`","echo":true}`)
	tap := r.NewTap("application/json")
	tap.Pass(nil, []byte(`{"choices":[{"text":"`+text+strings.Repeat("one two three four ", 10)+`"}]}`))
	if n := tap.Usage().Quantities[Output]; n < 35 || n > 45 {
		t.Errorf("of 40 tokens beyond the prompt, %d were counted", n)
	}
}

// TestEchoOfNothing: an answer that does not repeat its prompt, since it is empty,
// has no output, and not less than none.
func TestEchoOfNothing(t *testing.T) {
	r := mustRead(t, FindEndpoint("/completions"), `{"model":"m","prompt":"`+strings.Repeat("fox ", 20)+`","echo":true}`)
	for _, c := range []struct{ kind, answer string }{
		{"application/json", ""},
		{"text/event-stream", ""},
		{"text/event-stream", "data: {\"id\":\"x\"}\n\ndata: [DONE]\n\n"},
	} {
		tap := r.NewTap(c.kind)
		tap.Pass(nil, []byte(c.answer))
		if u := tap.Usage(); u.Quantities[Output] != 0 || u.Quantities[Input] < 20 {
			t.Errorf("%s %q: %v", c.kind, c.answer, u.Quantities)
		}
	}
}
