package meter

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func chunk(members string) string { return "data: {" + members + "}\n\n" }

func content(text string) string {
	return chunk(`"choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":null}]`)
}

const (
	finishChunk = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
	usageChunk  = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n"
	failedChunk = "data: {\"error\":{\"message\":\"overloaded\"},\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n"
	doneChunk   = "data: [DONE]\n\n"
)

func streamTap(t testing.TB, asked bool) *Tap {
	t.Helper()
	r := mustRead(t, FindEndpoint("/chat/completions"), fmt.Sprintf(`{"model":"m","stream":true,"stream_options":{"include_usage":%t}}`, asked))
	return r.NewTap("text/event-stream")
}

// TestWithheld plays streams piece by piece and checks what the client has after
// each of them, and what it gets after the booking.
func TestWithheld(t *testing.T) {
	type step struct{ in, out string }
	pass := func(s string) step { return step{s, s} }
	hold := func(s string) step { return step{s, ""} }
	role := content("")
	final := `data: {"choices":[{"index":0,"delta":{"content":"last"},"finish_reason":"stop"}]}` + "\n\n"
	cases := []struct {
		name  string
		asked bool
		steps []step
		end   string
	}{
		{"an ordinary stream", true, []step{pass(role), pass(content("a")), hold(finishChunk), hold(usageChunk), hold(doneChunk)}, finishChunk + usageChunk + doneChunk},
		{"usage was not asked for", false, []step{pass(content("a")), hold(finishChunk), hold(usageChunk), hold(doneChunk)}, finishChunk + doneChunk},
		{"usage in the last chunk with choices", false, []step{pass(content("a")), hold(final), hold(doneChunk)}, final + doneChunk},
		{"no [DONE]", true, []step{pass(content("a")), hold(finishChunk)}, finishChunk},
		{"another choice goes on", true, []step{pass(content("a")), hold(finishChunk), {content("b"), finishChunk + content("b")}, hold(finishChunk)}, finishChunk},
		{"every chunk says it is finished", true, []step{hold(final), {final, final}, {final, final}}, final},
		{"an empty finish_reason is none", true, []step{pass(chunk(`"choices":[{"delta":{"content":"a"},"finish_reason":""}]`)), hold(finishChunk)}, finishChunk},
		{"cumulative usage does not stall", true, []step{
			pass(chunk(`"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}`)),
			pass(chunk(`"choices":[{"delta":{"content":"b"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}`)),
		}, ""},
		{"usage-only chunks in between", true, []step{pass(content("a")), hold(usageChunk), {content("b"), usageChunk + content("b")}}, ""},
		{"usage-only chunks in between, not asked for", false, []step{pass(content("a")), hold(usageChunk), pass(content("b"))}, ""},
		{"a chunk that does not say what it is", false, []step{
			{chunk(`"choices":[],"prompt_filter_results":[]`), strings.TrimSuffix(chunk(`"choices":[],"prompt_filter_results":[]`), "\n")},
			{content("a"), "\n" + content("a")},
		}, ""},
		{"comments pass, and wait behind the end", true, []step{pass(": keep-alive\n\n"), pass(content("a")), pass(": keep-alive\n\n"), hold(finishChunk), hold(": bye\n\n")}, finishChunk + ": bye\n\n"},
		{"a comment without a blank line", false, []step{pass(": keep-alive\n"), pass(content("a"))}, ""},
		{"a frame in pieces, asked", true, []step{pass(`data: {"choices":[{"delta":{"con`), pass(`tent":"a"}}]}` + "\n"), pass("\n")}, ""},
		{"a frame in pieces, undecided", false, []step{hold(`data: {"id":"1","cho`), {`ices":[{"delta":`, `data: {"id":"1","choices":[{"delta":`}, pass(`{"content":"a"}}]}` + "\n\n")}, ""},
		{"an end in pieces", true, []step{pass(`data: {"choices":[{"delta":{},"finish_reason":"st`), hold(`op"}]}`), hold("\n"), hold("\n")}, "op\"}]}\n\n"},
		{"[DONE] in pieces", true, []step{hold(finishChunk), hold("data: ["), hold("DONE]\n\n")}, finishChunk + doneChunk},
		{"a lone [DONE] in pieces", true, []step{pass(content("a")), hold("data: ["), hold("DONE]"), hold("\n\n")}, doneChunk},
		{"a lone [DONE]", true, []step{pass(content("a")), hold(doneChunk)}, doneChunk},
		{"an error", true, []step{pass(content("a")), hold("event: error\ndata: {}\n\n")}, "event: error\ndata: {}\n\n"},
		{"an error in pieces", true, []step{pass(`data: {"err`), hold(`or":{"message":"overloaded"}}`), hold("\n\n")}, `or":{"message":"overloaded"}}` + "\n\n"},
		{"an error that says what was used", false, []step{pass(content("a")), hold(failedChunk)}, failedChunk},
		{"no blank line at the end", false, []step{pass(content("a")), hold(finishChunk), hold(strings.TrimSpace(usageChunk))}, finishChunk},
		{"single line ends between chunks", true, []step{pass("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n"), hold("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n"), hold("data: [DONE]\n")}, "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\ndata: [DONE]\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tap := streamTap(t, c.asked)
			for i, s := range c.steps {
				if got := tap.Pass(nil, []byte(s.in)); string(got) != s.out {
					t.Fatalf("piece %d, %q: %q went out, want %q", i, s.in, got, s.out)
				}
			}
			if got := tap.End(); string(got) != c.end {
				t.Errorf("the end is %q, want %q", got, c.end)
			}
			if again := tap.End(); len(again) != 0 {
				t.Errorf("the end came twice: %q", again)
			}
		})
	}
}

