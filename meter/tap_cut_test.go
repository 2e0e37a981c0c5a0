package meter

import "testing"

// What says that it is JSON and stops within a document is no whole answer,
// though its connection ended well. What is something else is what it is.
func TestCut(t *testing.T) {
	const whole = `{"choices":[{"message":{"content":"a } b"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	const json = "application/json; charset=utf-8"
	for name, c := range map[string]struct {
		contentType, answer string
		cut                 bool
	}{
		"whole":              {json, whole, false},
		"with a line end":    {json, whole + "\n", false},
		"within a text":      {json, whole[:40], true},
		"before the end":     {json, whole[:len(whole)-1], true},
		"one brace":          {"Application/JSON", "{", true},
		"nothing":            {json, "", false},
		"an error, cut":      {json, `{"error":{"message":"x"`, false},
		"no JSON at all":     {json, "out of order", false},
		"text with a brace":  {json, "see {here", false},
		"text":               {"text/plain", whole[:40], false},
		"a page":             {"text/html", "<style>a {", false},
		"a stream's payload": {"text/event-stream", "data: " + whole[:40], false},
	} {
		tap := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[]}`).NewTap(c.contentType)
		for i := range len(c.answer) {
			tap.Pass(nil, []byte(c.answer[i:i+1]))
		}
		if cut := tap.Cut(); cut != c.cut {
			t.Errorf("%s: cut %v, want %v", name, cut, c.cut)
		}
	}
}

// An answer that comes whole needs no word of why it ends.
func TestWholeAnswersAreNotCut(t *testing.T) {
	for path, answer := range map[string]string{
		generateRow: `{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":1}}`,
		"/messages": `{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":null,"usage":{"input_tokens":1}}`,
	} {
		tap := mustRead(t, FindEndpoint(path), `{"model":"m"}`).NewTap("application/json")
		if tap.Pass(nil, []byte(answer)); tap.Cut() {
			t.Errorf("%s: it is taken for cut", path)
		}
	}
}
