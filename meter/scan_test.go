package meter

import (
	"strings"
	"testing"
)

// TestScannerHostileShapes feeds a great deal of what makes careless scanners
// slow, large or deep, in one piece and in small ones.
func TestScannerHostileShapes(t *testing.T) {
	const n = 1 << 18
	shapes := map[string]string{
		"escaped quotes": `{"choices":[{"message":{"content":"` + strings.Repeat(`\"`, n) + `"}}],`,
		"backslashes":    `{"x":"` + strings.Repeat(`\\`, n) + `","choices":[{}],`,
		"newlines":       `{"choices":[{"message":{"content":"` + strings.Repeat(`a\nb`, n) + `"}}],`,
		"deep":           `{"x":` + strings.Repeat(`[`, n) + strings.Repeat(`]`, n) + `,"choices":[{}],`,
		"deep choices":   `{"choices":[` + strings.Repeat(`{"message":{"content":[`, 1000) + strings.Repeat(`]}}`, 1000) + `],`,
		"a long key":     `{"` + strings.Repeat("k", n) + `":1,"choices":[{}],`,
		"a long number":  `{"x":` + strings.Repeat("1", n) + `,"choices":[{}],`,
		"many choices":   `{"choices":[{}` + strings.Repeat(`,{}`, n) + `],`,
		"numbers":        `{"x":[0` + strings.Repeat(`,-0.125`, n) + `],"choices":[{}],`,
		"escaped keys":   `{"us\u0061ge":{"prompt_tokens":9},"\"":1,"choices":[{}],`,
		"odd blanks":     "{ \"choices\"\n:\t[ { } ] ,\r",
	}
	for name, head := range shapes {
		in := []byte(head + `"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`)
		for _, size := range []int{len(in), 1000} {
			s := scanner{schema: FindEndpoint("/chat/completions").dialect.schema}
			var f answerFacts
			for i := 0; i < len(in); i += size {
				s.feed(in[i:min(i+size, len(in))], &f)
			}
			c := f.usage.merged
			if !f.isDocument() || c.value[usagePrompt] != 3 || c.value[usageCompletion] != 4 || f.choices == 0 {
				t.Errorf("%s in pieces of %d: %d documents, usage %v, %d choices", name, size, f.documents, c.value, f.choices)
			}
		}
	}
}

// TestScannerAfterNoise checks that what is not JSON leaves no trace behind a reset.
func TestScannerAfterNoise(t *testing.T) {
	for _, noise := range []string{`{"a`, `{"a":"`, `{"a":"\`, `[[[{`, `}}}]]`, `"`, `nul`, `{"usage":{"prompt_tokens":1`, "\x00\xff", `{"a" "b"}`, `{:}`, `{"x":1]`} {
		s := scanner{schema: FindEndpoint("/chat/completions").dialect.schema}
		var f answerFacts
		s.feed([]byte(noise), &f)
		s.reset()
		f = answerFacts{}
		s.feed([]byte(`{"usage":{"prompt_tokens":3,"completion_tokens":4}}`), &f)
		if !f.isDocument() || f.usage.merged.value[usagePrompt] != 3 {
			t.Errorf("after %q: %+v", noise, f.usage.merged)
		}
	}
}
