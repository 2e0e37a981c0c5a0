package mockai

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tidwall/gjson"
)

// keptRoute is where responses are that were kept, by their ids.
const keptRoute = "responses"

// A keptResponse is one that is remembered, unless its request said "store": false.
type keptResponse struct {
	body, input string
	tokens      int64 // of all that was said until its end
	said        int64 // of that, by itself
	// Of one that is made in the background: what it is at first, and how often it is asked for before its end.
	begun   string
	working atomic.Int64
}

// as is what is said of it at first, with a status.
func (k *keptResponse) as(status string) string {
	return strings.Replace(k.begun, `"status":"in_progress"`, `"status":"`+status+`"`, 1)
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

// keep remembers a response.
func (a *answer) keep(made *keptResponse) {
	if a.request.unkept {
		return
	}
	used := &a.request.used
	made.input, made.tokens, made.said = a.request.input, used.prompt+used.completion, used.completion
	a.server.responses.put(string(a.appendID(nil, "resp", 0)), made)
}

// submitResponse makes a response in the background.
func (a *answer) submitResponse(status string) {
	made := &keptResponse{body: string(a.response(nil, status)), begun: string(a.response(nil, "in_progress"))}
	made.working.Store(max(a.plan.polls, 0))
	a.keep(made)
	a.json([]byte(made.as("queued")))
}

// keptResponse answers questions about one.
func (a *answer) keptResponse() {
	id, what, _ := strings.Cut(strings.TrimPrefix(a.path, keptRoute+"/"), "/")
	kept, known := a.server.responses.get(id)
	if a.plan.apply(a.server.fault.take()) != nil || !a.stumble() {
		return
	}
	if !known {
		a.refuse(errNoResponse(id))
		return
	}
	switch a.http.Method + " " + what {
	case "GET ":
		if kept.working.Add(-1) >= 0 {
			a.json([]byte(kept.begun))
			return
		}
		a.json([]byte(kept.body))
	case "DELETE ":
		a.server.responses.remove(id)
		a.json(append(appendJSON([]byte(`{"id":`), id), `,"object":"response","deleted":true}`...))
	case "GET input_items":
		a.json(listed(kept.input))
	case "POST cancel":
		a.cancel(id, kept)
	default:
		a.refuse(errMethod(a.http.Method))
	}
}

// cancel ends a response that is made in the background.
func (a *answer) cancel(id string, kept *keptResponse) {
	if kept.working.Load() <= 0 {
		a.refuse(errCannotCancel)
		return
	}
	body := kept.as("cancelled")
	a.server.responses.put(id, &keptResponse{body: body, input: kept.input})
	a.json([]byte(body))
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

var errCannotCancel = &problem{
	status: http.StatusBadRequest, message: "Cannot cancel a response that is not being made in the background.",
	kind: "invalid_request_error",
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
