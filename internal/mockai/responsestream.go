package mockai

import "strconv"

// responseStream answers responses with a stream. Its events: created, in
// progress, those of each item, and the last one, which has the whole response
// and its usage. There is no [DONE].
func (a *answer) responseStream() {
	s := &responseStream{answer: a}
	s.layout()
	_, last := a.ending()
	a.stream(len(s.events), s.frame, !a.request.used.absent && !a.request.used.null && last != "response.failed")
}

// responseStream knows which event comes when.
type responseStream struct {
	*answer
	events []responseEvent
}

// responseEvent is an event: its name, and its members but for type and number.
type responseEvent struct {
	name  string
	write func(dst []byte) []byte
}

func (s *responseStream) layout() {
	status, last := s.ending()
	s.whole("response.created", "in_progress")
	s.whole("response.in_progress", "in_progress")
	if status != "failed" {
		for i := range s.items() {
			s.item("response.output_item.added", i, "in_progress")
			switch {
			case i < s.thinks():
			case i < s.items()-1:
				s.searching(i)
			case s.request.compacts: // as a whole
			case s.request.reply.call != "":
				s.calling(i)
			default:
				s.talking(i)
			}
			s.item("response.output_item.done", i, status)
		}
	}
	s.whole(last, status)
}

func (s *responseStream) add(name string, write func([]byte) []byte) {
	s.events = append(s.events, responseEvent{name, write})
}

// whole adds an event that has the response.
func (s *responseStream) whole(name, status string) {
	s.add(name, func(dst []byte) []byte { return s.response(append(dst, `"response":`...), status) })
}

// item adds an event that has an item.
func (s *responseStream) item(name string, i int64, status string) {
	s.add(name, func(dst []byte) []byte {
		dst = strconv.AppendInt(append(dst, `"output_index":`...), i, 10)
		return s.answer.item(append(dst, `,"item":`...), i, status)
	})
}

// of appends whose part an event tells.
func (s *responseStream) of(dst []byte, kind string, i int64) []byte {
	dst = append(s.appendID(append(dst, `"item_id":"`...), kind, i), `","output_index":`...)
	return strconv.AppendInt(dst, i, 10)
}

func (s *responseStream) searching(i int64) {
	for _, name := range [...]string{"in_progress", "searching", "completed"} {
		s.add("response.web_search_call."+name, func(dst []byte) []byte { return s.of(dst, "ws", i) })
	}
}

func (s *responseStream) calling(i int64) {
	s.add("response.function_call_arguments.delta", func(dst []byte) []byte {
		return appendJSON(append(s.of(dst, "fc", i), `,"delta":`...), s.request.reply.arguments)
	})
	s.add("response.function_call_arguments.done", func(dst []byte) []byte {
		dst = appendJSON(append(s.of(dst, "fc", i), `,"name":`...), s.request.reply.call)
		return appendJSON(append(dst, `,"arguments":`...), s.request.reply.arguments)
	})
}

func (s *responseStream) talking(i int64) {
	length := s.request.reply.bytes
	content := func(dst []byte) []byte { return append(s.of(dst, "msg", i), `,"content_index":0,`...) }
	part := func(bytes int64) func([]byte) []byte {
		return func(dst []byte) []byte { return s.part(append(content(dst), `"part":`...), bytes) }
	}
	s.add("response.content_part.added", part(0))
	pieces := s.request.reply.chunks
	if length > 0 {
		pieces = max(pieces, 1)
	}
	for n := range pieces {
		s.add("response.output_text.delta", func(dst []byte) []byte {
			dst = append(content(dst), `"delta":`...)
			return append(s.request.reply.appendContent(dst, length*n/pieces, length*(n+1)/pieces), `,"logprobs":[]`...)
		})
	}
	s.add("response.output_text.done", func(dst []byte) []byte {
		dst = append(content(dst), `"text":`...)
		return append(s.request.reply.appendContent(dst, 0, length), `,"logprobs":[]`...)
	})
	s.add("response.content_part.done", part(length))
}

// frame appends the lines of event i.
func (s *responseStream) frame(dst []byte, i int) []byte {
	event := &s.events[i]
	dst = s.openEvent(dst, event.name, i)
	return s.lineEnd(append(event.write(append(dst, ',')), '}'))
}

// openEvent begins an event up to its number in the stream.
func (a *answer) openEvent(dst []byte, name string, number int) []byte {
	dst = a.lineEnd(append(append(dst, "event: "...), name...))
	dst = append(append(append(a.data(dst), `{"type":"`...), name...), `","sequence_number":`...)
	return strconv.AppendInt(dst, int64(number), 10)
}

// errorEvent appends the event by which a stream of responses fails.
func (a *answer) errorEvent(dst []byte, p *problem, number int) []byte {
	dst = append(a.openEvent(dst, "error", number), `,"code":"server_error","message":`...)
	return a.lineEnd(append(appendJSON(dst, p.message), `,"param":null}`...))
}
