package meter

import "bytes"

// frames is the state of reading server-sent events. Lines end in LF, CRLF or
// CR; a blank line ends a frame. Any byte can be the last of a piece, so all
// of it is state of a machine that moves by the byte, or over runs of bytes
// that mean nothing to it.
type frames struct {
	// strip says that the usage-only chunk is to be taken out.
	strip bool
	// withheldFrom is where in withheld the frames begin that may be the last; nothingWithheld if
	// there are none. soft says that it is only the end of a frame that does
	// not say what it is.
	withheldFrom int
	soft         bool
	// done is set by [DONE], and by the event that ends a response; payload counts the bytes of data.
	done    bool
	payload int64

	line lineState
	// afterCR says that a line ended in CR, of which an LF would be a part.
	afterCR bool
	// bom counts the bytes of a byte order mark that were seen.
	bom int
	// name is the line's field name, or the value of an event field.
	name [48]byte
	n    int

	// start is where in withheld the current frame begins; negative when its
	// first bytes have gone out. size is its length so far.
	start, size int
	// dropped says that the last frame was taken out.
	dropped bool
	frame   frame
}

const nothingWithheld = -1

// frame is what is known of the current frame, beside the facts in its data.
type frame struct {
	// lines says that there is a line which is not a comment, data that one of them is data.
	lines, data bool
	// done says that the payload is [DONE], or begins like it.
	done bool
}

type lineState uint8

const (
	lineStart lineState = iota
	lineName            // reading a field's name
	lineBlank           // after the colon, where one blank may stand
	lineData            // in the value of data
	lineEvent           // in the value of event
	lineOther           // in what does not matter
)

const (
	// dataStart is how most lines begin.
	dataStart = "data: "
	// doneMark is the payload that ends a stream of the OpenAI family.
	doneMark = "[DONE]"
)

var byteOrderMark = [3]byte{0xEF, 0xBB, 0xBF}

// readFrames reads withheld[i:].
func (t *Tap) readFrames(i int) {
	f := &t.frames
	for i < len(t.withheld) {
		b := t.withheld[i]
		switch {
		case f.bom < len(byteOrderMark):
			i = t.skipMark(i)
		case f.afterCR && b == '\n':
			i = t.lineFeed(i)
		case f.line == lineStart && isLineEnd(b):
			f.size++
			f.afterCR = b == '\r'
			i = t.endFrame(i + 1)
		case f.line == lineStart:
			i = t.startLine(i, b)
		case isLineEnd(b):
			f.size++
			f.afterCR = b == '\r'
			i++
			t.endLine(i)
		default:
			i = t.readLine(i)
		}
	}
}

func isLineEnd(b byte) bool { return b == '\n' || b == '\r' }

// skipMark passes over a byte order mark at the very beginning.
func (t *Tap) skipMark(i int) int {
	f := &t.frames
	if t.withheld[i] != byteOrderMark[f.bom] {
		f.bom = len(byteOrderMark)
		return i
	}
	f.bom++
	f.start = i + 1
	return i + 1
}

// lineFeed takes the second half of a CRLF. It belongs to the line that the
// CR has ended, and to the frame, if the CR has ended that.
func (t *Tap) lineFeed(i int) int {
	f := &t.frames
	f.afterCR = false
	switch {
	case f.size > 0:
		f.size++
	case f.dropped:
		t.withheld = append(t.withheld[:i], t.withheld[i+1:]...)
		return i
	default:
		f.start = i + 1
	}
	return i + 1
}

// startLine is told of the first byte of a line that is not blank, and passes over how
// most lines begin, if all of that is there.
func (t *Tap) startLine(i int, b byte) int {
	f := &t.frames
	f.afterCR = false
	if f.size == 0 {
		f.start, f.dropped = i, false
		if f.soft {
			f.withheldFrom, f.soft = nothingWithheld, false
		}
	}
	f.n = 0
	if b == ':' {
		f.line = lineOther
		return i
	}
	f.frame.lines = true
	if bytes.HasPrefix(t.withheld[i:], []byte(dataStart)) {
		f.line, f.frame.data = lineData, true
		f.size += len(dataStart)
		return i + len(dataStart)
	}
	f.line = lineName
	return i
}

// readLine reads on in a line, up to the end of the line or of withheld.
func (t *Tap) readLine(i int) int {
	f := &t.frames
	switch f.line {
	case lineName:
		f.size++
		if t.withheld[i] != ':' {
			f.keep(t.withheld[i])
			return i + 1
		}
		f.line = lineBlank
		return i + 1
	case lineBlank:
		t.startValue()
		if t.withheld[i] == ' ' {
			f.size++
			return i + 1
		}
		return i
	}
	end := len(t.withheld)
	if lf := bytes.IndexByte(t.withheld[i:], '\n'); lf >= 0 {
		end = i + lf
	}
	if cr := bytes.IndexByte(t.withheld[i:end], '\r'); cr >= 0 {
		end = i + cr
	}
	f.size += end - i
	switch f.line {
	case lineData:
		t.readData(i, end)
	case lineEvent:
		for _, b := range t.withheld[i:end] {
			f.keep(b)
		}
	}
	return end
}

