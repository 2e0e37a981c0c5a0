package meter

import (
	"bytes"
	"strings"
)

// A Tap is what one answer flows through on its way to the client. It learns
// the usage from a copy in passing, and keeps back the end until End is asked
// for it: what is due must be booked before the client has all of its answer.
//
// What goes out is what came in, byte for byte and in order, whatever the
// pieces, but for one thing: the usage-only chunk of a stream that the client
// had not asked for. What is kept back:
//
//   - of a stream: the frames that may be its last (a choice or a message has
//     finished, [DONE], the usage-only chunk, an image or a response is complete, an error), until a
//     frame with more content shows that it goes on. Of a frame that does not
//     say what it is, the line end that would make the client act on it is
//     kept until the next. A frame of content that says it goes on passes at
//     once. At most maxWithheld bytes are kept; beyond, the earlier part goes out.
//   - of a stream that is one JSON array: the elements that may be its last, likewise, and
//     any other until it is whole.
//   - of sound: its last soundWithheld bytes.
//   - of any other body: its last maxWithheld bytes.
//
// A Tap belongs to one answer and is not safe for concurrent use. Its memory
// is bounded whatever flows through it, given that the pieces are.
type Tap struct {
	request *Request
	scanner scanner
	facts   answerFacts
	// opening is unused by an answer that is no stream.
	opening opening

	// withheld is what has come and not gone out. Offsets below are into it.
	withheld []byte
	// usageOpen and usageClose are the braces of the last usage object, -1 if
	// they are not, or no longer, in withheld.
	usageOpen, usageClose int
	// size is the length of all that came.
	size int64

	stream, json, sound bool // what the answer says it is
	frames              frames
	array               array
	isArray             bool // a stream that is one JSON array
	ended               bool
}

// maxWithheld bounds what is kept back of an answer.
const maxWithheld = 64 << 10

// soundWithheld is what is kept back of sound: a part of a second, which is not missed
// while the rest is heard, and is missed at the end.
const soundWithheld = 4 << 10

// maxUndecided bounds the frame that can be recognised as a usage-only chunk,
// and so what is kept of a frame while it is not known to be another.
const maxUndecided = 16 << 10

// maxWithheldAgain bounds the memory that a tap takes along into its next answer.
const maxWithheldAgain = 4 << 10

// NewTap returns the tap for one answer to the request: events if that is
// what contentType says, else one JSON document, or whatever it turns out to be.
func (r *Request) NewTap(contentType string) *Tap {
	t := new(Tap)
	t.Reset(r, contentType)
	return t
}

// Reset makes t the tap for another answer, as NewTap would, in the memory that
// it has. What it has returned of its former answer is not touched.
func (t *Tap) Reset(r *Request, contentType string) {
	withheld, sample, known, ending := t.withheld[:0], t.facts.sample[:0], t.opening.text[:0], t.opening.ending[:0]
	if cap(withheld) > maxWithheldAgain {
		withheld = nil
	}
	if sample == nil {
		sample = make([]byte, 0, 512) // grows up to maxSample
	}
	*t = Tap{
		request: r, scanner: scanner{schema: r.Endpoint.dialect.schema}, facts: answerFacts{sample: sample},
		opening: opening{text: known, ending: ending, credit: maxOpeningCredit, endingCredit: maxOpeningCredit}, withheld: withheld,
		usageOpen: -1, usageClose: -1,
	}
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	t.stream = strings.EqualFold(kind, "text/event-stream")
	t.json = strings.EqualFold(kind, "application/json")
	t.sound = len(kind) > len("audio/") && strings.EqualFold(kind[:len("audio/")], "audio/")
	t.isArray = r.Endpoint.streams && !t.stream
	t.stream = t.stream || t.isArray
	t.frames.strip = t.stream && r.CanAskUsage()
	t.frames.withheldFrom = nothingWithheld
}

// IsStream reports whether the answer is events, or an array of what is as much.
func (t *Tap) IsStream() bool { return t.stream }

// IsSound reports whether the answer is sound, which may be heard while it is made.
func (t *Tap) IsSound() bool { return t.sound }

// Pass takes the next bytes from upstream and appends to dst those that may
// go to the client now. It keeps no reference to p.
func (t *Tap) Pass(dst, p []byte) []byte {
	if t.ended || len(p) == 0 {
		return dst
	}
	t.size += int64(len(p))
	from := len(t.withheld)
	t.withheld = append(t.withheld, p...)
	free := 0 // of a JSON answer, only what is beyond the bound
	switch {
	case t.isArray:
		t.readArray(from)
		free = t.freeArray()
	case t.stream:
		t.readFrames(from)
		free = t.freeFrames()
	case t.sound:
		free = len(t.withheld) - soundWithheld
	default:
		t.scan(from, len(t.withheld))
	}
	return t.emit(dst, max(free, len(t.withheld)-maxWithheld, 0))
}

