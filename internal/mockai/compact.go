package mockai

import (
	"strconv"
	"strings"
)

// compactRoute makes one item of a conversation, inputTokensRoute counts its tokens. Both take the input of a response.
const (
	compactRoute     = "responses/compact"
	inputTokensRoute = "responses/input_tokens"
)

// inputTokens answers a count of tokens.
func (a *answer) inputTokens() {
	dst := strconv.AppendInt([]byte(`{"object":"response.input_tokens","input_tokens":`), a.request.used.prompt, 10)
	a.json(append(dst, '}'))
}

// compact answers with what the user said last, and an item in place of all the rest.
func (a *answer) compact() {
	r := &a.request
	dst := a.appendID([]byte(`{"id":"`), "resp", 0)
	dst = strconv.AppendInt(append(dst, `","object":"response.compaction","created_at":`...), a.server.options.Now().Unix(), 10)
	dst = a.appendID(append(dst, `,"output":[{"id":"`...), "msg", 1)
	dst = appendJSON(append(dst, `","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":`...), r.text)
	dst = a.compaction(append(dst, `}]},{"id":"`...), 2)
	dst = append(dst, `],"usage":`...)
	if r.used.absent {
		dst = append(dst, "null"...)
	} else {
		dst = r.used.appendResponse(dst)
	}
	a.json(append(dst, '}'))
}

// compaction appends the item that stands for a conversation, from its id on.
func (a *answer) compaction(dst []byte, i int64) []byte {
	dst = append(a.appendID(dst, "cmp", i), `","type":"compaction","encrypted_content":"`...)
	dst = append(dst, strings.Repeat("gAAAAABo", int(a.request.used.completion))...)
	return append(dst, `"}`...)
}