// TestHoldIsBounded checks that an endless end goes out but for its last part,
// and that a usage-only chunk beyond all measure passes.
func TestHoldIsBounded(t *testing.T) {
	tap := streamTap(t, true)
	var out []byte
	in := []byte(finishChunk)
	for range 10_000 {
		in = append(in, ": waiting for the end of time\n\n"...)
	}
	for piece := range slices.Chunk(in, 4096) {
		out = tap.Pass(out, piece)
		if len(tap.withheld) > maxWithheld {
			t.Fatalf("%d bytes are withheld", len(tap.withheld))
		}
	}
	if len(out) != len(in)-maxWithheld || !bytes.Equal(append(out, tap.End()...), in) {
		t.Errorf("%d of %d bytes went out", len(out), len(in))
	}

	tap = streamTap(t, false)
	huge := chunk(`"usage":{"prompt_tokens":3,"completion_tokens":2},"padding":"` + strings.Repeat("x", maxUndecided) + `"`)
	if got := append(tap.Pass(nil, []byte(huge)), tap.End()...); string(got) != huge {
		t.Errorf("%d of %d bytes came through", len(got), len(huge))
	}
}

// TestHoldImages checks that a preview is shown at once and the image waits.
func TestHoldImages(t *testing.T) {
	r := mustRead(t, FindEndpoint("/images/generations"), `{"model":"gpt-image-1","stream":true}`)
	tap := r.NewTap("text/event-stream")
	preview := "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"" + strings.Repeat("A", 100_000) + "\"}\n\n"
	if got := tap.Pass(nil, []byte(preview)); string(got) != preview {
		t.Errorf("%d of %d bytes of the preview went out", len(got), len(preview))
	}
	image := strings.Replace(strings.ReplaceAll(preview, "partial_image", "completed"), `"}`, `","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`, 1)
	out := tap.Pass(nil, []byte(image))
	if len(out) != len(image)-maxWithheld {
		t.Errorf("%d of %d bytes of the image went out", len(out), len(image))
	}
	if u := tap.Usage(); u.Quantities != (Quantities{Input: 1, OutputImage: 2, Image: 1}) {
		t.Errorf("usage %v", u.Map())
	}
	if got := string(append(out, tap.End()...)); got != image {
		t.Error("the image has changed")
	}
}

// TestHoldImageWithoutUsage checks that an image waits, too, that comes without
// usage and in pieces.
func TestHoldImageWithoutUsage(t *testing.T) {
	tap := mustRead(t, FindEndpoint("/images/generations"), `{"model":"m","stream":true}`).NewTap("text/event-stream")
	const head, rest = "event: image_generation.completed\n", "data: {\"b64_json\":\"AAAA\"}\n\n"
	out := tap.Pass(nil, []byte(head))
	if out = tap.Pass(out, []byte(rest[:20])); strings.Contains(string(out), "data:") {
		t.Errorf("%q went out of a part of the image", out)
	}
	if out = tap.Pass(out, []byte(rest[20:])); strings.Contains(string(out), "data:") {
		t.Errorf("%q went out of the whole image", out)
	}
	if got := string(append(out, tap.End()...)); got != head+rest {
		t.Errorf("the image has become %q", got)
	}
}

// TestHoldJSON checks that of a large document the last part is kept back.
func TestHoldJSON(t *testing.T) {
	r := mustRead(t, FindEndpoint("/images/generations"), `{"model":"gpt-image-1"}`)
	tap := r.NewTap("application/json")
	in := []byte(`{"data":[{"b64_json":"` + strings.Repeat("A", 1<<20) + `"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`)
	var out []byte
	for i := 0; i < len(in); i += 10_000 {
		out = tap.Pass(out, in[i:min(i+10_000, len(in))])
	}
	if len(out) != len(in)-maxWithheld {
		t.Errorf("%d of %d bytes went out", len(out), len(in))
	}
	if u := tap.Usage(); u.Quantities != (Quantities{Input: 1, OutputImage: 2, Image: 1}) || u.Source != FromUpstream {
		t.Errorf("usage %v", u.Map())
	}
	if !bytes.Equal(append(out, tap.End()...), in) {
		t.Error("the document has changed")
	}
}

// A large document that was looked at, and adopted, goes on as one that was passed.
func TestAdoptLarge(t *testing.T) {
	r := mustRead(t, FindEndpoint("/images/generations"), `{"model":"gpt-image-1"}`)
	in := []byte(`{"data":[{"b64_json":"` + strings.Repeat("A", 1<<20) + `"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}`)
	cost := []byte(`"cost":"1"`)
	whole := r.NewTap("application/json")
	want := append(whole.Pass(nil, in), whole.EndWithCost(cost)...)
	for _, adopted := range []int{0, 1000, maxWithheld, maxWithheld + 1, 1 << 20, len(in) - 20, len(in)} {
		for _, kept := range []int{adopted, min(adopted, maxWithheld), min(adopted, maxWithheld+1000)} {
			tap := r.NewTap("application/json")
			for i := 0; i < adopted; i += 10_000 {
				tap.Look(in[i:min(i+10_000, adopted)])
			}
			out := bytes.Clone(in[:adopted-kept]) // which its caller has passed on
			out = append(out, tap.Adopt(in[adopted-kept:adopted])...)
			if len(out) != max(0, adopted-maxWithheld) {
				t.Errorf("adopted at %d, %d bytes went out", adopted, len(out))
			}
			out = tap.Pass(out, in[adopted:])
			if tap.Usage().Quantities != whole.Usage().Quantities {
				t.Errorf("adopted at %d: usage %v", adopted, tap.Usage())
			}
			if out = append(out, tap.EndWithCost(cost)...); !bytes.Equal(out, want) {
				t.Errorf("adopted at %d: the document has changed", adopted)
			}
		}
	}
}
