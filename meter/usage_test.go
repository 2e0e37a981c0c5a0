package meter

import (
	"slices"
	"testing"
)

// TestUsageMerge checks how the usage objects of one stream come together:
// later fields replace earlier ones, nothing adds up, and an empty one is none.
func TestUsageMerge(t *testing.T) {
	cases := []struct {
		name   string
		usages []string
		want   Quantities
		flags  []string
	}{
		{"the last counts", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"prompt_tokens":3,"completion_tokens":2}`}, Quantities{Input: 3, Output: 2}, nil},
		{"a null takes nothing away", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `null`}, Quantities{Input: 3, Output: 1}, nil},
		{"nor does a null field", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"prompt_tokens":null,"completion_tokens":4}`}, Quantities{Input: 3, Output: 4}, nil},
		{"nor do zeros", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"prompt_tokens":0,"completion_tokens":0}`}, Quantities{Input: 3, Output: 1}, nil},
		{"nor does an empty one", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{}`}, Quantities{Input: 3, Output: 1}, nil},
		{"the input may be revised", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"prompt_tokens":30}`}, Quantities{Input: 30, Output: 1}, nil},
		{"details may come later", []string{`{"prompt_tokens":3,"completion_tokens":1}`, `{"prompt_tokens_details":{"cached_tokens":2}}`}, Quantities{Input: 1, CachedInput: 2, Output: 1}, nil},
		{"details may be null", []string{`{"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":null}`}, Quantities{Input: 3, Output: 1}, nil},
		{"fractions are whole", []string{`{"prompt_tokens":12.0,"completion_tokens":1.2e1}`}, Quantities{Input: 12, Output: 12}, nil},
		{"a part is a whole", []string{`{"prompt_tokens":12.5,"completion_tokens":1}`}, Quantities{Input: 13, Output: 1}, nil},
		{"prompt and total", []string{`{"prompt_tokens":12,"total_tokens":20}`}, Quantities{Input: 12, Output: 8}, nil},
		{"completion and total", []string{`{"completion_tokens":12,"total_tokens":20}`}, Quantities{Input: 8, Output: 12}, nil},
		{"total below its part", []string{`{"prompt_tokens":12,"total_tokens":8}`}, Quantities{Input: 12}, []string{"total_mismatch"}},
		{"total that does not add up", []string{`{"prompt_tokens":12,"completion_tokens":3,"total_tokens":8}`}, Quantities{Input: 12, Output: 3}, []string{"total_mismatch"}},
		{"by the names of Responses", []string{`{"input_tokens":12,"output_tokens":8,"total_tokens":20}`}, Quantities{Input: 12, Output: 8}, nil},
		{"by the names of Responses, output alone", []string{`{"output_tokens":8,"total_tokens":20}`}, Quantities{Input: 12, Output: 8}, nil},
		{"by both names, of which one has nothing", []string{`{"prompt_tokens":0,"completion_tokens":0,"total_tokens":20,"input_tokens":12,"output_tokens":8}`}, Quantities{Input: 12, Output: 8}, nil},
		{"by both names", []string{`{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20,"input_tokens":0,"output_tokens":0}`}, Quantities{Input: 12, Output: 8}, nil},
		{"by both names, otherwise", []string{`{"prompt_tokens":12,"completion_tokens":8,"input_tokens":2,"output_tokens":80}`}, Quantities{Input: 12, Output: 8}, nil},
		{"only a total", []string{`{"total_tokens":8}`}, Quantities{Unsplit: 8}, []string{"total_only"}},
		{"cached beyond its whole", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":12}}`}, Quantities{CachedInput: 10, Output: 1}, []string{"cached_exceeds_input"}},
		{"a part beyond its whole", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8,"image_tokens":11}}`}, Quantities{CachedInput: 8, InputImage: 2, Output: 1}, []string{"parts_exceed_input"}},
		{"parts beyond their whole", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":6,"image_tokens":5}}`}, Quantities{InputAudio: 6, InputImage: 4, Output: 1}, []string{"parts_exceed_input"}},
		{"parts beyond their whole, a video", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"audio_tokens":6,"video_tokens":5}}`}, Quantities{InputAudio: 6, InputVideo: 4, Output: 1}, []string{"parts_exceed_input"}},
		{"parts of an output beyond their whole", []string{`{"prompt_tokens":10,"completion_tokens":4,"completion_tokens_details":{"audio_tokens":5,"image_tokens":5}}`}, Quantities{Input: 10, OutputAudio: 4}, []string{"parts_exceed_output"}},
		{"read from the cache and written beyond their whole", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":5}}`}, Quantities{CachedInput: 6, CacheWrite5m: 4, Output: 1}, []string{"parts_exceed_input"}},
		{"an image that was cached", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8,"image_tokens":5}}`}, Quantities{CachedInput: 8, InputImage: 2, Output: 1}, nil},
		{"audio that was written to the cache", []string{`{"prompt_tokens":10,"completion_tokens":1,"prompt_tokens_details":{"cache_write_tokens":8,"audio_tokens":5}}`}, Quantities{CacheWrite5m: 8, InputAudio: 2, Output: 1}, nil},
		{"reasoning beyond its whole", []string{`{"prompt_tokens":1,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":5}}`}, Quantities{Input: 1, Reasoning: 4}, []string{"reasoning_exceeds_output"}},
		{"reasoning beside the output, as the total proves", []string{`{"prompt_tokens":32,"completion_tokens":9,"total_tokens":341,"completion_tokens_details":{"reasoning_tokens":300}}`}, Quantities{Input: 32, Output: 9, Reasoning: 300}, nil},
		{"rejected predictions are output", []string{`{"prompt_tokens":1,"completion_tokens":4,"completion_tokens_details":{"rejected_prediction_tokens":3}}`}, Quantities{Input: 1, Output: 4}, nil},
		{"a cache written, Qwen's way", []string{`{"prompt_tokens":30,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":20},"cache_creation_input_tokens":20}}`}, Quantities{Input: 10, CacheWrite5m: 20, Output: 1}, nil},
		{"a video", []string{`{"prompt_tokens":30,"completion_tokens":1,"prompt_tokens_details":{"video_tokens":29}}`}, Quantities{Input: 1, InputVideo: 29, Output: 1}, nil},
		{"a drawn answer", []string{`{"prompt_tokens":30,"completion_tokens":1300,"completion_tokens_details":{"image_tokens":1290}}`}, Quantities{Input: 30, Output: 10, OutputImage: 1290}, nil},
		{"hit and miss alone", []string{`{"prompt_cache_hit_tokens":3,"prompt_cache_miss_tokens":4,"completion_tokens":1}`}, Quantities{Input: 4, CachedInput: 3, Output: 1}, nil},
		{"a hit alone is not the input", []string{`{"prompt_cache_hit_tokens":3,"completion_tokens":1,"total_tokens":20}`}, Quantities{Input: 16, CachedInput: 3, Output: 1}, nil},
		{"nor is a miss alone", []string{`{"prompt_cache_miss_tokens":4,"completion_tokens":1,"total_tokens":20}`}, Quantities{Input: 19, Output: 1}, nil},
		{"a cached count twice", []string{`{"prompt_tokens":7,"completion_tokens":1,"prompt_cache_hit_tokens":3,"prompt_tokens_details":{"cached_tokens":3}}`}, Quantities{Input: 4, CachedInput: 3, Output: 1}, nil},
		{"a negative field is ignored", []string{`{"prompt_tokens":7,"completion_tokens":-1}`}, Quantities{Input: 7}, []string{"negative_usage"}},
		{"so is what no number holds", []string{`{"prompt_tokens":7,"completion_tokens":1e400}`}, Quantities{Input: 7}, []string{"absurd_usage"}},
		{"an absurd field is ignored", []string{`{"prompt_tokens":7,"completion_tokens":99999999999999999999}`}, Quantities{Input: 7}, []string{"absurd_usage"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tap := streamTap(t, false)
			for _, usage := range c.usages {
				tap.Pass(nil, []byte(chunk(`"choices":[{"delta":{}}],"usage":`+usage)))
			}
			u := tap.Usage()
			if u.Quantities != c.want || !slices.Equal(u.Anomalies, c.flags) || u.Source != FromUpstream {
				t.Errorf("got %v %v from %s, want %v %v", u.Map(), u.Anomalies, u.Source, c.want.Map(), c.flags)
			}
		})
	}
}

