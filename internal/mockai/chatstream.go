package mockai

import "strconv"

// chatStream answers chat/completions and completions with a stream. Its
// frames, in order: preamble, role (OpenAI), reasoning (BigModel), content,
// finish, usage (OpenAI, if asked), [DONE]. With n choices each of role,
// content and finish comes n times.
func (a *answer) chatStream() {
	s := &chatStream{answer: a, opening: a.begin(nil, a.chunkObject())}
	r := &a.request
	s.contents = r.reply.chunks
	if r.reply.bytes > 0 {
		s.contents = max(s.contents, 1)
	}
	if r.reply.call != "" {
		s.contents = 1
	}
	s.usageChunk = r.includeUsage && !r.bigModel && !r.used.absent
	s.kinds = s.layout()
	s.total = s.kinds[len(s.kinds)-1].end
	given := !r.used.absent && !r.used.null && (r.bigModel || r.includeUsage || a.plan.cumulative)
	a.stream(int(s.total), s.frame, given)
}

func (a *answer) chunkObject() string {
	if a.request.family == familyCompletions {
		return "text_completion"
	}
	return "chat.completion.chunk"
}

// chatStream knows which frame comes when.
type chatStream struct {
	*answer
	opening    []byte // the members that every chunk opens with
	contents   int64  // content frames of a choice
	usageChunk bool
	kinds      []kind
	total      int64
}

// kind is a run of frames of one sort, up to but not including end.
type kind struct {
	end   int64
	write func(dst []byte, i int64) []byte // i counts within the run
}

func (s *chatStream) layout() (kinds []kind) {
	end := int64(0)
	add := func(n int64, write func([]byte, int64) []byte) {
		if n > 0 {
			end += n
			kinds = append(kinds, kind{end, write})
		}
	}
	r, chat := &s.request, s.request.family == familyChat
	add(flag(s.plan.preamble), s.preamble)
	add(flag(!r.bigModel && chat)*r.n, s.role)
	add(flag(r.bigModel && s.plan.reasoning > 0), s.reasoning)
	add(s.contents*r.n, s.content)
	add(r.n, s.finishing)
	add(flag(s.usageChunk), s.usage)
	add(flag(!s.plan.noDone), s.done)
	return kinds
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// frame appends the lines of frame i.
func (s *chatStream) frame(dst []byte, i int) []byte {
	start := int64(0)
	for _, k := range s.kinds {
		if int64(i) < k.end {
			return s.lineEnd(k.write(s.data(dst), int64(i)-start))
		}
		start = k.end
	}
	return dst
}

func (s *chatStream) done(dst []byte, _ int64) []byte { return append(dst, "[DONE]"...) }

// preamble is Azure's first chunk: no choices, and yet not the usage chunk.
func (s *chatStream) preamble(dst []byte, _ int64) []byte {
	dst = append(dst, s.opening...)
	return append(dst, `,"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}`...)
}

func (s *chatStream) role(dst []byte, i int64) []byte {
	dst = s.openChoice(dst, i)
	dst = append(dst, `"delta":{"role":"assistant","content":"","refusal":null}`...)
	return s.closeChoice(dst, "", 0)
}

func (s *chatStream) reasoning(dst []byte, _ int64) []byte {
	dst = s.openChoice(dst, 0)
	dst = append(dst, `"delta":{"role":"assistant","reasoning_content":"`...)
	dst = appendSaid(dst, 0, s.plan.reasoning*4)
	dst = append(dst, `"}`...)
	return s.closeChoice(dst, "", 0)
}

// content is piece i/n of choice i%n: the choices take turns.
func (s *chatStream) content(dst []byte, i int64) []byte {
	r := &s.request
	piece := i / r.n
	from, to := r.reply.bytes*piece/s.contents, r.reply.bytes*(piece+1)/s.contents
	dst = s.openChoice(dst, i%r.n)
	switch {
	case r.family == familyCompletions:
		dst = append(dst, `"text":"`...)
		dst = append(appendSaid(dst, from, to), '"')
	case r.reply.call != "":
		dst = append(dst, `"delta":{"tool_calls":[`...)
		call := s.toolCall(nil)
		dst = append(dst, `{"index":0,`...)
		dst = append(append(dst, call[1:]...), "]}"...)
	default:
		dst = append(dst, `"delta":{`...)
		if r.bigModel {
			dst = append(dst, `"role":"assistant",`...)
		}
		dst = append(dst, `"content":`...)
		dst = append(r.reply.appendContent(dst, from, to), '}')
	}
	return s.closeChoice(dst, "", i+1)
}

func (s *chatStream) finishing(dst []byte, i int64) []byte {
	r := &s.request
	dst = s.openChoice(dst, i)
	switch {
	case r.family == familyCompletions:
		dst = append(dst, `"text":""`...)
	case r.bigModel:
		dst = append(dst, `"delta":{"role":"assistant","content":""}`...)
	default:
		dst = append(dst, `"delta":{}`...)
	}
	return s.closeChoice(dst, r.reply.finish, s.contents*r.n)
}

// usage is OpenAI's chunk that has nothing but usage.
func (s *chatStream) usage(dst []byte, _ int64) []byte {
	dst = append(dst, s.opening...)
	dst = append(dst, `,"choices":[],"usage":`...)
	dst = s.request.used.appendChat(dst, false, false)
	return append(dst, '}')
}

func (s *chatStream) openChoice(dst []byte, index int64) []byte {
	dst = append(dst, s.opening...)
	dst = append(dst, `,"choices":[{"index":`...)
	dst = strconv.AppendInt(dst, index, 10)
	return append(dst, ',')
}

// closeChoice ends the choice and the chunk, with the usage that belongs on
// it: delivered is the number of content pieces sent so far.
func (s *chatStream) closeChoice(dst []byte, finish string, delivered int64) []byte {
	r := &s.request
	if !r.bigModel {
		dst = append(dst, `,"logprobs":null`...)
	}
	if finish != "" || !r.bigModel {
		dst = append(dst, `,"finish_reason":`...)
		dst = appendOrNull(dst, finish)
	}
	dst = append(dst, "}]"...)
	last := finish != "" && r.bigModel
	switch {
	case r.used.absent:
	case last || s.plan.cumulative:
		dst = append(dst, `,"usage":`...)
		shown := r.used
		if !last {
			shown = shown.shown(delivered, s.contents*r.n)
		}
		dst = shown.appendChat(dst, r.bigModel, false)
	case r.includeUsage && !r.bigModel:
		dst = append(dst, `,"usage":null`...)
	}
	if last {
		dst = s.asides(dst)
	}
	return append(dst, '}')
}
