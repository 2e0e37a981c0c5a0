package meter

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A scanner reads JSON that arrives in pieces, cut anywhere, and tells facts
// about the few members that its schema names. It keeps no document: its
// memory is this struct, whatever the size of the answer, so that an image of
// megabytes in one string costs nothing but the search for its closing quote.
//
// It does not validate. The upstream is trusted to send JSON, and what is not
// JSON must pass through unharmed all the same; a scanner fed with noise ends
// in some state, and reset starts it afresh. Keys are compared as they stand
// in the text: a key written with escapes is not recognised.
type scanner struct {
	schema *answerSchema
	state  scanState
	// open are the containers around the current position whose members matter.
	open [maxSchemaDepth]openContainer
	// depth says how many of open are in use.
	depth int
	// skipped counts the containers open inside a value that the schema does not name.
	skipped int
	// node is the schema's node of the value that comes next, or is being read.
	node nodeID
	// escaped is set between a backslash and the character that it escapes.
	escaped bool
	// buf[:n] is the key, the number or the short string being read. One that
	// does not fit is marked tooLong and matches nothing.
	buf     [128]byte
	n       int
	tooLong bool
	// usageOpen and usageClose are the places in the piece last fed of the
	// braces of the last usage object; -1 where there was none.
	usageOpen, usageClose int
	// textOpen is the place in the piece last fed where the first text begins
	// that the model wrote; -1 if none begins there.
	textOpen int
}

type openContainer struct {
	node  nodeID
	array bool
}

type scanState uint8

const (
	wantValue scanState = iota
	wantKey
	inKey
	wantColon
	inString
	inScalar
	inSkipped
	inSkippedString
)

// reset forgets where the scanner is, at the border of two documents.
func (s *scanner) reset() {
	s.state, s.depth, s.skipped, s.node, s.escaped, s.n, s.tooLong = wantValue, 0, 0, rootNode, false, 0, false
}

// isAtStart reports whether a document may begin with the next byte.
func (s *scanner) isAtStart() bool { return s.state == wantValue && s.depth == 0 }

// feed reads the next piece.
func (s *scanner) feed(p []byte, f *answerFacts) {
	s.usageOpen, s.usageClose, s.textOpen = -1, -1, -1
	for i := 0; i < len(p); {
		switch s.state {
		case wantValue:
			i = s.value(p, i, f)
		case wantKey:
			i = s.key(p, i, f)
		case inKey:
			i = s.keyText(p, i)
		case wantColon:
			if p[i] == ':' {
				s.state = wantValue
			}
			i++
		case inString:
			i = s.stringText(p, i, f)
		case inScalar:
			i = s.scalar(p, i, f)
		case inSkipped:
			fact, from := s.schema.at(s.node).fact, i
			if i = s.skip(p, i); fact.isText() {
				f.text(fact, p[from:i])
			}
		case inSkippedString:
			var done bool
			from := i
			if i, done = s.stringEnd(p, i); done {
				s.state = inSkipped
			}
			if fact := s.schema.at(s.node).fact; fact.isText() {
				f.text(fact, p[from:i])
			}
		}
	}
}

// value reads the first byte of a value, or what stands between values.
func (s *scanner) value(p []byte, i int, f *answerFacts) int {
	b := p[i]
	switch b {
	case ' ', '\t', '\r', '\n', ',', ':':
		return i + 1
	case '}', ']':
		s.close(i, f)
		return i + 1
	case 0xef, 0xbb, 0xbf: // a byte order mark, which some put before a document
		if s.depth == 0 {
			return i + 1
		}
	}
	if s.depth > 0 && s.open[s.depth-1].array {
		parent := s.open[s.depth-1].node
		f.element(s.schema.at(parent).fact)
		s.node = s.schema.element(parent)
	}
	s.n, s.tooLong = 0, false
	if s.depth == 0 && b != '{' && b != '[' {
		f.noise = true
	}
	switch b {
	case '{', '[':
		s.enter(b == '[', i, f)
	case '"':
		s.state = inString
		if s.textOpen < 0 && s.schema.at(s.node).fact.isText() {
			s.textOpen = i + 1
		}
	default:
		s.state = inScalar
		return i
	}
	return i + 1
}

// enter opens a container: one whose members matter is put on the stack, of
// any other only the depth is counted.
func (s *scanner) enter(array bool, at int, f *answerFacts) {
	n := s.schema.at(s.node)
	f.enter(n.fact, array)
	switch {
	case n.fact == factDetails && array:
		f.usage.beginDetails(n.field)
	case n.fact == factDetail && !array:
		f.usage.beginDetail()
	}
	if n.fact.isUsage() && !array {
		s.usageOpen = at
	}
	if s.depth == 0 && !array {
		f.documentOpen = true
	}
	if len(n.members) == 0 && n.element == noNode || s.depth == maxSchemaDepth {
		s.state, s.skipped = inSkipped, 1
		return
	}
	s.open[s.depth] = openContainer{node: s.node, array: array}
	s.depth++
	s.state = wantKey
	if array {
		s.state = wantValue
	}
}

