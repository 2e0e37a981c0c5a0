package mockai

import (
	"strconv"
	"strings"
)

// sentence is what the simulated upstream has to say, as often as it takes.
const sentence = "Hello from the simulated upstream, which says only this, always "

// said is many sentences, so that most pieces of a reply are one append.
var said = strings.Repeat(sentence, 64)

// toolArguments are the arguments of a function whose schema is not known.
const toolArguments = `{"query":"weather in Beijing"}`

// appendSaid appends the bytes [from, to) of an endless reply.
func appendSaid(dst []byte, from, to int64) []byte {
	for from < to {
		start := from % int64(len(sentence))
		n := min(to-from, int64(len(said))-start)
		dst = append(dst, said[start:start+n]...)
		from += n
	}
	return dst
}

// begin appends the members that every chat and completion object opens with.
func (a *answer) begin(dst []byte, object string) []byte {
	dst = append(dst, `{"id":"`...)
	if a.request.bigModel {
		dst = append(dst, a.id()...)
		dst = append(dst, `","request_id":"`...)
		dst = append(dst, a.id()...)
	} else {
		dst = append(dst, a.idPrefix()...)
		dst = strconv.AppendInt(dst, a.number, 10)
		dst = append(dst, `","object":"`...)
		dst = append(dst, object...)
	}
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, a.server.options.Now().Unix(), 10)
	dst = append(dst, `,"model":`...)
	dst = appendJSON(dst, a.request.model)
	if !a.request.bigModel {
		dst = append(dst, `,"service_tier":`...)
		dst = appendJSON(dst, a.tier())
		dst = append(dst, `,"system_fingerprint":"fp_mock"`...)
	}
	return dst
}

func (a *answer) idPrefix() string {
	if a.request.family == familyCompletions {
		return "cmpl-mock"
	}
	return "chatcmpl-mock"
}

// tier is the service tier that served: auto resolves to default.
func (a *answer) tier() string {
	if a.request.tier == "" || a.request.tier == "auto" {
		return "default"
	}
	return a.request.tier
}

// chat answers chat/completions and completions with one JSON object.
func (a *answer) chat() {
	r := &a.request
	buffer := a.server.scratch()
	defer a.server.release(buffer)
	dst := buffer.AvailableBuffer()
	object := "chat.completion"
	if r.family == familyCompletions {
		object = "text_completion"
	}
	dst = append(a.chatMembers(a.begin(dst, object)), '}')
	a.json(dst)
	buffer.Write(dst) // keeps what grew for the next answer
}

// chatMembers appends what was said, and what it used.
func (a *answer) chatMembers(dst []byte) []byte {
	r := &a.request
	dst = append(dst, `,"choices":[`...)
	for i := range r.n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.choice(dst, i)
	}
	dst = append(dst, ']')
	if !r.used.absent {
		dst = append(dst, `,"usage":`...)
		dst = r.used.appendChat(dst, r.bigModel, false)
	}
	return a.asides(dst)
}

// choice appends one whole choice.
func (a *answer) choice(dst []byte, index int64) []byte {
	r := &a.request
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, index, 10)
	if r.family == familyCompletions {
		dst = append(dst, `,"text":"`...)
		dst = appendSaid(dst, 0, r.reply.bytes)
		dst = append(dst, '"')
	} else {
		dst = a.message(dst)
	}
	if !r.bigModel {
		dst = append(dst, `,"logprobs":null`...)
	}
	dst = append(dst, `,"finish_reason":`...)
	dst = appendJSON(dst, r.reply.finish)
	return append(dst, '}')
}

// message appends the `message` member of a choice.
func (a *answer) message(dst []byte) []byte {
	r := &a.request
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	if r.reply.call != "" {
		dst = append(dst, `null,"tool_calls":[`...)
		dst = append(a.toolCall(dst), ']')
	} else {
		dst = r.reply.appendContent(dst, 0, r.reply.bytes)
	}
	switch {
	case !r.bigModel:
		dst = append(dst, `,"refusal":null`...)
	case a.plan.reasoning > 0:
		dst = append(dst, `,"reasoning_content":"`...)
		dst = appendSaid(dst, 0, a.plan.reasoning*4)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

func (a *answer) toolCall(dst []byte) []byte {
	dst = append(dst, `{"id":"call_mock`...)
	dst = strconv.AppendInt(dst, a.number, 10)
	dst = append(dst, `","type":"function","function":{"name":`...)
	dst = appendJSON(dst, a.request.reply.call)
	dst = append(dst, `,"arguments":`...)
	dst = appendJSON(dst, a.request.reply.arguments)
	return append(dst, "}}"...)
}

// asides appends what BigModel sends beside the choices.
func (a *answer) asides(dst []byte) []byte {
	r := &a.request
	if r.reply.search > 0 && !r.hideSearch {
		dst = append(dst, `,"web_search":[`...)
		for i := range r.reply.search {
			if i > 0 {
				dst = append(dst, ',')
			}
			number := strconv.FormatInt(i+1, 10)
			dst = append(dst, `{"title":"Result `+number+`","link":"https://search.mock.invalid/`+number+
				`","content":"`+sentence+`","media":"mock","refer":"ref_`+number+`"}`...)
		}
		dst = append(dst, ']')
	}
	if r.bigModel && r.reply.finish == "sensitive" {
		dst = append(dst, `,"content_filter":[{"role":"assistant","level":0}]`...)
	}
	return dst
}
