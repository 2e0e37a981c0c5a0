package meter

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// frameKind is a frame whose fate is known.
type frameKind struct {
	text string
	// usageOnly frames are taken out where usage was not asked for; ends
	// are never with the client before End, unless content follows.
	usageOnly, end, content bool
}

func frameKinds() []frameKind {
	return []frameKind{
		{text: content("word"), content: true},
		{text: chunk(`"id":"x","choices":[{"index":0,"delta":{"content":"\"usage\":{}"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}`), content: true},
		{text: finishChunk, end: true},
		{text: usageChunk, usageOnly: true, end: true},
		{text: "data: {\"id\":\"x\",\ndata: \"usage\":{\"prompt_tokens\":3}}\n\n", usageOnly: true, end: true},
		{text: "id: 3\nevent: message\ndata:{\"usage\":{\"prompt_tokens\":4},\"choices\":[]}\nretry: 1\n\n", usageOnly: true, end: true},
		{text: doneChunk, end: true},
		{text: ": keep-alive\n\n"},
		{text: ": keep-alive\n"},
		{text: "\n"},
		{text: "event: ping\n\n"},
		{text: chunk(`"choices":[],"prompt_filter_results":[{"usage":{"prompt_tokens":9}}]`)},
		{text: chunk(`"usage":null`)},
		{text: "data: not JSON {[\"\n\n"},
	}
}

// TestRandomStreams builds streams of which it is known what should go
// through, with every line end and in random pieces, and checks besides that
// the client never holds the whole of an answer before the end is asked for.
func TestRandomStreams(t *testing.T) {
	kinds := frameKinds()
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		asked, lineEnd := random.IntN(2) == 0, []string{"\n", "\r\n", "\r"}[random.IntN(3)]
		var in, want strings.Builder
		var endAt int // where in want the frames begin that may be the last
		ending := false
		for range 1 + random.IntN(12) {
			k := kinds[random.IntN(len(kinds))]
			text := strings.ReplaceAll(k.text, "\n", lineEnd)
			in.WriteString(text)
			switch {
			case k.content:
				ending = false
			case k.end && !ending && (asked || !k.usageOnly):
				ending, endAt = true, want.Len()
			}
			if asked || !k.usageOnly {
				want.WriteString(text)
			}
		}
		tap := streamTap(t, asked)
		var out []byte
		for rest := []byte(in.String()); len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), 40))
			out = tap.Pass(out, rest[:n])
			rest = rest[n:]
		}
		if ending && len(out) >= want.Len() {
			t.Fatalf("seed %d: of %q the client has all, the end at %d", seed, in.String(), endAt)
		}
		// Frames that were cut before they were known may have gone out in
		// part, but never to their last line end.
		if ending && bytes.HasSuffix(out, []byte(lineEnd+lineEnd)) && len(out) > endAt {
			t.Fatalf("seed %d: of %q the client has %q, the end begins at %d", seed, in.String(), out, endAt)
		}
		if out = append(out, tap.End()...); string(out) != want.String() {
			t.Fatalf("seed %d: %q became %q, want %q", seed, in.String(), out, want.String())
		}
	}
}