// close leaves the innermost container that is on the stack.
func (s *scanner) close(at int, f *answerFacts) {
	if s.depth == 0 {
		return
	}
	s.depth--
	c := s.open[s.depth]
	switch fact := s.schema.at(c.node).fact; {
	case c.array:
	case fact.isUsage():
		s.usageClose = at
		f.frame.told = f.usage.commit() || f.frame.told
	case fact == factItem, fact == factItemOfAll:
		f.itemEnd(fact)
	case fact == factDetail:
		f.usage.endDetail(s.schema.at(c.node).field)
	}
	if s.depth == 0 && !c.array {
		f.documentEnd()
	}
	s.valueEnd()
}

// valueEnd says what is expected after a complete value.
func (s *scanner) valueEnd() {
	s.state, s.node = wantKey, rootNode
	if s.depth == 0 || s.open[s.depth-1].array {
		s.state = wantValue
	}
}

// key waits for the first quote of a key, or the end of the object.
func (s *scanner) key(p []byte, i int, f *answerFacts) int {
	switch p[i] {
	case '"':
		s.state, s.n, s.tooLong = inKey, 0, false
	case '}', ']':
		s.close(i, f)
	}
	return i + 1
}

// keyText reads the characters of a key up to its closing quote.
func (s *scanner) keyText(p []byte, i int) int {
	end, done := s.stringEnd(p, i)
	text := end
	if done {
		text--
	}
	s.keep(p[i:text])
	if done {
		s.node = noNode
		if !s.tooLong {
			s.node = s.schema.member(s.open[s.depth-1].node, s.buf[:s.n])
		}
		s.state = wantColon
	}
	return end
}

// stringText reads the characters of a string value up to its closing quote.
func (s *scanner) stringText(p []byte, i int, f *answerFacts) int {
	end, done := s.stringEnd(p, i)
	text := end
	if done {
		text--
	}
	switch fact := s.schema.at(s.node).fact; {
	case fact.isPassed():
		f.text(fact, p[i:text])
	case fact != factNone:
		s.keep(p[i:text])
	}
	if done {
		if n := s.schema.at(s.node); n.fact != factNone && !s.tooLong {
			f.string(n.fact, s.buf[:s.n])
		}
		s.valueEnd()
	}
	return end
}

// scalar reads a number or a literal. It ends at the first byte that cannot
// belong to one, which is left for the next state.
func (s *scanner) scalar(p []byte, i int, f *answerFacts) int {
	start := i
	for i < len(p) && !endsScalar(p[i]) {
		i++
	}
	n := s.schema.at(s.node)
	if n.fact != factNone {
		s.keep(p[start:i])
	}
	if i < len(p) {
		if n.fact != factNone && !s.tooLong {
			f.scalar(n.fact, n.field, s.buf[:s.n])
		}
		s.valueEnd()
		if p[i] == '"' || p[i] == '{' || p[i] == '[' {
			i++ // Not JSON: the byte is dropped, so that noise cannot open a value here.
		}
	}
	return i
}

func endsScalar(b byte) bool {
	switch b {
	case ',', '}', ']', ' ', '\t', '\r', '\n', '"', '{', '[', ':':
		return true
	}
	return false
}

// skip passes over a container of no interest.
func (s *scanner) skip(p []byte, i int) int {
	for i += unstructuredLength(p[i:]); i < len(p); i += 1 + unstructuredLength(p[i+1:]) {
		switch p[i] {
		case '"':
			s.state = inSkippedString
			return i + 1
		case '{', '[':
			s.skipped++
		case '}', ']':
			if s.skipped--; s.skipped == 0 {
				s.valueEnd()
				return i + 1
			}
		}
	}
	return i
}

// unstructuredLength is the number of bytes before the first quote, brace or
// bracket. It looks at eight bytes at a time: vectors are long.
func unstructuredLength(p []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		quote := w ^ ones*'"'
		lower := w | ones*0x20 // Makes braces of brackets.
		open, shut := lower^ones*'{', lower^ones*'}'
		stop := (quote-ones)&^quote | (open-ones)&^open | (shut-ones)&^shut
		if stop &= highs; stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	for ; i < len(p); i++ {
		switch p[i] {
		case '"', '{', '}', '[', ']':
			return i
		}
	}
	return i
}

// stringEnd finds the closing quote of the string that goes on at i and
// returns the place after it, or len(p) and false if it is not in p. Both
// searches only ever move forward, so that it is linear in whatever mix of
// quotes and backslashes.
func (s *scanner) stringEnd(p []byte, i int) (int, bool) {
	if s.escaped && i < len(p) {
		s.escaped = false
		i++
	}
	for i < len(p) {
		quote := bytes.IndexByte(p[i:], '"')
		end := len(p)
		if quote >= 0 {
			end = i + quote
		}
		for i < end {
			backslash := bytes.IndexByte(p[i:end], '\\')
			if backslash < 0 {
				i = end
				break
			}
			i += backslash + 2
		}
		switch {
		case i > len(p): // The backslash was the last byte.
			s.escaped = true
			return len(p), false
		case i == end && quote >= 0:
			return end + 1, true
		}
	}
	return len(p), false
}

// keep appends to the bounded buffer.
func (s *scanner) keep(p []byte) {
	k := copy(s.buf[s.n:], p)
	s.n += k
	if k < len(p) {
		s.tooLong = true
	}
}
