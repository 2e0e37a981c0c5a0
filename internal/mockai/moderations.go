package mockai

import (
	"strconv"

	"github.com/tidwall/gjson"
)

func readModerations(r *request, _ string, body []byte) *problem {
	r.family, r.model = familyModerations, "omni-moderation-latest"
	p := r.readFields(body, func(name string, value gjson.Result) {
		if name == "input" {
			r.promptTokens, r.inputs, r.text = countInput(value)
		}
	})
	switch {
	case p != nil:
		return p
	case r.inputs == 0:
		return errMissing("input")
	}
	return nil
}

// moderations finds nothing wrong with anything.
func (a *answer) moderations() {
	r := &a.request
	dst := append([]byte(nil), `{"id":`...)
	dst = appendJSON(dst, a.id())
	list, one := `,"results":[`, `{"flagged":false,"categories":{"hate":false,"violence":false},"category_scores":{"hate":0.0001,"violence":0.0002}}`
	if r.bigModel {
		list, one = `,"result_list":[`, `{"content_type":"text","risk_level":"PASS","risk_type":[]}`
	} else {
		dst = append(dst, `,"model":`...)
		dst = appendJSON(dst, r.model)
	}
	dst = append(dst, list...)
	for i := range r.inputs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, one...)
	}
	dst = append(dst, ']')
	if !r.used.absent {
		dst = append(dst, `,"usage":{"moderation_text":{"call_count":`...)
		dst = strconv.AppendInt(dst, 1, 10)
		dst = append(dst, "}}"...)
	}
	a.json(append(dst, '}'))
}
