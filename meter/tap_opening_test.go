package meter

import (
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
	`{"choices":[{"delta":{"tool_calls":[{"function":{"name":"`,
	` 12 {"choices":[{"delta":{"content":"`,
}

// TestOpenings checks that what is told again of how events begin is what
// reading them says, in whatever order and pieces they come.
func TestOpenings(t *testing.T) {
	skipped := 0
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 2))
		var in strings.Builder
		some := openings[random.IntN(len(openings)):]
		some = some[:1+random.IntN(min(3, len(some)))]
		for n := range 1 + random.IntN(12) {
			fmt.Fprintf(&in, "data: %sword %d\"}}]}\n\n", some[random.IntN(len(some))], n)
			if random.IntN(8) == 0 {
				in.WriteString("data: 1\ndata: " + some[0] + "x\"}}]}\n\n")
			}
		}
		in.WriteString([]string{finishChunk + usageChunk + doneChunk, usageChunk, doneChunk, `data: {"cho`, ""}[random.IntN(5)])
		asked := random.IntN(2) == 0
		tap, plain := streamTap(t, asked), streamTap(t, asked)
		plain.opening.credit = 0
		piece := []int{7, 100, 1 << 20}[random.IntN(3)]
		var out, want []byte
		for rest := []byte(in.String()); len(rest) > 0; {
			n := 1 + random.IntN(min(len(rest), piece))
			out, want = tap.Pass(out, rest[:n]), plain.Pass(want, rest[:n])
			rest = rest[n:]
		}
		if len(tap.opening.text) > 0 {
			skipped++
		}
		if got, want := tap.told(), plain.told(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: of %q it found\n%+v, want\n%+v", seed, in.String(), got, want)
		}
		cost := []byte(`"cost":"1"`)
		if out, want = append(out, tap.EndWithCost(cost)...), append(want, plain.EndWithCost(cost)...); !slices.Equal(out, want) {
			t.Fatalf("seed %d: %q became %q, want %q", seed, in.String(), out, want)
		}
	}
	if skipped < 500 {
		t.Errorf("an opening was learned in %d streams only", skipped)
	}
}

// told is all that a tap has found, comparable.
func (t *Tap) told() []any {
	facts := t.facts
	facts.model, facts.tier = noted{}, noted{} // their bytes beyond n say nothing
	return []any{t.Usage(), facts, t.facts.model.String(), t.facts.tier.String(), t.usageOpen, t.usageClose, t.scanner.state, t.scanner.depth}
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
