package mockai

import (
	"strconv"

	"github.com/tidwall/gjson"
)

func readRerank(r *request, _ string, body []byte) *problem {
	r.family = familyRerank
	p := r.readFields(body, func(name string, value gjson.Result) {
		switch name {
		case "query":
			r.text = value.Str
			r.promptTokens += tokens(len(value.Str))
		case "documents":
			n, documents, _ := countInput(value)
			r.promptTokens, r.inputs = r.promptTokens+n, documents
		case "top_n":
			r.topN = value.Int()
		}
	})
	switch {
	case p != nil:
		return p
	case r.inputs == 0:
		return errMissing("documents")
	}
	return nil
}

// rerank answers with the documents in their order, each less relevant than the one before.
func (a *answer) rerank() {
	r := &a.request
	dst := append([]byte(nil), `{"id":`...)
	dst = appendJSON(dst, a.id())
	dst = append(dst, `,"results":[`...)
	for i := range r.ranked() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, i, 10)
		dst = append(dst, `,"relevance_score":`...)
		dst = strconv.AppendFloat(dst, 1/float64(i+1), 'g', 6, 64)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if !r.used.absent {
		dst = append(dst, `,"usage":`...)
		dst = r.used.appendChat(dst, false, true)
	}
	a.json(append(dst, '}'))
}

// ranked is how many documents are returned.
func (r *request) ranked() int64 {
	if r.topN > 0 {
		return min(r.topN, r.inputs)
	}
	return r.inputs
}
