package mockai

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// messagesRoute and countRoute are Anthropic's. Their answers and errors are in Anthropic's style, whatever the model.
const (
	messagesRoute = "messages"
	countRoute    = "messages/count_tokens"
)

func isAnthropic(path string) bool { return path == messagesRoute || path == countRoute }

// countOf reads the body of a count of tokens: what is counted, which may lack one member.
func countOf(counted reader, lacks string) reader {
	return func(r *request, contentType string, body []byte) *problem {
		p := counted(r, contentType, body)
		if r.family = familyCount; p != nil && p.param != lacks {
			return p
		}
		return nil
	}
}

// count answers a count of tokens.
func (a *answer) count() {
	dst := strconv.AppendInt([]byte(`{"input_tokens":`), a.request.used.prompt, 10)
	a.json(append(dst, '}'))
}

// readMessages reads the body of Anthropic's Messages.
func readMessages(r *request, _ string, body []byte) *problem {
	r.family = familyMessages
	messages := 0
	p := r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "system":
			r.readBlocks(value)
		case "messages":
			value.ForEach(func(_, message gjson.Result) bool {
				messages++
				r.promptTokens += 3
				if text := r.readBlocks(message.Get("content")); message.Get("role").Str == "user" {
					r.text = text
				}
				return true
			})
		case "tools":
			r.promptTokens += tokens(len(value.Raw))
			value.ForEach(func(_, tool gjson.Result) bool {
				r.webSearch = r.webSearch || strings.HasPrefix(tool.Get("type").Str, "web_search_")
				if schema := tool.Get("input_schema"); schema.Exists() {
					r.addFunction(tool.Get("name").Str, schema)
				}
				return true
			})
		case "tool_choice":
			r.mustCall = called(value.Get("type"), "any", value.Get("name").Str)
		case "output_config", "output_format":
			r.format = inSchema(oneOf(value, "format.schema", "schema"))
		case "max_tokens":
			r.maxTokens = value.Int()
		case "metadata":
			r.user = value.Get("user_id").Str
		}
	})
	switch {
	case p != nil:
		return p
	case messages == 0:
		return errMissing("messages")
	}
	if r.promptTokens += 3; r.maxTokens < 1 {
		return errMissing("max_tokens")
	}
	return nil
}

// readBlocks counts a content and returns its first text.
func (r *request) readBlocks(content gjson.Result) (text string) {
	if !content.IsArray() {
		r.promptTokens += tokens(len(content.Str))
		return content.Str
	}
	content.ForEach(func(_, block gjson.Result) bool {
		switch block.Get("type").Str {
		case "text":
			piece := block.Get("text").Str
			r.promptTokens += tokens(len(piece))
			if text == "" {
				text = piece
			}
		case "thinking":
			r.promptTokens += tokens(len(block.Get("thinking").Str))
		case "tool_use", "server_tool_use":
			r.promptTokens += tokens(len(block.Get("input").Raw))
		case "tool_result":
			r.readBlocks(block.Get("content"))
		default:
			r.promptTokens += 85
		}
		return true
	})
	return text
}

// settleMessage works out a message's reply and usage. Its reply is that of a chat, in other words.
func (r *request) settleMessage(p *plan) {
	r.settleReply(p)
	if p.finish == "" {
		r.reply.finish = map[string]string{"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[r.reply.finish]
	}
	if r.webSearch {
		r.reply.search = orElse(p.toolResults, 3)
		r.used.prompt += r.reply.search * searchTokens
	}
	r.used.written, r.used.writtenForHour = max(p.cacheWrite, 0), max(p.cacheWriteHour, 0)
}

// wholeMessage answers messages with one JSON object.
func (a *answer) wholeMessage() {
	dst := a.openMessage(nil)
	dst = append(dst, `,"content":[`...)
	for i, block := range a.blocks() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, block.head...), block.value()...)
		dst = append(dst, block.tail...)
	}
	dst = append(dst, `],"stop_reason":`...)
	dst = append(appendJSON(dst, a.request.reply.finish), `,"stop_sequence":null`...)
	if used := &a.request.used; !used.absent {
		dst = used.appendMessage(append(dst, `,"usage":`...), used.completion, a.request.searches(), true)
	}
	a.json(append(dst, '}'))
}

// openMessage appends the members that a message opens with.
func (a *answer) openMessage(dst []byte) []byte {
	dst = append(dst, `{"id":"msg_mock`...)
	dst = strconv.AppendInt(dst, a.number, 10)
	dst = append(dst, `","type":"message","role":"assistant","model":`...)
	return appendJSON(dst, a.request.model)
}

