package meter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// openings are ways in which the events of a stream begin. Some can be told
// again, some cannot.
var openings = []string{
	`{"id":"a","model":"m-1","service_tier":"flex","choices":[{"index":0,"delta":{"content":"`,
	`{"id":"a","model":"m-2","choices":[{"index":0,"delta":{"content":"`,
	`{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":"`,
	`{"choices":[{"index":1,"finish_reason":null,"delta":{"reasoning_content":"`,
	`{"choices":[{"index":0,"finish_reason":"stop","delta":{"content":"`,
	`{"choices":[{"index":0,"delta":{}},{"index":1,"delta":{"content":"`,
	`{"usage":{"prompt_tokens":3,"completion_tokens":2},"choices":[{"index":0,"delta":{"content":"`,
	`{"choices":[{"usage":{},"delta":{"content":"`,
	`{"error":{"message":"x"},"choices":[{"delta":{"content":"`,
	`{"web_search":[{"title":"x"}],"choices":[{"delta":{"content":"`,
	`{"choices":[{"delta":{"annotations":[{"type":"url_citation"}],"content":"`,
	`{"choices":[{"text":"`,
	`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"`,
	` 12 {"choices":[{"delta":{"content":"`,
}

// endings are ways in which they go on after their text.
var endings = []string{
	`"}}]}`,
	`"},"logprobs":null,"finish_reason":null}],"usage":null}`,
	`"},"finish_reason":"stop"}]}`,
	`"},"finish_reason":""}]} `,
	`"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`,
	`"},"usage":{}}]}`,
	`"}}],"model":"m-3"}`,
	`"}}],"service_tier":"default"}`,
	`","reasoning_content":"so"}}]}`,
	`"}},{"index":1,"delta":{"content":""}}]}`,
	`"}}],"error":{"message":"x"}}`,
	`"}}],"web_search":[{"title":"x"}]}`,
	`"}}]}{"choices":[{"delta":{"content":"more"}}]}`,
	`"}}]}{}`,
	`"}}]} 12`,
	`"}]}`,
	`"}}]`,
	``,
}

// texts are what the model wrote: of some the end is not where it seems to be.
var texts = []string{`word`, `word`, ``, `a\\`, `a\`, `a\"`, `\\\"`, `a\n`, `x"},"finish_reason":"stop"},{"delta":{"content":"y`}

// some returns up to three neighbours in a list.
func some(random *rand.Rand, of []string) []string {
	of = of[random.IntN(len(of)):]
	return of[:1+random.IntN(min(3, len(of)))]
}

// TestOpenings checks that what is told again of how events begin and end is what
// reading them says, in whatever order and pieces they come.
func TestOpenings(t *testing.T) {
	skipped, whole := 0, 0
	for seed := range uint64(10000) {
		random := rand.New(rand.NewPCG(seed, 2))
		one := func(of []string) string { return of[max(0, random.IntN(3*len(of))-2*len(of))] } // mostly the first
		var in strings.Builder
		some, endings := some(random, openings), some(random, endings)
		if random.IntN(3) == 0 {
			endings = append(endings[:0:0], `"}}]}`, endings[0])
		}
		for range 1 + random.IntN(12) {
			fmt.Fprintf(&in, "data: %s%s%s\n\n", one(some), texts[random.IntN(len(texts))], one(endings))
			if random.IntN(8) == 0 {
				in.WriteString("data: 1\ndata: " + some[0] + "x\"}}]}\n\n")
			}
		}
		in.WriteString([]string{finishChunk + usageChunk + doneChunk, usageChunk, doneChunk, `data: {"cho`, ""}[random.IntN(5)])
		asked := random.IntN(2) == 0
		tap, plain := streamTap(t, asked), streamTap(t, asked)
		plain.opening.credit = 0
		piece := []int{7, 100, 1 << 20, 1 << 20}[random.IntN(4)]
		var out, want []byte
		for rest := []byte(in.String()); len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), piece))
			out, want = tap.Pass(out, rest[:n]), plain.Pass(want, rest[:n])
			rest = rest[n:]
		}
		if len(tap.opening.text) > 0 {
			skipped++
		}
		if len(tap.opening.ending) > 0 {
			whole++
		}
		if got, want := tap.told(), plain.told(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: of %q it found\n%+v, want\n%+v", seed, in.String(), got, want)
		}
		cost := []byte(`"cost":"1"`)
		if out, want = append(out, tap.EndWithCost(cost)...), append(want, plain.EndWithCost(cost)...); !slices.Equal(out, want) {
			t.Fatalf("seed %d: %q became %q, want %q", seed, in.String(), out, want)
		}
	}
	if skipped < 1000 || whole < 500 {
		t.Errorf("an opening was learned in %d streams only, an ending in %d", skipped, whole)
	}
}

// told is all that a tap has found, comparable.
func (t *Tap) told() []any {
	facts := t.facts
	facts.model, facts.tier = noted{}, noted{} // their bytes beyond n say nothing
	return []any{t.Usage(), facts, t.facts.model.String(), t.facts.tier.String(), t.usageOpen, t.usageClose, t.scanner.state, t.scanner.depth}
}

// TestEndings checks that, event by event, for events that are alike, and one that is not quite.
func TestEndings(t *testing.T) {
	learned := 0
	for _, opening := range openings {
		for _, ending := range endings {
			for _, text := range texts {
				tap, plain := streamTap(t, true), streamTap(t, true)
				plain.opening.credit = 0
				for i, text := range []string{"word", "word", text, text} {
					p := []byte("data: " + opening + text + ending + "\n\n")
					out, want := tap.Pass(nil, p), plain.Pass(nil, p)
					if !bytes.Equal(out, want) || !reflect.DeepEqual(tap.told(), plain.told()) {
						t.Fatalf("event %d, %s: %q went through, and it found\n%+v, want %q and\n%+v", i+1, p, out, tap.told(), want, plain.told())
					}
				}
				if len(tap.opening.ending) > 0 {
					learned++
				}
			}
		}
	}
	if learned < len(texts)*len(openings)/3 {
		t.Errorf("an ending was learned in %d streams only", learned)
	}
}

// TestEndingsThatDiffer checks likewise that endings are not learned again and again.
func TestEndingsThatDiffer(t *testing.T) {
	tap := streamTap(t, true)
	for i := range 100 {
		tap.Pass(nil, fmt.Appendf(nil, "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"obfuscation\":\"%d\"}\n\n", i))
	}
	if tap.opening.endingCredit != 0 || tap.facts.choices != 100 || !strings.Contains(string(tap.opening.ending), `"4"`) {
		t.Errorf("credit %d, %d choices, ending %q", tap.opening.endingCredit, tap.facts.choices, tap.opening.ending)
	}
	tap.opening.endingCredit = 1
	for range 10 {
		tap.Pass(nil, []byte("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n"))
	}
	if tap.opening.endingCredit != maxOpeningCredit {
		t.Errorf("after endings that are alike, credit %d", tap.opening.endingCredit)
	}
}

// TestOpeningsThatDiffer checks that events which never begin alike are not
// learned again and again.
func TestOpeningsThatDiffer(t *testing.T) {
	tap := streamTap(t, true)
	for i := range 100 {
		tap.Pass(nil, fmt.Appendf(nil, "data: {\"id\":%d,\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", i))
	}
	if tap.opening.credit != 0 || tap.facts.choices != 100 || !strings.Contains(string(tap.opening.text), `"id":3,`) {
		t.Errorf("credit %d, %d choices, opening %q", tap.opening.credit, tap.facts.choices, tap.opening.text)
	}
}