// scan feeds withheld[from:to] to the scanner.
func (t *Tap) scan(from, to int) { t.learn(t.withheld[from:to], from) }

// learn feeds p, which begins at that offset, to the scanner. Sound has nothing to say.
func (t *Tap) learn(p []byte, offset int) {
	if t.sound {
		return
	}
	t.scanner.feed(p, &t.facts)
	if t.scanner.usageOpen >= 0 {
		t.usageOpen = offset + t.scanner.usageOpen
	}
	if t.scanner.usageClose >= 0 {
		t.usageClose = offset + t.scanner.usageClose
	}
}

// Look takes the next bytes of an answer that is no stream, and that its caller
// keeps, all of it or its end, until Adopt takes that over.
func (t *Tap) Look(p []byte) {
	t.learn(p, int(t.size))
	t.size += int64(len(p))
}

// Adopt takes over from a caller that has kept the end of what Look has seen: it
// returns the part of it that may go to the client now, and keeps back the rest.
func (t *Tap) Adopt(kept []byte) []byte {
	free := max(0, len(kept)-maxWithheld)
	t.withheld = append(t.withheld, kept[free:]...)
	gone := int(t.size) - len(t.withheld)
	t.usageOpen, t.usageClose = max(t.usageOpen-gone, -1), max(t.usageClose-gone, -1)
	return kept[:free]
}

// emit lets the first n bytes of withheld go.
func (t *Tap) emit(dst []byte, n int) []byte {
	if n == 0 {
		return dst
	}
	dst = append(dst, t.withheld[:n]...)
	t.withheld = t.withheld[:copy(t.withheld, t.withheld[n:])]
	t.usageOpen = max(t.usageOpen-n, -1)
	t.usageClose = max(t.usageClose-n, -1)
	t.frames.start -= n
	if t.frames.withheldFrom != nothingWithheld {
		t.frames.withheldFrom = max(t.frames.withheldFrom-n, 0)
	}
	return dst
}

// End says that the upstream is at its end and returns what was kept back, to
// be delivered once the charge is booked. A second End returns nothing.
func (t *Tap) End() []byte {
	t.finish()
	withheld := t.withheld
	t.withheld = nil
	return withheld
}

// EndWithCost is End with members such as `"cost":…,"cost_details":{…}` put
// into the usage object, if its end was kept back. Members of these names
// that the upstream had put there are replaced, if all of the object was kept.
// No members: it is End.
func (t *Tap) EndWithCost(cost []byte) []byte {
	withheld := t.End()
	if t.usageClose < 0 || len(cost) == 0 {
		return withheld
	}
	if t.usageOpen >= 0 && t.usageOpen < t.usageClose {
		return replaceMembers(withheld, t.usageOpen, t.usageClose, cost)
	}
	return insertMembers(withheld, t.usageClose, cost)
}

// finish treats the end of the answer as the end of its last frame.
func (t *Tap) finish() {
	if t.ended {
		return
	}
	t.ended = true
	if t.stream && !t.isArray {
		t.finishFrames()
	}
}

// Done reports whether a stream has said, by [DONE] or by the last of its events, that
// all of it has come, whatever becomes of its connection.
func (t *Tap) Done() bool { return t.frames.done }

// Began reports whether anything of the answer has come. The comments with which
// a stream is kept open while its upstream is busy are nothing of it.
func (t *Tap) Began() bool { return t.frames.payload > 0 || !t.stream && t.size > 0 }

// Cut reports, at the end of an answer, that it is incomplete: a JSON document that has
// begun and not ended, or a stream without the end mark that its API has, unless it
// failed. The connection does not show this: some answers end when it closes.
func (t *Tap) Cut() bool {
	return t.lacksEnd() && !t.facts.failed || t.json && t.facts.documentOpen && !t.facts.noise && !t.facts.failed
}

// insertMembers puts members before the closing brace at body[brace].
func insertMembers(body []byte, brace int, members []byte) []byte {
	out := make([]byte, 0, len(body)+len(members)+1)
	out = append(out, body[:brace]...)
	if before := bytes.TrimRight(out, " \t\r\n"); len(before) > 0 && before[len(before)-1] != '{' {
		out = append(out, ',')
	}
	out = append(out, members...)
	return append(out, body[brace:]...)
}