func (f *frames) keep(b byte) {
	if f.n < len(f.name) {
		f.name[f.n] = b
		f.n++
	}
}

// startValue is told that the name of a field is complete.
func (t *Tap) startValue() {
	f := &t.frames
	switch string(f.name[:f.n]) {
	case "data":
		f.line = lineData
		f.frame.data = true
	case "event":
		f.line = lineEvent
	default:
		f.line = lineOther
	}
	f.n = 0
}

// readData reads withheld[i:end], which is payload.
func (t *Tap) readData(i, end int) {
	f := &t.frames
	if f.n == 0 && t.withheld[i] == '[' && t.scanner.depth == 0 {
		f.frame.done = true
	}
	switch {
	case f.frame.done && f.n < len(doneMark):
		for _, b := range t.withheld[i:min(end, i+len(doneMark))] {
			f.keep(b)
		}
		f.done = f.done || bytes.HasPrefix(f.name[:f.n], []byte(doneMark))
	case f.n == 0:
		f.n = 1 // The value has begun.
	}
	f.payload += int64(end - i)
	t.readPayload(i, end)
}

// readPayload scans withheld[i:end], but for what all events of the stream begin and end with.
func (t *Tap) readPayload(i, end int) {
	p := t.withheld[i:end]
	if !t.scanner.isAtStart() {
		t.learn(p, i)
		return
	}
	rest := t.opening.skip(p, &t.scanner, &t.facts)
	t.learn(rest, end-len(rest))
	switch text := t.scanner.textOpen; {
	case len(rest) == 0:
	case len(rest) < len(p):
		if t.scanner.isAtStart() {
			t.opening.learnEnding(rest)
		}
	case text >= 0:
		t.opening.learn(p[:text], t.scanner.schema)
	}
}

// endLine is told of the end of a line that was not blank; i is what follows.
func (t *Tap) endLine(i int) {
	f := &t.frames
	switch f.line {
	case lineEvent:
		t.facts.named(f.name[:f.n])
	case lineOther:
		if !f.frame.lines {
			// Comments before a frame are none of it, and are never taken out.
			f.start, f.size = i, 0
		}
	}
	f.line = lineStart
}

// endFrame decides what becomes of the frame that a blank line, or the end of
// the stream, has ended at withheld[:end]. It returns where to read on.
func (t *Tap) endFrame(end int) int {
	f := &t.frames
	facts, frame, size := t.facts.frame, f.frame, f.size
	start := max(f.start, 0)
	f.done = f.done || facts.event == eventEnd
	t.nextFrame(end)
	switch {
	case f.strip && facts.isUsageOnly() && size <= maxUndecided:
		t.drop(start, end)
		return start
	case facts.mayEnd() || frame.done:
		// One that brings text shows that those before it were not the last.
		if f.withheldFrom == nothingWithheld || facts.text {
			f.withheldFrom = start
		}
	case facts.goesOn():
		f.withheldFrom = nothingWithheld
	case facts.event == eventAside:
	case frame.data && f.withheldFrom == nothingWithheld:
		f.withheldFrom, f.soft = end-1, true
	}
	return end
}

// nextFrame forgets the frame that ended at end.
func (t *Tap) nextFrame(end int) {
	f := &t.frames
	f.start, f.size, f.dropped = end, 0, false
	f.line, f.frame, f.n = lineStart, frame{}, 0
	t.facts.frameEnd()
	t.scanner.reset()
}

// drop takes withheld[start:end] out.
func (t *Tap) drop(start, end int) {
	t.withheld = append(t.withheld[:start], t.withheld[end:]...)
	t.frames.start, t.frames.dropped = start, true
	t.usageOpen, t.usageClose = -1, -1
}

// isUsageOnly reports whether the frame carries usage and no choice: what
// asking for usage has added to the stream.
func (f *frameFacts) isUsageOnly() bool { return f.usage && !f.choices && !f.failed }

// mayEnd reports whether the frame can be the last of the answer.
func (f *frameFacts) mayEnd() bool {
	return f.finish || f.failed || f.isUsageOnly() || f.event.mayEnd()
}

// goesOn reports whether the frame says of itself that it is not the last.
func (f *frameFacts) goesOn() bool {
	return f.choices || f.text || f.event == eventGoesOn || f.event == eventItemDone
}

// freeFrames returns how much of withheld may go out, after a piece was read.
func (t *Tap) freeFrames() int {
	f := &t.frames
	facts := &t.facts.frame
	switch {
	case f.withheldFrom != nothingWithheld:
		return f.withheldFrom
	case f.size == 0:
	case t.request.Endpoint.dialect.endsInText && f.frame.lines:
		return max(f.start, 0)
	case f.frame.done, facts.finish, facts.failed, facts.event.mayEnd():
		return max(f.start, 0)
	case f.strip && f.frame.lines && !facts.choices && f.size <= maxUndecided:
		return max(f.start, 0)
	}
	return len(t.withheld)
}

// finishFrames ends a frame that no blank line has ended.
func (t *Tap) finishFrames() {
	f := &t.frames
	if f.line == lineEvent {
		t.facts.named(f.name[:f.n])
	}
	if f.frame.lines {
		t.endFrame(len(t.withheld))
	}
}
