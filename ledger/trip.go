package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// tripOf is one command for several calls, see trip in lua/library.lua. Each
// argument of a command costs Redis a third of a microsecond, so all that the
// calls have is one: an array of their own ARGV in MessagePack, whose third is
// the place of the call's group of keys.
func tripOf(ctx context.Context, all []*traveller) *redis.Cmd {
	keys := make([]string, 0, 2*scriptKeys)
	calls := appendArray(make([]byte, 0, 512*len(all)), len(all))
	full := true
	var groups []int // the first that came with each group of keys
	for i, t := range all {
		full = full && t.script.full
		g := slices.IndexFunc(groups, func(first int) bool { return sameKeys(all[first].keys, t.keys) })
		if g < 0 {
			g, groups = len(groups), append(groups, i)
			keys = append(keys, t.keys...)
		}
		calls = appendArray(calls, len(t.args))
		calls = appendPacked(calls, t.script.name)
		calls = appendArgument(calls, t.args[1])
		calls = append(calls, byte(g)) // below 128 it is its own encoding
		for _, arg := range t.args[3:] {
			calls = appendArgument(calls, arg)
		}
	}
	identity, offset := all[0].args[0], all[0].args[2] // the same for all
	return commandOf(ctx, "fcall", all[0].script.of.toTravel(full), keys, []any{identity, offset, calls})
}

// appendArray begins an array of n elements.
func appendArray(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint16(append(b, 0xdc), uint16(n))
}

// appendArgument appends an argument as the text that a script gets.
func appendArgument(b []byte, arg any) []byte {
	switch arg := arg.(type) {
	case string:
		return appendPacked(b, arg)
	case *string:
		return appendPacked(b, *arg)
	case int64:
		var digits [20]byte
		return appendPacked(b, strconv.AppendInt(digits[:0], arg, 10))
	}
	return appendPacked(b, fmt.Sprint(arg))
}

// appendPacked appends a text, as a string of up to 31 bytes or of 32 bits' length.
func appendPacked[T string | []byte](b []byte, text T) []byte {
	if len(text) < 32 {
		b = append(b, 0xa0|byte(len(text)))
	} else {
		b = binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(len(text)))
	}
	return append(b, text...)
}

// sameKeys reports whether two calls are of one account, and their markers in one bucket.
func sameKeys(a, b []string) bool {
	const account, marker = 3, scriptKeys - 1
	return a[account] == b[account] && a[marker] == b[marker]
}

// answerIn is the i-th reply of a trip.
func answerIn(replies []any, i int) ([]any, error) {
	if i < len(replies) {
		if reply, is := replies[i].([]any); is {
			return reply, nil
		}
	}
	return nil, fmt.Errorf("no reply to call %d of a trip in %.200v", i, replies)
}