// searches is how many hosted searches the answer made.
func (r *request) searches() int64 { return flag(r.webSearch) }

// messageBlock is a block of a message's content: as a whole it is head, value and tail; in a stream it
// begins as head, empty and tail, and what is said comes in deltas of its kind, as a string.
type messageBlock struct {
	head, tail, empty string
	delta             string // the delta up to its string; empty: all is there at the beginning
	said              int64  // bytes of the endless reply, or else
	text              string
	asText            bool // the value is what deltas say, as a string; else it is JSON
}

// value is what the block says, as it stands in a whole message.
func (b *messageBlock) value() []byte {
	switch {
	case b.delta == "":
		return []byte(b.empty)
	case !b.asText:
		return []byte(b.text)
	}
	return b.piece(0, 1)
}

// piece is the i-th of n pieces of what the block says, quoted.
func (b *messageBlock) piece(i, n int64) []byte {
	if b.text != "" {
		return appendJSON(nil, b.text[int64(len(b.text))*i/n:int64(len(b.text))*(i+1)/n])
	}
	return append(appendSaid([]byte{'"'}, b.said*i/n, b.said*(i+1)/n), '"')
}

// blocks are the blocks of the answer's content.
func (a *answer) blocks() (blocks []messageBlock) {
	r := &a.request
	id := strconv.FormatInt(a.number, 10)
	if a.plan.reasoning > 0 {
		blocks = append(blocks, messageBlock{
			head: `{"type":"thinking","thinking":`, empty: `""`, tail: `,"signature":"bW9jaw=="}`,
			delta: `{"type":"thinking_delta","thinking":`, said: 4 * a.plan.reasoning, asText: true,
		})
	}
	if r.webSearch {
		results := make([]string, r.reply.search)
		for i := range results {
			number := strconv.Itoa(i + 1)
			results[i] = `{"type":"web_search_result","title":"Result ` + number + `","url":"https://search.mock.invalid/` + number +
				`","encrypted_content":"bW9jaw==","page_age":null}`
		}
		blocks = append(blocks, messageBlock{
			head: `{"type":"server_tool_use","id":"srvtoolu_mock` + id + `","name":"web_search","input":`, empty: `{}`, tail: `}`,
			delta: `{"type":"input_json_delta","partial_json":`, text: toolArguments,
		}, messageBlock{
			head:  `{"type":"web_search_tool_result","tool_use_id":"srvtoolu_mock` + id + `","content":`,
			empty: `[` + strings.Join(results, ",") + `]`, tail: `}`,
		})
	}
	if r.reply.call != "" {
		return append(blocks, messageBlock{
			head:  `{"type":"tool_use","id":"toolu_mock` + id + `","name":` + string(appendJSON(nil, r.reply.call)) + `,"input":`,
			empty: `{}`, tail: `}`, delta: `{"type":"input_json_delta","partial_json":`, text: r.reply.arguments,
		})
	}
	return append(blocks, messageBlock{
		head: `{"type":"text","text":`, empty: `""`, tail: `}`,
		delta: `{"type":"text_delta","text":`, said: r.reply.bytes, text: r.reply.formattedUpTo(r.reply.bytes), asText: true,
	})
}

// appendMessage writes the usage object of a message. What its cache was read for, and written, is
// beside its input.
func (u *usage) appendMessage(dst []byte, output, searches int64, whole bool) []byte {
	if u.null {
		return append(dst, "null"...)
	}
	read := max(u.cached, 0)
	dst = u.appendCount(append(dst, `{"input_tokens":`...), max(u.prompt-read-u.written-u.writtenForHour, 0))
	dst = u.appendCount(append(dst, `,"cache_creation_input_tokens":`...), u.written+u.writtenForHour)
	dst = u.appendCount(append(dst, `,"cache_read_input_tokens":`...), read)
	if whole {
		dst = u.appendCount(append(dst, `,"cache_creation":{"ephemeral_5m_input_tokens":`...), u.written)
		dst = u.appendCount(append(dst, `,"ephemeral_1h_input_tokens":`...), u.writtenForHour)
		dst = append(dst, `},"service_tier":"standard"`...)
	}
	dst = u.appendCount(append(dst, `,"output_tokens":`...), output)
	if u.reasoning >= 0 && output == u.completion {
		dst = append(u.appendCount(append(dst, `,"output_tokens_details":{"thinking_tokens":`...), u.reasoning), '}')
	}
	if searches > 0 {
		dst = append(u.appendCount(append(dst, `,"server_tool_use":{"web_search_requests":`...), searches), `,"web_fetch_requests":0}`...)
	}
	return append(dst, '}')
}

