package meter

import (
	"strings"
	"testing"
)

// TestCeilingOfWhatIsNotText checks that what a request brings, or lets in
// beside its text, is held for.
func TestCeilingOfWhatIsNotText(t *testing.T) {
	audio, signed := strings.Repeat("A", 64_000), strings.Repeat("x", 2000)
	cases := []struct {
		name, members string
		dimension     Dimension
		least, most   int64
	}{
		{"an image", `"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`, InputImage, 6144, 6144},
		{"an image, where a tile is dear", `"model":"gpt-4o-mini","messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`, InputImage, 48169, 49152},
		{"audio", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + audio + `"}}]}]`, InputAudio, 1000, 2000},
		{"audio elsewhere", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"https://x/hour.mp3"}}]}]`, InputAudio, 45_000, 65_536},
		{"audio elsewhere, by a long URL", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"https://x/hour.mp3?signature=` + signed + `"}}]}]`, InputAudio, 45_000, 65_536},
		{"audio elsewhere, in other letters", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"https\u003a\/\/x\/hour.mp3?signature=` + signed + `"}}]}]`, InputAudio, 45_000, 65_536},
		{"audio here and elsewhere", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + audio + `","url":"https://x/hour.mp3"}}]}]`, InputAudio, 45_000, 70_000},
		{"more audio here, and some elsewhere", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"` + strings.Repeat(audio, 100) + `","url":"https://x/hour.mp3"}}]}]`, InputAudio, 100_000, 110_000},
		{"audio in a data URL", `"messages":[{"content":[{"type":"input_audio","input_audio":{"format":"wav","data":"data:audio/wav;base64,` + audio + `"}}]}]`, InputAudio, 1000, 2000},
		{"audio with slashes that are escaped", `"messages":[{"content":[{"type":"input_audio","input_audio":{"data":"\/\/` + audio + `"}}]}]`, InputAudio, 1000, 2000},
		{"a file", `"messages":[{"content":[{"type":"file","file":{"file_id":"file-1"}}]}]`, InputImage, 65_536, 65_536},
		{"a file elsewhere", `"messages":[{"content":[{"type":"file_url","file_url":{"url":"https://x/y.pdf"}}]}]`, InputImage, 65_536, 65_536},
		{"an earlier spoken answer", `"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]`, InputAudio, 10_000, 20_000},
		{"no earlier spoken answer", `"messages":[{"role":"assistant","audio":null}]`, InputAudio, 0, 0},
		{"a spoken answer", `"max_tokens":1000,"modalities":["text","audio"]`, OutputAudio, 1000, 1000},
		{"a spoken answer, in other letters", `"max_tokens":1000,"modalities":["text","\u0061udio"]`, OutputAudio, 1000, 1000},
		{"a drawn answer", `"max_tokens":1000,"n":2,"modalities":["image","text"]`, OutputImage, 2 * 8192, 2 * 8192},
		{"and its text", `"max_tokens":1000,"n":2,"modalities":["image","text"]`, Output, 2000, 2000},
		{"a written answer", `"max_tokens":1000,"modalities":null`, OutputAudio, 0, 0},
		{"found by a search", `"tools":[{"type":"web_search_preview"}]`, Input, searchTokens, searchTokens + 300},
		{"found by a search, in other letters", `"tools":[{"type":"web_\u0073earch_preview"}]`, Input, searchTokens, searchTokens + 300},
		{"found by a search, as many as there can be", `"tools":[{"type":"web_search","web_search":{"enable":true,"count":50}}]`, Input, 50 * 600, 65_536},
		{"found by a search, as much as there can be", `"tools":[{"type":"web_search","web_search":{"count":50,"content_size":"high"}}]`, Input, 50 * 1600, 131_072},
		{"found by a search, the usual number in full", `"tools":[{"type":"web_search","web_search":{"content_size":"high"}}]`, Input, 10 * 2500, 32_768},
		{"found by a search, little of it", `"tools":[{"type":"web_search","web_search":{"count":1,"content_size":"high"}}]`, Input, searchTokens, searchTokens + 300},
		{"found in a knowledge base", `"tools":[{"type":"retrieval","retrieval":{"knowledge_id":"1"}}]`, Input, searchTokens, searchTokens + 300},
		{"a function", `"tools":[{"type":"function","function":{"name":"retrieval"}}]`, Input, 0, 300},
	}
	for _, c := range cases {
		body := `{` + c.members + `}`
		if !strings.Contains(body, `"model"`) {
			body = `{"model":"m",` + c.members + `}`
		}
		r := mustRead(t, FindEndpoint("/chat/completions"), body)
		r.MayBeSentAs(r.Model) // as for each of its upstreams: what it may cost there is held for once
		if n := r.Ceiling[c.dimension]; n < c.least || n > c.most {
			t.Errorf("%s: %s up to %d, want %d to %d", c.name, c.dimension, n, c.least, c.most)
		}
	}
}

// TestCeilingOfImagesToBeEdited checks that each of them is held for, however it is given.
func TestCeilingOfImagesToBeEdited(t *testing.T) {
	for image, images := range map[string]int64{
		`"https://x/y.png"`: 1, `{"file_id":"f"}`: 1, `["https://x/y.png",{"image_url":"https://x/z.png"}]`: 2, `[["https://x/y.png"]]`: 1, `[]`: 0,
	} {
		for _, name := range []string{"image", "images"} {
			r := mustRead(t, FindEndpoint("/images/edits"), `{"model":"m","prompt":"a hat","`+name+`":`+image+`}`)
			if got := r.Ceiling[InputImage]; got != images*editImageTokens {
				t.Errorf("%s %s: up to %d tokens, want those of %d images", name, image, got, images)
			}
		}
	}
}

