package mockai

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// What BigModel alone has is answered in its style, whatever the model.

func readTokenizer(r *request, _ string, body []byte) *problem {
	p := readChat(r, "", body)
	r.family, r.bigModel = familyTokenizer, true
	return p
}

// tokenizer tells how many tokens a chat is.
func (a *answer) tokenizer() {
	n := a.request.used.prompt
	dst := append(a.bigModelHead(), `,"usage":{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, n, 10)
	dst = append(dst, `,"image_tokens":0,"video_tokens":0,"total_tokens":`...)
	dst = strconv.AppendInt(dst, n, 10)
	a.json(append(dst, "}}"...))
}

func readSearch(r *request, _ string, body []byte) *problem {
	r.family, r.bigModel = familySearch, true
	return r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "search_engine":
			r.model = value.Str
		case "search_query":
			r.text = value.Str
		}
	})
}

// search finds as many pages as a search within a chat.
func (a *answer) search() {
	dst := append(a.bigModelHead(), `,"search_intent":[],"search_result":[`...)
	for i := range orElse(a.plan.toolResults, 3) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"title":"Result","content":"What was found.","link":"https://search.mock.invalid/`...)
		dst = strconv.AppendInt(dst, i, 10)
		dst = append(dst, `","media":"Mock","icon":"","refer":"ref_`...)
		dst = strconv.AppendInt(dst, i+1, 10)
		dst = append(dst, `","publish_date":"2026-01-01"}`...)
	}
	a.json(append(dst, "]}"...))
}

// bigModelHead begins an answer.
func (a *answer) bigModelHead() []byte {
	dst := append([]byte(nil), `{"created":`...)
	dst = strconv.AppendInt(dst, a.server.options.Now().Unix(), 10)
	dst = append(dst, `,"id":`...)
	dst = appendJSON(dst, a.id())
	dst = append(dst, `,"request_id":`...)
	return appendJSON(dst, a.id())
}
