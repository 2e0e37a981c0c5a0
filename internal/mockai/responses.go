package mockai

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// storedTokens is what a conversation that is named by an id adds to the prompt. (A response adds its own.)
const storedTokens = 1000

func readResponses(r *request, _ string, body []byte) *problem {
	r.family = familyResponses
	given := false
	p := r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "input":
			given = true
			r.readInput(value)
			r.input = value.Raw
		case "instructions":
			r.promptTokens += tokens(len(value.Str))
		case "tools":
			r.promptTokens += tokens(len(value.Raw))
			value.ForEach(func(_, tool gjson.Result) bool {
				r.webSearch = r.webSearch || strings.HasPrefix(tool.Get("type").Str, "web_search")
				r.addFunction(tool.Get("name").Str, tool.Get("parameters"))
				return true
			})
		case "tool_choice":
			r.mustCall = called(value, "required", value.Get("name").Str)
		case "previous_response_id":
			r.previous = value.Str
		case "store":
			r.unkept = value.Type == gjson.False
		case "background":
			r.background = value.Type == gjson.True
		case "conversation":
			r.promptTokens += storedTokens
		case "max_output_tokens":
			r.maxTokens = value.Int()
		case "max_tool_calls":
			r.maxCalls = value.Int()
		case "include":
			value.ForEach(func(_, what gjson.Result) bool {
				r.encrypted = r.encrypted || what.Str == "reasoning.encrypted_content"
				return true
			})
		case "text":
			if format := value.Get("format"); format.Get("type").Str == "json_schema" { // what chat has one level further down
				r.format = gjson.Parse(`{"type":"json_schema","json_schema":` + format.Raw + `}`)
			} else {
				r.format = format
			}
		default:
			r.readOutputField(name, value)
		}
	})
	if p == nil && !given {
		return errMissing("input")
	}
	r.promptTokens += 3
	r.bigModel = false // it has no such route
	return p
}

// readInput counts a text, or items.
func (r *request) readInput(input gjson.Result) {
	if !input.IsArray() {
		r.promptTokens += 3 + tokens(len(input.Str))
		r.text = input.Str
		return
	}
	input.ForEach(func(_, item gjson.Result) bool {
		r.promptTokens += 3
		switch item.Get("type").Str {
		case "item_reference":
			r.named = append(r.named, item.Get("id").Str)
		case "compaction_trigger":
			r.compacts = true
		}
		item.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "content", "output", "summary":
				if text := r.readParts(value); item.Get("role").Str == "user" {
					r.text = text
				}
			case "arguments", "input", "encrypted_content":
				r.promptTokens += tokens(len(value.Str))
			}
			return true
		})
		return true
	})
}

// readParts counts an item's parts and returns its first text.
func (r *request) readParts(content gjson.Result) (text string) {
	if !content.IsArray() {
		r.promptTokens += tokens(len(content.Str))
		return content.Str
	}
	content.ForEach(func(_, part gjson.Result) bool {
		piece := part.Get("text").Str
		switch {
		case strings.HasPrefix(part.Get("type").Str, "input_") && part.Get("type").Str != "input_text":
			r.promptTokens += 85
		default:
			r.promptTokens += tokens(len(piece))
		}
		if text == "" {
			text = piece
		}
		return true
	})
	return text
}

// ending says how a response ended: its status, and the event that tells it.
func (a *answer) ending() (status, event string) {
	switch a.request.reply.finish {
	case "length", "content_filter":
		return "incomplete", "response.incomplete"
	case "failed":
		return "failed", "response.failed"
	}
	return "completed", "response.completed"
}

// responses answers with one JSON object.
func (a *answer) responses() {
	buffer := a.server.scratch()
	defer a.server.release(buffer)
	status, _ := a.ending()
	if a.request.background {
		a.submitResponse(status)
		return
	}
	dst := a.response(buffer.AvailableBuffer(), status)
	a.json(dst)
	buffer.Write(dst) // keeps what grew for the next answer
}