// TestSearchesOfARequest checks which search a request is held, and billed, for.
func TestSearchesOfARequest(t *testing.T) {
	cases := []struct{ members, want string }{
		{`"model":"m"`, "none"},
		{`"model":"m","tools":[{"type":"web_search"}]`, "search_std"},
		{`"model":"m","tools":[{"type":"web_search","web_search":null}]`, "search_std"},
		{`"model":"m","tools":[{"type":"web_search","web_search":{}}]`, "search_std"},
		{`"model":"m","tools":[{"web_search":{"search_engine":"search_pro"}}]`, "search_pro"},
		{`"model":"m","tools":[{"type":"web_search","web_search":{"enable":false}}]`, "none"},
		{`"model":"m","tools":[{"type":"web_search_preview"}]`, ""},
		{`"model":"m","web_search_options":{}`, ""},
		{`"model":"m","web_search_options":null`, "none"},
		{`"model":"gpt-4o-search-preview"`, ""},
		{`"model":"gpt-4o-search-preview","web_search_options":{}`, ""},
		{`"model":"gpt-5-search-api-2025-10-14"`, ""},
	}
	for _, c := range cases {
		r := mustRead(t, FindEndpoint("/chat/completions"), `{`+c.members+`}`)
		got := "none"
		if len(r.Tools) > 0 {
			got = r.Tools[0].Attributes["engine"]
		}
		if got != c.want || len(r.Tools) > 1 {
			t.Errorf("%s: engine %q in %+v, want %q", c.members, got, r.Tools, c.want)
		}
	}
}

// What max_completion_tokens alone limits has the default held where the upstream does not know it, and the limit if that is more; what any
// limits, where the model keeps to none.
func TestCeilingWhereLimitsAreIgnored(t *testing.T) {
	cases := []struct {
		path, members            string
		known, ignored, exceeded int64
	}{
		{"/chat/completions", `"max_completion_tokens":1`, 1, 4096, 4096},
		{"/chat/completions", `"max_completion_tokens":1,"n":3`, 3, 3 * 4096, 3 * 4096},
		{"/chat/completions", `"max_completion_tokens":1,"max_tokens":0`, 1, 4096, 4096},
		{"/chat/completions", `"max_completion_tokens":9000`, 9000, 9000, 9000},
		{"/chat/completions", `"max_completion_tokens":1,"max_tokens":5`, 5, 5, 4096},
		{"/chat/completions", `"max_tokens":5`, 5, 5, 4096},
		{"/chat/completions", `"n":1`, 4096, 4096, 4096},
		{"/completions", `"max_completion_tokens":1`, 4096, 4096, 4096},
	}
	for _, c := range cases {
		r := mustRead(t, FindEndpoint(c.path), `{"model":"m",`+c.members+`}`)
		known := r.Ceiling.TotalOutput()
		r.MayIgnoreMaxCompletionTokens()
		ignored := r.Ceiling.TotalOutput()
		r.MayExceedLimit()
		if exceeded := r.Ceiling.TotalOutput(); known != c.known || ignored != c.ignored || exceeded != c.exceeded {
			t.Errorf("%s %s: %d, %d where the new limit is ignored, %d where all are; want %d, %d, %d",
				c.path, c.members, known, ignored, exceeded, c.known, c.ignored, c.exceeded)
		}
	}
}

// An answer exceeds the limit that its client set, by the upstream's own word, and
// by more than the tokens that end each of its outputs.
func TestExceedsLimit(t *testing.T) {
	cases := []struct {
		path, members string
		within        int64
		source        Source
	}{
		{"/chat/completions", `"max_tokens":5`, 5 + beyondLimit, FromUpstream},
		{"/chat/completions", `"max_completion_tokens":5,"n":3`, 3 * (5 + beyondLimit), FromUpstream},
		{"/completions", `"max_tokens":5,"prompt":["a","b"]`, 2 * (5 + beyondLimit), FromUpstream},
		{"/chat/completions", `"max_tokens":5`, 1 << 30, Estimated},
		{"/chat/completions", `"n":1`, 1 << 30, FromUpstream},
	}
	for _, c := range cases {
		r := mustRead(t, FindEndpoint(c.path), `{"model":"m",`+c.members+`}`)
		for used, want := range map[int64]bool{c.within: false, c.within + 1: c.within < 1<<30} {
			for _, d := range []Dimension{Output, Reasoning} {
				u := Usage{Source: c.source}
				u.Quantities[d] = used
				if got := r.ExceedsLimit(&u); got != want {
					t.Errorf("%s, %d tokens of %s, %s: %t", c.members, used, d, c.source, got)
				}
			}
		}
		r.MayExceedLimit() // which is known now, and not found out again
		if r.ExceedsLimit(&Usage{Quantities: Quantities{Output: 1 << 30}, Source: FromUpstream}) {
			t.Errorf("%s: a limit that nobody keeps to is exceeded", c.members)
		}
	}
}
