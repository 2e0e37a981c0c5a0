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

// What Redis packs replies into is read as they were: texts of every length
// that has a form of its own, and few replies as well as many.
func TestRepliesAreUnpacked(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		for _, calls := range []int{1, 15, 16, 70_000} {
			want := []string{"", "a", strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("ü\x00\"", 30_000)}
			if calls > 16 {
				want = want[:2]
			}
			const script = "local all = {}; for i = 1, tonumber(ARGV[1]) do all[i] = {unpack(ARGV, 2)} end; return cmsgpack.pack(all)"
			args := []any{calls}
			for _, text := range want {
				args = append(args, text)
			}
			packed, err := f.ledger.client.Eval(f.ctx(), script, nil, args...).Text()
			f.must(err)
			list := make([]*scriptCall, calls)
			for i := range list {
				list[i] = new(scriptCall)
			}
			if !readReplies(packed, list) {
				t.Fatalf("%d replies cannot be read", calls)
			}
			for i, c := range list {
				if !slices.Equal(c.reply.values, want) {
					t.Fatalf("%d replies: number %d is %.200q", calls, i, c.reply.values)
				}
			}
			if readReplies(packed, list[1:]) || readReplies(packed+"x", list) || readReplies(packed[:len(packed)-1], list) {
				t.Errorf("%d replies: what is not theirs was read as such", calls)
			}
		}
	})
}

// Whatever an answer is, it is read within its bounds, or not at all.
func FuzzReplies(f *testing.F) {
	f.Add("\x92\x92\xa2OK\xa11\x92\xa2NO\xd9\x012")
	f.Add("\x92\x91\xc2\x91\xa1x")         // false, which is no text
	f.Add("\x92\xdd\xff\xff\xff\xff")      // more than there is
	f.Add("\x92\x91\xdb\xff\xff\xff\xffx") // a text likewise
	f.Fuzz(func(t *testing.T, packed string) {
		calls := []*scriptCall{new(scriptCall), new(scriptCall)}
		if !readReplies(packed, calls) {
			return
		}
		size := 0
		for _, c := range calls {
			for _, text := range c.reply.values {
				size += 1 + len(text)
			}
		}
		if size+1 > len(packed) {
			t.Errorf("%d bytes of texts in %q", size, packed)
		}
	})
}
