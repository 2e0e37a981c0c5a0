package meter

import (
	"strings"
	"testing"
)

// TestThoughtTwice: vLLM sends what a model thinks as reasoning and again, for
// older clients, as reasoning_content. It was written once.
func TestThoughtTwice(t *testing.T) {
	const once = `"reasoning":"The quick brown fox jumps over the lazy dog. "`
	again := strings.Replace(once, "reasoning", "reasoning_content", 1)
	estimate := func(delta string, events int) int64 {
		tap := streamTap(t, false)
		for range events {
			tap.Pass(nil, []byte(`data: {"choices":[{"index":0,"delta":{`+delta+`}}]}`+"\n\n"))
		}
		tap.Pass(nil, []byte(content("The answer is no.")))
		return tap.Usage().Quantities[Output]
	}
	for _, events := range []int{1, 20, 1000} { // as long as what is kept of it, and longer
		want := estimate(once, events)
		for _, delta := range []string{once + "," + again, again + "," + once, again} {
			if got := estimate(delta, events); got < want*95/100 || got > want*105/100+1 {
				t.Errorf("%d of {%s}: %d tokens, want %d", events, delta, got, want)
			}
		}
	}
}