// messageStream answers messages with a stream: message_start, ping, the blocks, each with its deltas,
// message_delta with the usage of all, message_stop.
func (a *answer) messageStream() {
	s := &messageStream{answer: a}
	s.add("message_start", s.start)
	s.add("ping", func(dst []byte) []byte { return dst })
	for i, block := range a.blocks() {
		s.addBlock(i, &block)
	}
	s.add("message_delta", s.ending)
	if !a.plan.noDone {
		s.add("message_stop", func(dst []byte) []byte { return dst })
	}
	used := &a.request.used
	a.stream(len(s.frames), s.frame, !used.absent && !used.null)
}

// messageStream is the frames of a message.
type messageStream struct {
	*answer
	frames []messageFrame
}

type messageFrame struct {
	event   string
	members func(dst []byte) []byte // what is in it beside its type
}

func (s *messageStream) add(event string, members func([]byte) []byte) {
	s.frames = append(s.frames, messageFrame{event, members})
}

func (s *messageStream) frame(dst []byte, i int) []byte {
	f := &s.frames[i]
	dst = s.lineEnd(append(append(dst, "event: "...), f.event...))
	dst = append(append(s.data(dst), `{"type":"`...), f.event...)
	return s.lineEnd(append(f.members(append(dst, '"')), '}'))
}

func (s *messageStream) start(dst []byte) []byte {
	dst = s.openMessage(append(dst, `,"message":`...))
	dst = append(dst, `,"content":[],"stop_reason":null,"stop_sequence":null`...)
	if used := s.request.used; !used.absent {
		used.prompt -= s.request.reply.search * searchTokens * s.request.searches() // they are not made yet
		used.prompt = max(used.prompt, 0)
		dst = used.appendMessage(append(dst, `,"usage":`...), min(used.completion, 1), 0, true)
	}
	return append(dst, '}')
}

func (s *messageStream) ending(dst []byte) []byte {
	dst = append(dst, `,"delta":{"stop_reason":`...)
	dst = append(appendJSON(dst, s.request.reply.finish), `,"stop_sequence":null}`...)
	if used := &s.request.used; !used.absent {
		dst = used.appendMessage(append(dst, `,"usage":`...), used.completion, s.request.searches(), false)
	}
	return dst
}

func (s *messageStream) addBlock(index int, block *messageBlock) {
	at := `,"index":` + strconv.Itoa(index)
	s.add("content_block_start", func(dst []byte) []byte {
		return append(dst, at+`,"content_block":`+block.head+block.empty+block.tail...)
	})
	if block.delta != "" {
		pieces := int64(1)
		if block.text == "" && !strings.Contains(block.delta, "thinking") {
			if pieces = s.request.reply.chunks; block.said > 0 {
				pieces = max(pieces, 1)
			}
		}
		for i := range pieces {
			s.add("content_block_delta", func(dst []byte) []byte {
				dst = append(dst, at+`,"delta":`+block.delta...)
				return append(append(dst, block.piece(i, pieces)...), '}')
			})
		}
	}
	s.add("content_block_stop", func(dst []byte) []byte { return append(dst, at...) })
}

// hasKey reports whether a request carries the key, as its API has it.
func (a *answer) hasKey(key string) bool {
	switch {
	case a.request.anthropic:
		return a.http.Header.Get("X-Api-Key") == key
	case a.request.gemini:
		return a.http.Header.Get("X-Goog-Api-Key") == key
	}
	return a.http.Header.Get("Authorization") == "Bearer "+key
}

// appendAnthropic writes the error in Anthropic's style.
func (p *problem) appendAnthropic(dst []byte, requestID string) []byte {
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = appendJSON(dst, anthropicKind(p.status))
	dst = append(dst, `,"message":`...)
	dst = appendJSON(dst, p.message)
	dst = append(dst, `},"request_id":`...)
	return append(appendJSON(dst, requestID), '}')
}

func anthropicKind(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case 529:
		return "overloaded_error"
	}
	if status < http.StatusInternalServerError {
		return "invalid_request_error"
	}
	return "api_error"
}
