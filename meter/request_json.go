package meter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxNesting bounds the containers inside each other in a request. Upstreams
// give up at about a thousand.
const maxNesting = 512

// A cursor reads a request's JSON once, from the first byte to the last, and
// checks all of it. It does what a path query cannot: it sees every key, so
// that one that stands twice or hides behind an escape is noticed, knows where
// in the bytes each value is, so that they can be patched, and refuses to
// nest without bound.
//
//	for c.open('{'); c.more('}'); {
//		switch string(c.key()) {
//		case "model": …
//		default: c.skip()
//		}
//	}
//
// After an error every method does nothing, and more returns false.
type cursor struct {
	body  []byte
	pos   int
	depth int
	// first is set between the opening of a container and its first element.
	first bool
	err   *RequestError
}

func (c *cursor) fail(param, format string, args ...any) {
	if c.err == nil {
		c.err = &RequestError{Param: param, Message: fmt.Sprintf(format, args...)}
	}
	c.pos = len(c.body)
}

func (c *cursor) notJSON(what string) {
	c.fail("", "The request body is not valid JSON: %s at byte %d.", what, c.pos)
}

// peek skips blanks and returns the next byte, or 0 at the end.
func (c *cursor) peek() byte {
	for c.pos < len(c.body) {
		switch b := c.body[c.pos]; b {
		case ' ', '\t', '\r', '\n':
			c.pos++
		default:
			return b
		}
	}
	return 0
}

// expect consumes the byte b.
func (c *cursor) expect(b byte) bool {
	if got := c.peek(); got != b {
		c.unexpected(fmt.Sprintf("%q", b))
		return false
	}
	c.pos++
	return true
}

func (c *cursor) unexpected(want string) {
	if c.pos >= len(c.body) {
		c.notJSON("it ends where " + want + " should follow")
		return
	}
	c.notJSON(fmt.Sprintf("found %q where %s should follow", rune(c.body[c.pos]), want))
}

// open enters the container that begins here.
func (c *cursor) open(bracket byte) {
	if c.err != nil || !c.expect(bracket) {
		return
	}
	if c.depth++; c.depth > maxNesting {
		c.fail("", "The request body is nested too deeply: more than %d levels.", maxNesting)
	}
	c.first = true
}

// more reports whether another element follows, and leaves the container if not.
func (c *cursor) more(bracket byte) bool {
	if c.err != nil {
		return false
	}
	first := c.first
	c.first = false
	switch c.peek() {
	case bracket:
		c.pos++
		c.depth--
		return false
	case ',':
		if !first {
			c.pos++
			if c.peek() == bracket {
				c.unexpected("an element")
				return false
			}
			return true
		}
	}
	if !first {
		c.unexpected(`"," or ` + fmt.Sprintf("%q", rune(bracket)))
		return false
	}
	return true
}

// key reads the key of a member and the colon behind it. Escapes are resolved.
func (c *cursor) key() []byte {
	if c.peek() != '"' {
		c.unexpected("a key in quotes")
		return nil
	}
	raw, escaped := c.text()
	if !utf8.Valid(raw) {
		c.notJSON("a key that is not UTF-8")
	}
	c.expect(':')
	if escaped {
		return []byte(unescape(raw))
	}
	return raw
}

// text reads a string and returns what is between its quotes.
func (c *cursor) text() (raw []byte, escaped bool) {
	if c.err != nil || !c.expect('"') {
		return nil, false
	}
	start := c.pos
	for {
		c.pos += plainLength(c.body[c.pos:])
		if c.pos >= len(c.body) {
			c.notJSON("a string without its closing quote")
			return nil, false
		}
		switch b := c.body[c.pos]; b {
		case '"':
			c.pos++
			return c.body[start : c.pos-1], escaped
		case '\\':
			escaped = true
			if !c.escape() {
				return nil, false
			}
		default:
			c.notJSON(fmt.Sprintf("the control character %#02x in a string", b))
			return nil, false
		}
	}
}

// escape passes over one escape sequence.
func (c *cursor) escape() bool {
	rest := c.body[c.pos+1:]
	switch {
	case len(rest) > 0 && strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		c.pos += 2
		return true
	case len(rest) > 4 && rest[0] == 'u' && isHex(rest[1:5]):
		c.pos += 6
		return true
	}
	c.notJSON("an unknown escape in a string")
	return false
}

