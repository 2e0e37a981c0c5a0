package meter

import (
	"math"
	"slices"
	"testing"
)

// TestEndpointTable checks that every row is complete, and the names that key
// limits, journals and price rows go by.
func TestEndpointTable(t *testing.T) {
	want := map[string][2]string{
		"/chat/completions":   {"chat", "chat"},
		"/completions":        {"completions", "chat"},
		"/responses":          {"responses", "chat"},
		"/responses/compact":  {"responses", "chat"},
		"/embeddings":         {"embeddings", "embeddings"},
		"/images/generations": {"images", "images"},
		"/images/edits":       {"images", "images"},
		"/images/variations":  {"images", "images"},
		"/rerank":             {"rerank", "rerank"},
		"/moderations":        {"moderations", "moderations"},
		"/audio/speech":       {"speech", "speech"},

		"/audio/transcriptions":   {"transcriptions", "transcriptions"},
		"/audio/translations":     {"transcriptions", "transcriptions"},
		"/messages":               {"messages", "chat"},
		"/messages/count_tokens":  {"count_tokens", "tokenizer"},
		"/responses/input_tokens": {"input_tokens", "tokenizer"},
		"/tokenizer":              {"tokenizer", "tokenizer"},
		"/web_search":             {"web_search", "web_search"},

		"/videos/generations":       {"videos", "videos"},
		"/async/chat/completions":   {"chat", "chat"},
		"/async/images/generations": {"images", "images"},

		"/models/{model}:generateContent":       {"generateContent", "chat"},
		"/models/{model}:streamGenerateContent": {"generateContent", "chat"},
		"/models/{model}:embedContent":          {"embedContent", "embeddings"},
		"/models/{model}:batchEmbedContents":    {"embedContent", "embeddings"},
		"/models/{model}:countTokens":           {"countTokens", "tokenizer"},
	}
	for _, e := range Endpoints() {
		if got, known := want[e.Path]; !known || got != [2]string{e.Name, e.Class} {
			t.Errorf("%s: name %q, class %q", e.Path, e.Name, e.Class)
		}
		delete(want, e.Path)
		if FindEndpoint(e.Path) != e {
			t.Errorf("%s is not found", e.Path)
		}
		if classBit(e.Class) == 0 {
			t.Errorf("%s: price rows do not know the class %q", e.Path, e.Class)
		}
		checkRow(t, e)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	for _, path := range []string{"", "/", "/chat", "/chat/completions/", "/Chat/Completions", "/models", "chat/completions"} {
		if e := FindEndpoint(path); e != nil {
			t.Errorf("%q is taken for %s", path, e.Path)
		}
	}
	Endpoints()[0] = nil
	if Endpoints()[0] == nil {
		t.Error("the table can be changed from outside")
	}
}

func checkRow(t *testing.T, e *Endpoint) {
	t.Helper()
	if e.API == "" || e.ceiling == nil || e.dialect.schema == nil || e.dialect.quantities == nil || e.dialect.without == nil {
		t.Errorf("%s: the row is incomplete", e.Path)
	}
	var names []string
	for _, p := range e.parameters {
		names = append(names, p.name)
		if p.text == nil && p.integer == nil && p.boolean == nil && p.value == nil {
			t.Errorf("%s: nothing reads %q", e.Path, p.name)
		}
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(e.parameters) || len(names) > 64 {
		t.Errorf("%s: a parameter stands twice, or they are too many: %v", e.Path, names)
	}
}

// TestEndpointDimensions checks that each row's ceilings are paid by the packs
// that they should be.
func TestEndpointDimensions(t *testing.T) {
	want := map[string][]string{
		"chat": {"token"}, "completions": {"token"}, "responses": {"token"}, "embeddings": {"token"}, "images": {"image", "token"},
		"rerank": {"token"}, "moderations": {"call", "token"}, "speech": {"character", "token"}, "transcriptions": {"audio_ms", "token"}, "messages": {"token"}, "count_tokens": {"call"}, "input_tokens": {"call"},
		"generateContent": {"token"}, "embedContent": {"token"}, "countTokens": {"call"},
		"tokenizer": {"call", "token"}, "web_search": {"search"}, "videos": {"video"},
	}
	for _, e := range Endpoints() {
		contentType, body := "application/json", []byte(`{"model":"m","search_engine":"m","input":"a"}`)
		if e.Name == "transcriptions" {
			contentType, body = formType, testForm(t, "model", "m", "@file", "a")
		}
		r, err := e.ReadRequest(contentType, body, ReadOptions{})
		if err != nil {
			t.Fatalf("%s: %v", e.Path, err)
		}
		var units []string
		for d := range r.Ceiling.NonZero() {
			units = append(units, d.Unit())
		}
		slices.Sort(units)
		if units = slices.Compact(units); !slices.Equal(units, want[e.Name]) {
			t.Errorf("%s: units %v", e.Path, units)
		}
	}
}

// A ceiling does not wrap around, whatever the body asks for.
func TestOutputCeilingIsBounded(t *testing.T) {
	for _, tt := range []struct{ tokens, outputs, want int64 }{
		{4096, 3, 12288},
		{0, 5, 0},
		{4096, 0, 0},
		{maxOutput, maxChoices, maxOutput * maxChoices},
		{maxOutput, maxChoices * 45_000_000, maxCeiling},
		{maxOutput, math.MaxInt64, maxCeiling},
	} {
		if got := outputCeiling(tt.tokens, tt.outputs); got != tt.want {
			t.Errorf("%d tokens for %d outputs: %d, want %d", tt.tokens, tt.outputs, got, tt.want)
		}
	}
}