// TestUsageOfOneKind: embeddings have no output, and that of an image model is images but for what is said to be text.
func TestUsageOfOneKind(t *testing.T) {
	for _, c := range []struct {
		path, usage string
		want        Quantities
	}{
		{"/embeddings", `{"prompt_tokens":8,"completion_tokens":5,"total_tokens":13}`, Quantities{Input: 8}},
		{"/images/generations", `{"input_tokens":8,"output_tokens":50}`, Quantities{Input: 8, OutputImage: 50, Image: 1}},
		{"/images/generations", `{"input_tokens":8,"output_tokens":50,"output_tokens_details":{"text_tokens":4}}`, Quantities{Input: 8, Output: 4, OutputImage: 46, Image: 1}},
		{"/images/generations", `{"input_tokens":8,"output_tokens":50,"output_tokens_details":{"text_tokens":60}}`, Quantities{Input: 8, Output: 50, Image: 1}},
		{"/images/generations", `{"input_tokens":8,"output_tokens":50,"output_tokens_details":{"image_tokens":40}}`, Quantities{Input: 8, Output: 10, OutputImage: 40, Image: 1}},
	} {
		tap := mustRead(t, FindEndpoint(c.path), `{"model":"m"}`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"data":[{}],"usage":`+c.usage+`}`))
		if u := tap.Usage(); u.Quantities != c.want {
			t.Errorf("%s: %v, want %v", c.usage, u.Map(), c.want.Map())
		}
	}
}

// TestUsageIsNotSpoofed checks that what a model writes, or a user says, is
// never taken for usage.
func TestUsageIsNotSpoofed(t *testing.T) {
	tap := streamTap(t, false)
	tap.Pass(nil, []byte(content(`\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}`)))
	tap.Pass(nil, []byte(chunk(`"choices":[{"delta":{"usage":{"prompt_tokens":1,"completion_tokens":1},"content":"x"}}],"metadata":{"usage":{"prompt_tokens":1,"completion_tokens":1}}`)))
	if u := tap.Usage(); u.Source != Estimated {
		t.Errorf("usage %v from %s", u.Map(), u.Source)
	}
}

// TestUsageOfACutStream checks that a usage from the beginning of a stream,
// which knows no output yet, does not make the delivered output free.
func TestUsageOfACutStream(t *testing.T) {
	tap := streamTap(t, false)
	tap.Pass(nil, []byte(chunk(`"choices":[{"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":100,"completion_tokens":0,"total_tokens":100}`)))
	tap.Pass(nil, []byte(content("one two three four")))
	u := tap.Usage()
	if u.Quantities != (Quantities{Input: 100, Output: 4}) || u.Source != Estimated || !slices.Equal(u.Anomalies, []string{"output_missing"}) {
		t.Errorf("got %v %v from %s", u.Map(), u.Anomalies, u.Source)
	}
}

// TestUsageView checks that headers count as the client's provider does: parts
// are inside their wholes.
func TestUsageView(t *testing.T) {
	q := Quantities{Input: 1, CachedInput: 20, InputImage: 300, Output: 4000, Reasoning: 50000, Unsplit: 600000}
	in, cached, out, total := UsageView(&q)
	if in != 321 || cached != 20 || out != 54000 || total != 654321 {
		t.Errorf("got %d %d %d %d", in, cached, out, total)
	}
	images := Quantities{Image: 2}
	if _, _, _, total := UsageView(&images); total != 2 {
		t.Errorf("the total of two images is %d", total)
	}
	for _, c := range []struct {
		used Quantities
		want int64
	}{{Quantities{Call: 1, Image: 2}, 2}, {Quantities{Call: 1}, 1}, {Quantities{Call: 1, Input: 7}, 7}} {
		if _, _, _, total := UsageView(&c.used); total != c.want {
			t.Errorf("the total of %v is %d, want %d", c.used.Map(), total, c.want)
		}
	}
}

// FuzzUsage checks that whatever stands where usage should, quantities are
// never negative, never more than was said, and never lost.
func FuzzUsage(f *testing.F) {
	for _, usage := range []string{
		`{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}`, `null`, `{}`, `[]`, `"x"`, `-1`, `{"prompt_tokens":{"a":1}}`,
		`{"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":1e3,"audio_tokens":2,"image_tokens":9,"cache_write_tokens":1}}`,
		`{"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":7,"audio_tokens":2}}`, `{"total_tokens":1e400}`, `{"prompt_tokens":1e12}`,
	} {
		f.Add(usage)
	}
	endpoints := []*Endpoint{FindEndpoint("/chat/completions"), FindEndpoint("/embeddings"), FindEndpoint("/images/generations")}
	f.Fuzz(func(t *testing.T, usage string) {
		for _, e := range endpoints {
			tap := mustRead(t, e, `{"model":"m"}`).NewTap("application/json")
			tap.Pass(nil, []byte(`{"data":[1],"choices":[{"message":{"content":"text"}}],"usage":`+usage+`}`))
			u := tap.Usage()
			for d, n := range u.NonZero() {
				if n < 0 {
					t.Errorf("%s %s: %s is %d", e.Name, usage, d, n)
				}
			}
			if u.IsZero() && e.Name != "images" {
				t.Errorf("%s %s: free", e.Name, usage)
			}
			if u.Source == FromUpstream {
				c := tap.facts.usage.merged
				most := max(c.value[usagePrompt]+c.value[usageCompletion], c.value[usageTotal], c.value[usageCacheHit]+c.value[usageCacheMiss]+c.value[usageCompletion])
				if u.Tokens() > most {
					t.Errorf("%s %s: %v is more than was said", e.Name, usage, u.Map())
				}
			}
		}
	})
}

// TestUsageWithoutInput checks that a usage that knows no input, of which there
// is always some, does not make it free.
func TestUsageWithoutInput(t *testing.T) {
	r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[{"role":"user","content":"one two three four"}]}`)
	for _, usage := range []string{
		`{"completion_tokens":5}`, `{"prompt_tokens":0,"completion_tokens":5,"total_tokens":5}`, `{"prompt_tokens":null,"completion_tokens":5}`,
		`{"prompt_tokens":"2000","completion_tokens":5}`, `{"prompt_tokens":-1,"completion_tokens":5}`, `{"prompt_tokens":9007199254740993,"completion_tokens":5}`,
	} {
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(`{"choices":[{"message":{"content":"x"}}],"usage":`+usage+`}`))
		u := tap.Usage()
		if u.Quantities != (Quantities{Input: r.estimateInput(), Output: 5}) || u.Source != Estimated || !slices.Contains(u.Anomalies, "input_missing") {
			t.Errorf("%s: %v %v from %s", usage, u.Map(), u.Anomalies, u.Source)
		}
	}
}

// TestByteOrderMark checks that one before an answer does not hide its usage.
func TestByteOrderMark(t *testing.T) {
	r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","messages":[]}`)
	for _, size := range []int{1, 2, 1000} { // in pieces, too
		tap := r.NewTap("application/json")
		for piece := range slices.Chunk([]byte("\ufeff"+`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1000,"completion_tokens":500}}`), size) {
			tap.Pass(nil, piece)
		}
		if u := tap.Usage(); u.Quantities != (Quantities{Input: 1000, Output: 500}) || u.Source != FromUpstream || tap.Cut() {
			t.Errorf("%v from %s, cut %v", u.Map(), u.Source, tap.Cut())
		}
	}
}