func isHex(p []byte) bool {
	for _, b := range p {
		if !(b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'f') {
			return false
		}
	}
	return true
}

// plainLength is the number of bytes before the first quote, backslash or
// control character. It looks at 32 bytes at a time: prompts are long.
func plainLength(p []byte) int {
	i := 0
	for ; i+32 <= len(p); i += 32 {
		q := p[i : i+32 : i+32]
		if special(q)|special(q[8:])|special(q[16:])|special(q[24:]) != 0 {
			break
		}
	}
	for ; i+8 <= len(p); i += 8 {
		if marks := special(p[i:]); marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for ; i < len(p); i++ {
		if b := p[i]; b == '"' || b == '\\' || b < 0x20 {
			return i
		}
	}
	return i
}

// special marks, in the highest bit of each, those of eight bytes that end what
// is plain. Only the first mark counts: its borrow may make others behind it.
func special(p []byte) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	w := binary.LittleEndian.Uint64(p)
	// With its second bit turned, a quote stands just above the control characters.
	return ((w ^ ones*2 - ones*('"'^2+1)) | (w ^ ones*'\\' - ones)) &^ w & highs
}

// skip passes over a value, checking it.
func (c *cursor) skip() {
	if c.err != nil {
		return
	}
	switch b := c.peek(); {
	case b == '{':
		for c.open('{'); c.more('}'); {
			c.key()
			c.skip()
		}
	case b == '[':
		for c.open('['); c.more(']'); {
			c.skip()
		}
	case b == '"':
		c.text()
	case b == '-' || b >= '0' && b <= '9':
		c.number()
	case !c.literal():
		c.unexpected("a value")
	}
}

// elements visits those of an array. Any other value is passed over.
func (c *cursor) elements(visit func()) {
	if c.peek() != '[' {
		c.skip()
		return
	}
	for c.open('['); c.more(']'); {
		visit()
	}
}

// raw passes over a value and returns its bytes.
func (c *cursor) raw() []byte {
	c.peek()
	start := c.pos
	c.skip()
	if c.err != nil {
		return nil
	}
	return c.body[start:c.pos]
}

// literal passes over true, false or null.
func (c *cursor) literal() bool {
	for _, word := range [...]string{"true", "false", "null"} {
		if end := c.pos + len(word); end <= len(c.body) && string(c.body[c.pos:end]) == word {
			c.pos = end
			return true
		}
	}
	return false
}

// number passes over a number.
func (c *cursor) number() {
	start := c.pos
	if c.body[c.pos] == '-' {
		c.pos++
	}
	whole := c.digits()
	ok := whole > 0 && (whole == 1 || c.body[c.pos-whole] != '0')
	if ok && c.at() == '.' {
		c.pos++
		ok = c.digits() > 0
	}
	if ok && c.at()|0x20 == 'e' {
		c.pos++
		if b := c.at(); b == '+' || b == '-' {
			c.pos++
		}
		ok = c.digits() > 0
	}
	if !ok {
		c.pos = start
		c.notJSON("a malformed number")
	}
}

// at returns the next byte as it is, or 0 at the end.
func (c *cursor) at() byte {
	if c.pos < len(c.body) {
		return c.body[c.pos]
	}
	return 0
}

func (c *cursor) digits() (n int) {
	for c.pos < len(c.body) && c.body[c.pos] >= '0' && c.body[c.pos] <= '9' {
		c.pos++
		n++
	}
	return n
}

// end checks that nothing but blanks follows.
func (c *cursor) end() {
	if c.err == nil && c.peek() != 0 || c.pos < len(c.body) {
		c.unexpected("the end")
	}
}

// kindOf names the kind of a value for an error message.
func kindOf(first byte) string {
	switch first {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// unescape reads the inside of a JSON string. A string that was cut in the
// middle of an escape loses the half; control characters become blanks.
func unescape(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	raw = trimHalfEscape(raw)
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(quoted, '"')
	for _, b := range raw {
		quoted = append(quoted, max(b, ' '))
	}
	return gjson.ParseBytes(append(quoted, '"')).String()
}

// trimHalfEscape drops an escape that is not complete at the end of raw.
func trimHalfEscape(raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		size := 2
		if i+1 < len(raw) && raw[i+1] == 'u' {
			size = 6
		}
		if i+size > len(raw) {
			return raw[:i]
		}
		i += size - 1
	}
	return raw
}
