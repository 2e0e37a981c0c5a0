package meter

// array is the state of reading a stream that is one JSON array, as Gemini sends it to who
// does not ask for events: each of its elements is what an event is elsewhere, and as such
// it goes through frames. None of an element goes out before it is whole.
type array struct {
	// opened says that the array has begun. depth counts the containers open in an element;
	// 0: between two. quoted and escaped are where in a string it is.
	opened          bool
	depth           int
	quoted, escaped bool
}

// readArray reads withheld[i:].
func (t *Tap) readArray(i int) {
	for i < len(t.withheld) {
		if t.array.depth > 0 {
			i = t.readElement(i)
			continue
		}
		f := &t.frames
		switch t.withheld[i] {
		case '{':
			f.start = i
			i = t.readElement(i)
			continue
		case '[':
			t.array.opened = true
		case ']':
			f.done = true
			if f.withheldFrom == nothingWithheld {
				f.withheldFrom = i
			}
		case ',', ' ', '\t', '\r', '\n', byteOrderMark[0], byteOrderMark[1], byteOrderMark[2]:
		default:
			f.payload++
		}
		i++
	}
}

// readElement reads on in an element, up to its end or that of withheld.
func (t *Tap) readElement(i int) int {
	f := &t.frames
	n, ended := t.array.element(t.withheld[i:])
	f.payload += int64(n)
	t.learn(t.withheld[i:i+n], i)
	if ended {
		t.endElement(i + n)
	}
	return i + n
}

// element returns how much of p is the element's, and whether that ends it.
func (a *array) element(p []byte) (n int, ended bool) {
	for n < len(p) {
		switch {
		case a.escaped:
			a.escaped = false
		case a.quoted:
			if n += plainLength(p[n:]); n == len(p) {
				return n, false
			}
			a.quoted, a.escaped = p[n] != '"', p[n] == '\\'
		default:
			if n += unstructuredLength(p[n:]); n == len(p) {
				return n, false
			}
			switch p[n] {
			case '"':
				a.quoted = true
			case '{', '[':
				a.depth++
			default:
				a.depth--
			}
			if a.depth == 0 {
				return n + 1, true
			}
		}
		n++
	}
	return n, false
}

// endElement decides what becomes of the element that ended at withheld[:end]: it may be
// the last, unless it shows that it is not.
func (t *Tap) endElement(end int) {
	f := &t.frames
	facts, start := t.facts.frame, max(f.start, 0)
	t.nextFrame(end)
	switch {
	case facts.mayEnd():
		if f.withheldFrom == nothingWithheld || facts.text {
			f.withheldFrom = start
		}
	case facts.goesOn():
		f.withheldFrom = nothingWithheld
	case f.withheldFrom == nothingWithheld:
		f.withheldFrom = start
	}
}

// freeArray returns how much of withheld may go out, after a piece was read.
func (t *Tap) freeArray() int {
	switch f := &t.frames; {
	case f.withheldFrom != nothingWithheld:
		return f.withheldFrom
	case t.array.depth > 0:
		return max(f.start, 0)
	}
	return len(t.withheld)
}
