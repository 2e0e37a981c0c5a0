package meter

import (
	"strings"
	"testing"
)

// TestCountTokens checks the tokenizer against known counts, and that the
// way by length is of the same order.
func TestCountTokens(t *testing.T) {
	cases := []struct {
		text string
		want int64
	}{
		{"", 0}, {"hello world", 2}, {"The quick brown fox jumps over the lazy dog.", 10}, {"你好，世界", 3},
	}
	for _, c := range cases {
		if got := countTokens(c.text); got != c.want {
			t.Errorf("%q: %d tokens, want %d", c.text, got, c.want)
		}
	}
	for _, text := range []string{strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20_000), strings.Repeat("人工智能的发展正在改变我们的生活和工作方式。", 20_000)} {
		within, beyond := countTokens(text[:90_000]), tokensByLength(text[:90_000])
		if beyond < within*2/3 || beyond > within*3/2 {
			t.Errorf("%.12s: %d by the tokenizer, %d by length", text, within, beyond)
		}
		if all := countTokens(text); all < within*int64(len(text))/90_000*2/3 {
			t.Errorf("%.12s: %d in all, %d in 90 KB", text, all, within)
		}
	}
}

// TestCountTokensOfOneWord counts a word without an end: a tokenizer that gets
// it whole takes the square of that, and the test would not end.
func TestCountTokensOfOneWord(t *testing.T) {
	for _, text := range []string{strings.Repeat("a", 1<<18), strings.Repeat("\u4f60", 1<<16), strings.Repeat("\xff", 1<<16)} {
		if n := countTokens(text); n < 1000 || n > int64(len(text)) {
			t.Errorf("%.4q…: %d tokens", text, n)
		}
	}
}

// TestEstimateText checks that the estimate of a long answer goes on beyond
// the text that was kept.
func TestEstimateText(t *testing.T) {
	sentence := `The quick brown fox\njumps over \"the lazy dog\". `
	tap := streamTap(t, false)
	for range 1000 {
		tap.Pass(nil, []byte(content(sentence)))
	}
	whole := countTokens(strings.Repeat(unescape([]byte(sentence)), 1000))
	if got := tap.Usage().Quantities[Output]; got < whole*9/10 || got > whole*11/10 {
		t.Errorf("estimated %d, counted %d", got, whole)
	}
	if len(tap.facts.sample) > maxSample {
		t.Errorf("%d bytes of text were kept", len(tap.facts.sample))
	}
}

