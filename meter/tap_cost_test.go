package meter

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

const costMembers = `"cost":0.0016,"cost_details":{"input":0.001}`

// TestPatchCost checks that the cost is in the usage object and every other
// byte is where it was.
func TestPatchCost(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"at the end", `{"a":1,"usage":{"prompt_tokens":1} }`, `{"a":1,"usage":{"prompt_tokens":1,` + costMembers + `} }`},
		{"in the middle, spaced", "{ \"usage\" : {\n  \"prompt_tokens\": 1\n } , \"b\":[ ] }\n", "{ \"usage\" : {\n  \"prompt_tokens\": 1\n ," + costMembers + "} , \"b\":[ ] }\n"},
		{"an empty usage", `{"usage":{}}`, `{"usage":{` + costMembers + `}}`},
		{"a null usage", `{"usage":null,"a":1}`, `{"usage":{` + costMembers + `},"a":1}`},
		{"no usage", `{"created":1,"data":[]}`, `{"created":1,"data":[],"usage":{` + costMembers + `}}`},
		{"an empty answer", ` { } `, ` {"usage":{` + costMembers + `} } `},
		{"a usage further down", `{"x":{"usage":{"a":1}}}`, `{"x":{"usage":{"a":1}},"usage":{` + costMembers + `}}`},
		{"a cost of the upstream's", `{"usage":{"cost":9,"prompt_tokens":1,"cost_details":null}}`, `{"usage":{"prompt_tokens":1,` + costMembers + `}}`},
		{"only a cost of the upstream's", `{"usage":{"cost":9}}`, `{"usage":{` + costMembers + `}}`},
		{"a byte order mark", "\xEF\xBB\xBF" + `{"a":1,"usage":{"prompt_tokens":1}}`, "\xEF\xBB\xBF" + `{"a":1,"usage":{"prompt_tokens":1,` + costMembers + `}}`},
		{"an empty answer with one", "\xEF\xBB\xBF{}", "\xEF\xBB\xBF" + `{"usage":{` + costMembers + `}}`},
		{"not an object", `[{"usage":{}}]`, `[{"usage":{}}]`},
		{"not JSON", `<html>"usage":{}`, `<html>"usage":{}`},
		{"cut", `{"usage":{"a":1}`, `{"usage":{"a":1}`},
		{"empty", ``, ``},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := patchCost([]byte(c.in), []byte(costMembers), "usage"); string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := patchCost([]byte(c.in), nil, "usage"); string(got) != c.in {
				t.Errorf("no cost made %s", got)
			}
		})
	}
}

// TestEndWithCost checks that the cost comes in the usage that was kept back,
// of a stream and of a document, and nowhere if there is none.
func TestEndWithCost(t *testing.T) {
	patched := "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5," + costMembers + "}}\n\n"
	multiline := "data: {\"choices\":[],\r\ndata: \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2\r\ndata:}}\r\n\r\n"
	cases := []struct {
		name  string
		asked bool
		in    []string
		want  string
	}{
		{"usage chunk", true, []string{content("a"), finishChunk, usageChunk, doneChunk}, finishChunk + patched + doneChunk},
		{"all at once", true, []string{content("a") + finishChunk + usageChunk + doneChunk}, finishChunk + patched + doneChunk},
		{"usage chunk taken out", false, []string{content("a"), finishChunk, usageChunk, doneChunk}, finishChunk + doneChunk},
		{"usage went out before", true, []string{chunk(`"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}`), finishChunk, doneChunk}, finishChunk + doneChunk},
		{"several lines", true, []string{content("a"), multiline, doneChunk}, "data: {\"choices\":[],\r\ndata: \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2\r\ndata:," + costMembers + "}}\r\n\r\n" + doneChunk},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tap := streamTap(t, c.asked)
			for _, p := range c.in {
				tap.Pass(nil, []byte(p))
			}
			if got := tap.EndWithCost([]byte(costMembers)); string(got) != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	tap := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m"}`).NewTap("application/json")
	out := tap.Pass(nil, []byte(`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"cost":7,"completion_tokens":2},"z":0}`))
	out = append(out, tap.EndWithCost([]byte(costMembers))...)
	if want := `{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":2,` + costMembers + `},"z":0}`; string(out) != want {
		t.Errorf("got %s", out)
	}
}

// FuzzPatchCost checks that a valid answer stays one, with the cost in it.
func FuzzPatchCost(f *testing.F) {
	f.Add(`{"a":1,"usage":{"prompt_tokens":1}}`)
	f.Add(`{"usage":{"cost":{"a":"}"},"b":2}}`)
	f.Fuzz(func(t *testing.T, body string) {
		out := patchCost([]byte(body), []byte(costMembers), "usage")
		var before, after map[string]json.RawMessage
		if !utf8.ValidString(body) || json.Unmarshal([]byte(body), &before) != nil || before == nil {
			return
		}
		if err := json.Unmarshal(out, &after); err != nil {
			t.Fatalf("%s → %s: %v", body, out, err)
		}
		var usage map[string]any
		if err := json.Unmarshal(after["usage"], &usage); err != nil || usage["cost"] != 0.0016 {
			t.Errorf("%s → %s", body, out)
		}
	})
}
