package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// tripOf is one command for several calls, see trip in lua/library.lua. Each
// argument of a command costs Redis a third of a microsecond, so all that the
// calls have is one: an array of their own ARGV in MessagePack, whose third is
// the place of the call's group of keys.
func tripOf(ctx context.Context, all []*scriptCall) *redis.Cmd {
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

// readReplies reads what a trip returned: an array, in MessagePack, of the
// replies of all its calls, each an array of texts. False: it is not that.
func readReplies(packed string, all []*scriptCall) bool {
	u := unpacking{rest: packed}
	if u.array() != len(all) {
		return false
	}
	for _, c := range all {
		c.reply = reply{values: make([]string, min(u.array(), len(u.rest)))}
		for i := range c.reply.values {
			c.reply.values[i] = u.text()
		}
	}
	return !u.broken && u.rest == ""
}

// unpacking takes arrays and texts off a MessagePack.
type unpacking struct {
	rest   string
	broken bool
}

// take takes n bytes off.
func (u *unpacking) take(n int) string {
	if n > len(u.rest) {
		u.rest, u.broken = "", true
		return ""
	}
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

// number takes a number of so many bytes off. One that no int holds is the largest that does.
func (u *unpacking) number(size int) int {
	var n uint64
	for _, b := range []byte(u.take(size)) {
		n = n<<8 | uint64(b)
	}
	return int(min(n, math.MaxInt))
}

// array takes the beginning of an array off, and returns of how many.
func (u *unpacking) array() int {
	switch kind := u.number(1); {
	case kind&0xf0 == 0x90:
		return kind & 0x0f
	case kind == 0xdc:
		return u.number(2)
	case kind == 0xdd:
		return u.number(4)
	}
	u.broken = true
	return 0
}

// text takes a text off.
func (u *unpacking) text() string {
	switch kind := u.number(1); {
	case kind&0xe0 == 0xa0:
		return u.take(kind & 0x1f)
	case kind >= 0xd9 && kind <= 0xdb:
		return u.take(u.number(1 << (kind - 0xd9)))
	}
	u.broken = true
	return ""
}
