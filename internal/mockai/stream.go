package mockai

import "net/http"

// A frame writer appends the lines of frame i, each ended by a's line end; the
// blank line after them is not its own.
type frameWriter func(dst []byte, i int) []byte

// stream sends frames one by one, and plays the faults that happen on the way.
func (a *answer) stream(frames int, frame frameWriter, usageGiven bool) {
	contentType := "text/event-stream"
	if a.request.array {
		contentType = "application/json"
	}
	a.head(http.StatusOK, contentType, -1)
	a.flush()
	if a.plan.cut == atHead {
		a.sever()
	}
	buffer := make([]byte, 0, 512)
	for i := range frames {
		if i > 0 && !a.wait(a.plan.delay) {
			return
		}
		buffer = buffer[:0]
		if a.plan.comments {
			buffer = a.lineEnd(a.lineEnd(append(buffer, ": keep-alive"...)))
		}
		buffer = frame(buffer, i)
		if !a.request.array && (i < frames-1 || !a.plan.noBlank) {
			buffer = a.lineEnd(buffer)
		}
		if i == frames/2 && !a.halfWay(buffer, i) {
			return
		}
		if i == frames-1 && !a.beforeEnd() {
			return
		}
		if !a.write(buffer) {
			return
		}
		a.flush()
	}
	a.finish(usageGiven)
}

// halfWay plays what happens before the frame in the middle, and reports
// whether the stream goes on.
func (a *answer) halfWay(frame []byte, number int) bool {
	switch {
	case a.plan.hang == atMiddle:
		a.hang()
		return false
	case a.plan.cut == midBody:
		a.sever()
	case a.plan.cut == midFrame:
		a.write(frame[:len(frame)/2])
		a.flush()
		a.sever()
	case a.plan.cut == clean:
		a.finish(false)
		return false
	case a.plan.errorEvent:
		p := errStatus(http.StatusInternalServerError)
		var event []byte
		switch {
		case a.request.family == familyResponses:
			event = a.errorEvent(nil, p, number)
		case a.request.array:
			event = append(p.appendGemini([]byte("\n,\r\n")), "\n]\n"...)
		case a.request.anthropic:
			event = a.lineEnd(p.append(a.data(a.lineEnd([]byte("event: error"))), &a.request, a.id()))
		default:
			event = a.lineEnd(p.append(a.data(nil), &a.request, a.id()))
		}
		if a.write(a.lineEnd(event)) {
			a.finish(false)
		}
		return false
	}
	return true
}

// beforeEnd plays what happens before the last frame.
func (a *answer) beforeEnd() bool {
	if a.plan.hang == atEnd {
		a.hang()
		return false
	}
	if a.plan.cut == atEnd {
		a.sever()
	}
	return true
}

// data opens a data line.
func (a *answer) data(dst []byte) []byte {
	if a.plan.noSpace {
		return append(dst, "data:"...)
	}
	return append(dst, "data: "...)
}

// lineEnd ends a line.
func (a *answer) lineEnd(dst []byte) []byte {
	if a.plan.crlf {
		return append(dst, "\r\n"...)
	}
	return append(dst, '\n')
}
