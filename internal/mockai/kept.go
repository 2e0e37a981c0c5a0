package mockai

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// keptRoute is where responses are that were kept, by their ids.
const keptRoute = "responses"

// A keptResponse is one that is remembered, unless its request said "store": false.
type keptResponse struct {
	body, input string
	tokens      int64 // of all that was said until its end
	said        int64 // of that, by itself
}

// goOn adds what was said before to the prompt: the conversation up to a response, and items that
// are named. The id of an item has its response's number (appendID); each counts as all that was said there.
func (a *answer) goOn() *problem {
	r := &a.request
	if r.previous != "" {
		before, known := a.server.responses.get(r.previous)
		if !known {
			return errNoPrevious(r.previous)
		}
		r.promptTokens += before.tokens
	}
	for _, id := range r.named {
		_, number, _ := strings.Cut(id, "_mock")
		number, _, _ = strings.Cut(number, "_")
		of, known := a.server.responses.get("resp_mock" + number)
		if !known || !strings.Contains(of.body, `"`+id+`"`) {
			return errNoItem(id)
		}
		r.promptTokens += of.said
	}
	return nil
}

// keep remembers the response that has just been written.
func (a *answer) keep(body []byte) {
	if a.request.unkept {
		return
	}
	used := &a.request.used
	a.server.responses.put(string(a.appendID(nil, "resp", 0)), keptResponse{
		body: string(body), input: a.request.input, tokens: used.prompt + used.completion, said: used.completion,
	})
}

// keptResponse answers questions about one.
func (a *answer) keptResponse() {
	id, items := strings.CutSuffix(strings.TrimPrefix(a.path, keptRoute+"/"), "/input_items")
	kept, known := a.server.responses.get(id)
	switch {
	case a.http.Method != http.MethodGet && (items || a.http.Method != http.MethodDelete):
		a.refuse(errMethod(a.http.Method))
	case a.plan.apply(a.server.fault.take()) != nil || !a.stumble():
	case !known:
		a.refuse(errNoResponse(id))
	case a.http.Method == http.MethodDelete:
		a.server.responses.remove(id)
		a.json(append(appendJSON([]byte(`{"id":`), id), `,"object":"response","deleted":true}`...))
	case items:
		a.json(listed(kept.input))
	default:
		a.json([]byte(kept.body))
	}
}

// listed are the items of an input, each with an id.
func listed(input string) []byte {
	value, dst := gjson.Parse(input), []byte(`{"object":"list","data":[`)
	if !value.IsArray() {
		value = gjson.Parse(`[{"type":"message","role":"user","content":[{"type":"input_text","text":` + value.Raw + `}]}]`)
	}
	items := value.Array()
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"id":"item_mock`...), int64(i), 10)
		dst = append(append(dst, `",`...), strings.TrimSpace(strings.TrimPrefix(item.Raw, "{"))...)
	}
	dst = strconv.AppendInt(append(dst, `],"first_id":"item_mock0","last_id":"item_mock`...), int64(max(len(items)-1, 0)), 10)
	return append(dst, `","has_more":false}`...)
}

func errNoResponse(id string) *problem {
	return &problem{
		status: http.StatusNotFound, message: fmt.Sprintf("Response with id '%s' not found.", id),
		kind: "invalid_request_error",
	}
}

func errNoItem(id string) *problem {
	return &problem{
		status: http.StatusNotFound, message: fmt.Sprintf("Item with id '%s' not found.", id),
		kind: "invalid_request_error", param: "input",
	}
}

func errNoPrevious(id string) *problem {
	return &problem{
		status: http.StatusBadRequest, message: fmt.Sprintf("Previous response with id '%s' not found.", id),
		kind: "invalid_request_error", param: "previous_response_id", code: "previous_response_not_found",
	}
}