// response appends a response object: in progress without output, else as a whole.
func (a *answer) response(dst []byte, status string) []byte {
	r, start := &a.request, len(dst)
	dst = append(dst, `{"id":"`...)
	dst = a.appendID(dst, "resp", 0)
	dst = append(dst, `","object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, a.server.options.Now().Unix(), 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, status...)
	dst = strconv.AppendBool(append(dst, `","background":`...), r.background)
	dst = append(dst, `,"error":`...)
	if status == "failed" {
		dst = append(dst, `{"code":"server_error","message":"The simulated upstream was told to fail."}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"incomplete_details":`...)
	switch {
	case status != "incomplete":
		dst = append(dst, "null"...)
	case r.reply.finish == "length":
		dst = append(dst, `{"reason":"max_output_tokens"}`...)
	default:
		dst = append(dst, `{"reason":"content_filter"}`...)
	}
	dst = append(dst, `,"instructions":null,"max_output_tokens":`...)
	if r.maxTokens >= 0 {
		dst = strconv.AppendInt(dst, r.maxTokens, 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"model":`...)
	dst = appendJSON(dst, r.model)
	dst = append(dst, `,"output":[`...)
	if status != "in_progress" && status != "failed" {
		for i := range a.items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = a.item(dst, i, status)
		}
	}
	dst = append(dst, `],"parallel_tool_calls":true,"previous_response_id":`...)
	dst = appendOrNull(dst, r.previous)
	dst = append(dst, `,"reasoning":{"effort":null,"summary":null},"service_tier":`...)
	if status == "in_progress" {
		dst = append(dst, `"auto"`...)
	} else {
		dst = appendJSON(dst, a.tier())
	}
	dst = strconv.AppendBool(append(dst, `,"store":`...), !r.unkept)
	dst = append(dst, `,"temperature":1.0,"text":{"format":{"type":"text"},"verbosity":"medium"},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":`...)
	if status == "in_progress" || r.used.absent {
		dst = append(dst, "null"...)
	} else {
		dst = r.used.appendResponse(dst)
	}
	dst = append(dst, `,"user":null,"metadata":{}}`...)
	if !r.background && (status == "completed" || status == "incomplete") {
		a.keep(&keptResponse{body: string(dst[start:])})
	}
	return dst
}

// appendID appends the id of a part of this answer.
func (a *answer) appendID(dst []byte, kind string, part int64) []byte {
	dst = append(append(dst, kind...), "_mock"...)
	dst = strconv.AppendInt(dst, a.number, 10)
	if part > 0 {
		dst = strconv.AppendInt(append(dst, '_'), part, 10)
	}
	return dst
}

// thinks is 1 if an item of reasoning comes first.
func (a *answer) thinks() int64 { return flag(a.plan.reasoning > 0) }

// items is the number of output items: reasoning, searches, and what is said or called.
func (a *answer) items() int64 { return a.thinks() + a.request.reply.search + 1 }

// item appends the i-th item as it is once the response has that status.
func (a *answer) item(dst []byte, i int64, status string) []byte {
	begun := status == "in_progress"
	dst = append(dst, `{"id":"`...)
	switch thinks := a.thinks(); {
	case i < thinks:
		dst = append(a.appendID(dst, "rs", i), `","type":"reasoning","summary":[]`...)
		if a.request.encrypted {
			dst = append(dst, `,"encrypted_content":"`...)
			dst = append(dst, strings.Repeat("gAAAAABo", int(a.plan.reasoning))...)
			dst = append(dst, '"')
		}
		return append(dst, '}')
	case i < thinks+a.request.reply.search:
		dst = append(a.appendID(dst, "ws", i), `","type":"web_search_call","status":"`...)
		if begun {
			return append(dst, `in_progress"}`...)
		}
		return append(dst, `completed","action":{"type":"search","query":"weather in Beijing"}}`...)
	case a.request.compacts:
		return a.compaction(dst, i)
	case a.request.reply.call != "":
		dst = append(a.appendID(dst, "fc", i), `","type":"function_call","status":"`...)
		dst = append(append(dst, status...), `","arguments":`...)
		if begun {
			dst = append(dst, `""`...)
		} else {
			dst = appendJSON(dst, a.request.reply.arguments)
		}
		dst = append(a.appendID(append(dst, `,"call_id":"`...), "call", i), `","name":`...)
		return append(appendJSON(dst, a.request.reply.call), '}')
	}
	dst = append(a.appendID(dst, "msg", i), `","type":"message","status":"`...)
	dst = append(append(dst, status...), `","content":[`...)
	if !begun {
		dst = a.part(dst, a.request.reply.bytes)
	}
	return append(dst, `],"role":"assistant"}`...)
}

// part appends the first bytes of the text as a part of a message.
func (a *answer) part(dst []byte, bytes int64) []byte {
	dst = append(dst, `{"type":"output_text","annotations":[],"logprobs":[],"text":`...)
	return append(a.request.reply.appendContent(dst, 0, bytes), '}')
}

// appendResponse writes the usage object of responses.
func (u *usage) appendResponse(dst []byte) []byte {
	if u.null {
		return append(dst, "null"...)
	}
	dst = u.appendCount(append(dst, `{"input_tokens":`...), u.prompt)
	dst = u.appendCount(append(dst, `,"input_tokens_details":{"cached_tokens":`...), max(u.cached, 0))
	dst = u.appendCount(append(dst, `},"output_tokens":`...), u.completion)
	dst = u.appendCount(append(dst, `,"output_tokens_details":{"reasoning_tokens":`...), max(u.reasoning, 0))
	dst = u.appendCount(append(dst, `},"total_tokens":`...), u.total)
	return append(dst, '}')
}
