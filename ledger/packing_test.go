package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What a trip's calls are packed into, Redis takes apart again: texts of every
// length that has a form of its own, and numbers as the texts that a script
// gets of them.
func TestRedisUnpacksArguments(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		long := strings.Repeat("ü\x00\"", 30_000)
		args := []any{
			"", "a", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 255), strings.Repeat("x", 256), long, &long,
			int64(-1 << 63), int64(1<<63 - 1), int64(1e14), 7,
		}
		packed, want := appendArray(nil, len(args)), make([]string, len(args))
		for i, arg := range args {
			packed, want[i] = appendArgument(packed, arg), fmt.Sprint(arg)
			if text, is := arg.(*string); is {
				want[i] = *text
			}
		}
		got, err := f.ledger.client.Eval(f.ctx(), "return cmsgpack.unpack(ARGV[1])", nil, packed).StringSlice()
		f.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("got %d texts, want %d, or others", len(got), len(want))
		}
	})
}