// TestEstimateOfALongPrompt checks that the estimate of a prompt goes on beyond
// the text that the tokenizer is given, within a message and in those that follow.
func TestEstimateOfALongPrompt(t *testing.T) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", maxTokenized/30)
	message := `{"role":"user","content":"` + text + `"}`
	r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[`+message+`,`+message+`]}`)
	whole := 2 * countTokens(text[:maxTokenized/2]) * int64(len(text)) / (maxTokenized / 2)
	if got := r.estimateInput(); got < whole*9/10 || got > whole*11/10 {
		t.Errorf("estimated %d, about %d are counted", got, whole)
	}
}

// TestEstimateIsCutToTheLimit checks that an estimate is never more than the
// request's own limit, and that a mere default is none, nor a limit that the
// upstream may not know.
func TestEstimateIsCutToTheLimit(t *testing.T) {
	answer := []byte(`{"choices":[{"message":{"content":"` + strings.Repeat("one two three ", 5000) + `"}}]}`)
	for body, limited := range map[string]bool{
		`{"model":"m","max_tokens":7}`: true, `{"model":"m","max_tokens":7,"max_completion_tokens":7}`: true,
		`{"model":"m"}`: false, `{"model":"m","max_completion_tokens":7}`: false,
	} {
		r := mustRead(t, FindEndpoint("/chat/completions"), body)
		r.MayIgnoreMaxCompletionTokens()
		tap := r.NewTap("application/json")
		tap.Pass(nil, answer)
		if got := tap.Usage().Quantities[Output]; limited != (got == 7) || !limited && got < 15_000 {
			t.Errorf("%s: estimated %d", body, got)
		}
	}
}

// TestEstimateNeverFree checks that an answer of status 200 without usage is
// not free, whatever it is.
func TestEstimateNeverFree(t *testing.T) {
	for _, path := range []string{"/chat/completions", "/completions", "/embeddings", "/images/generations"} {
		for _, contentType := range []string{"application/json", "text/event-stream", "text/html", ""} {
			for _, answer := range []string{`{"x":1}`, "<html>", "data: {\"choices\":[{\"delta\":{}}]}\n\n", "data: hello\n\n", "\x1f\x8b\x08\x00"} {
				tap := mustRead(t, FindEndpoint(path), `{"model":"m","prompt":"x"}`).NewTap(contentType)
				tap.Pass(nil, []byte(answer))
				if u := tap.Usage(); u.IsZero() || u.Source != Estimated {
					t.Errorf("%s, %s, %q: %v from %s", path, contentType, answer, u.Map(), u.Source)
				}
			}
		}
	}
}

// TestUnescape checks what becomes of JSON strings, cut ones among them.
func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`: "plain", `a\nb\"c\\`: "a\nb\"c\\", `\u4f60\u597d`: "你好", `\ud83d\ude00!`: "😀!", `cut\`: "cut", `cut\u4f6`: "cut", `cut\u4f60\u`: "cut你", "a\nb\\t": "a b\t",
	} {
		if got := unescape([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestUnseen checks what a call has used of which no answer was seen.
func TestUnseen(t *testing.T) {
	for _, c := range []struct {
		path, body string
		want       Quantities
		searches   int
	}{
		{"/chat/completions", `{"model":"m","messages":[{"role":"user","content":"one two"}]}`, Quantities{Input: 9}, 0},
		{"/chat/completions", `{"model":"gpt-4o-search-preview","messages":[{"role":"user","content":"one two"}]}`, Quantities{Input: 9}, 1},
		{"/chat/completions", `{"model":"m","messages":[{"role":"user","content":"one two"}],"tools":[{"type":"web_search","web_search":{}}]}`, Quantities{Input: 22}, 0},
		{"/images/generations", `{"model":"m","prompt":"one two","n":3,"quality":"low"}`, Quantities{Input: 3, Image: 3, OutputImage: 3 * 272}, 0},
		{"/images/generations", `{"model":"m","prompt":"one two","quality":"medium","size":"1536x1024"}`, Quantities{Input: 3, Image: 1, OutputImage: 1056 * 3 / 2}, 0},
	} {
		r := mustRead(t, FindEndpoint(c.path), c.body)
		u := r.Unseen()
		if u.inTokens != nil {
			u.Quantities = u.inTokens()
		}
		if u.Quantities != c.want || len(u.ToolCalls) != c.searches || u.Source != Estimated {
			t.Errorf("%s: %v, %d searches, from %s", c.body, u.Map(), len(u.ToolCalls), u.Source)
		}
	}
}

// TestPayloadsAreNotText checks that what a message carries beside its text is
// estimated at a flat number, and its base64 not taken for a prompt.
func TestPayloadsAreNotText(t *testing.T) {
	data := `"data:application/pdf;base64,` + strings.Repeat("QUJD", 50_000) + `"`
	for _, part := range []string{
		`"image_url":{"url":` + data + `}`, `"image_url":` + data, `"input_audio":{"data":` + data + `}`, `"video_url":{"url":` + data + `}`,
		`"file":{"file_data":` + data + `}`, `"file_url":{"url":` + data + `}`,
	} {
		r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what is it"},{`+part+`}]}]}`)
		if n := r.estimateInput(); n < tokensPerImage || n > tokensPerImage+20 {
			t.Errorf("{%.20s…}: %d tokens", part, n)
		}
	}
}

// TestNoChatHasNoTemplate: no chat is made of what is embedded, ranked, judged, drawn or spoken, so each short text is
// billed as what it is, and not for how it is to be embedded. Gemini's embeddings are always estimated, and frameworks
// send many in one call.
func TestNoChatHasNoTemplate(t *testing.T) {
	const one = `{"model":"models/m","content":{"role":"user","parts":[{"text":"hello"}]},"taskType":"RETRIEVAL_DOCUMENT","outputDimensionality":768}`
	ten := strings.TrimSuffix(strings.Repeat(one+",", 10), ",")
	for path, body := range map[string]string{
		"/models/{model}:embedContent":       one,
		"/models/{model}:batchEmbedContents": `{"requests":[` + ten + `]}`,
		"/embeddings":                        `{"model":"m","input":["hello"]}`,
		"/rerank":                            `{"model":"m","query":"hello","documents":["hello"]}`,
		"/moderations":                       `{"model":"m","input":"hello"}`,
		"/images/generations":                `{"model":"m","prompt":"hello"}`,
		"/audio/speech":                      `{"model":"m","input":"hello","voice":"alloy"}`,
	} {
		texts := int64(strings.Count(body, "hello"))
		if n := mustRead(t, FindEndpoint(path), body).estimateInput(); n < texts || n > 2*texts { // a line end comes with each
			t.Errorf("%s: %d tokens for %d words", path, n, texts)
		}
	}
}

// TestSuffixIsInput: what a completion is to lead up to is a part of its prompt.
func TestSuffixIsInput(t *testing.T) {
	text := strings.Repeat("one two three four ", 25)
	e := FindEndpoint("/completions")
	alone := mustRead(t, e, `{"model":"m","prompt":"`+text+`"}`).estimateInput()
	both := mustRead(t, e, `{"model":"m","prompt":"`+text+`","suffix":"`+text+`"}`).estimateInput()
	if want := 2 * alone; both < want-5 || both > want+5 {
		t.Errorf("a prompt is %d tokens, with as long a suffix %d", alone, both)
	}
}
