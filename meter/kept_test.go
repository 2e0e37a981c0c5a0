package meter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Whether an answer is kept, and which one before it the request goes on from.
func TestKeptAnswers(t *testing.T) {
	for members, want := range map[string]struct {
		kept  bool
		named string
	}{
		`"input":"x"`: {true, ""},
		`"store":true,"previous_response_id":"resp_1"`:                                                                               {true, "resp_1"},
		`"store":false,"previous_response_id":"resp\u005f1"`:                                                                         {false, "resp_1"},
		`"store":null,"previous_response_id":null`:                                                                                   {true, ""},
		`"input":[{"role":"user","content":"x"}],"stream":false`:                                                                     {true, ""},
		`"input":[{"type":"item_reference","id":"msg_1"},{"id":"rs_1"},{"id":"msg_1"}],"previous_response_id":"resp_1"`:              {true, "msg_1 rs_1 resp_1"},
		`"input":[{"type":"reasoning","id":"rs_3","encrypted_content":""},{"type":"reasoning","id":"rs_4","encrypted_content":"x"}]`: {true, "rs_3"},
		`"input":[{"type":"reasoning","id":"rs_2","summary":[]},{"type":"message","id":"msg_1","role":"user","content":"x"}]`:        {true, "rs_2"},
	} {
		r := responsesRequest(t, members)
		if got := strings.Join(r.Named(), " "); r.Kept() != want.kept || got != want.named || (r.Stored() != nil) != (want.named != "") {
			t.Errorf("%s: kept %t, goes on from %q, %v", members, r.Kept(), got, r.Stored())
		}
	}
	if mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","store":true,"previous_response_id":"resp_1"}`).Kept() {
		t.Error("a chat's answer is kept")
	}
	for members, message := range map[string]string{
		`"previous_response_id":""`:               "it is empty",
		`"previous_response_id":5`:                "expected a string",
		`"previous_response_id":{"id":"x"}`:       "expected a string",
		`"store":"false"`:                         "expected a boolean",
		`"Store":false`:                           "Did you mean",
		`"store":true,"store":false`:              "more than once",
		`"previous_response_ID":"x"`:              "Did you mean",
		`"previous_response_id":"` + "\xff" + `"`: "not UTF-8",
	} {
		_, err := FindEndpoint("/responses").ReadRequest("application/json", []byte(`{"model":"m",`+members+`}`), ReadOptions{})
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%s: %v, want %q", members, err, message)
		}
	}
}

// What was said before is read again, as often as the rest, and estimated, too.
func TestGoingOnIsHeldFor(t *testing.T) {
	for name, c := range map[string]struct {
		members string
		turns   int64
	}{
		"a text":         {`"input":"x"`, 1},
		"hosted tools":   {`"input":"x","tools":[{"type":"web_search"}]`, 1 + usualToolCalls},
		"tools, limited": {`"input":"x","tools":[{"type":"web_search"}],"max_tool_calls":2`, 3},
	} {
		alone, r := responsesRequest(t, c.members), responsesRequest(t, c.members+`,"previous_response_id":"resp_1"`)
		before, first := r.Ceiling, alone.estimateInput()
		r.GoOn(1000)
		if got := r.Ceiling[Input] - before[Input]; got != 1000*c.turns || r.Ceiling[Output] != before[Output] {
			t.Errorf("%s: %d tokens of input more", name, got)
		}
		if r.Stored() != nil || len(r.Named()) > 0 {
			t.Errorf("%s: it is the account's, and %v", name, r.Stored())
		}
		if got := r.estimateInput(); got < first+1000 || got > first+1100 {
			t.Errorf("%s: estimated %d, without it %d", name, got, first)
		}
	}
	many := `"input":[` + strings.Repeat(`{"id":"a"},`, maxNamed)
	for i := range maxNamed - 1 {
		many += fmt.Sprintf(`{"id":"m%d"},`, i)
	}
	if got := len(responsesRequest(t, many+`{"id":"a"}]`).Named()); got != maxNamed {
		t.Errorf("%d are named", got)
	}
	if _, err := FindEndpoint("/responses").ReadRequest("application/json", []byte(`{"model":"m",`+many+`{"id":"b"}]}`), ReadOptions{}); err == nil || !strings.Contains(err.Error(), "no more than 256") {
		t.Errorf("of too many: %v", err)
	}
	both := responsesRequest(t, `"previous_response_id":"resp_1","prompt":{"id":"pmpt_1"}`)
	both.GoOn(1)
	if stored := both.Stored(); stored == nil || stored.Param != "prompt" {
		t.Errorf("what else is named: %v", stored)
	}
	for tokens, want := range map[int64]int64{-5: 0, 1 << 60: contextTokens} {
		r := responsesRequest(t, `"previous_response_id":"resp_1"`)
		before := r.Ceiling[Input]
		if r.GoOn(tokens); r.Ceiling[Input]-before != want {
			t.Errorf("%d tokens raise the ceiling by %d", tokens, r.Ceiling[Input]-before)
		}
	}
}

// What an answer is called stands in it, whole or in its events.
func TestObjectID(t *testing.T) {
	long := strings.Repeat("x", 96)
	for _, c := range []struct{ contentType, answer, want, parts string }{
		{"application/json", `{"id":"resp_1","output":[{"id":"msg_1"}],"usage":{"input_tokens":1,"output_tokens":1}}`, "resp_1", "msg_1"},
		{"application/json", `{"output":[{"type":"reasoning","id":"rs_1"},{"id":"msg_1","content":[{"id":"x"}]},{"id":"rs_1"},{"id":7}],"id":"resp_1"}`, "resp_1", "rs_1 msg_1"},
		{"application/json", `{"output":[{"id":"msg_1"}]}`, "", "msg_1"},
		{"application/json", `{"id":null}`, "", ""},
		{"application/json", `{"id":"` + long + `"}`, "", ""},
		{"application/json", `{"id":"` + long[1:] + `"}`, long[1:], ""},
		{"text/event-stream", "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_2\"}}\n\ndata: {\"type\":\"response.output_item.added\",\"item\":{\"id\":\"msg_1\"}}\n\n", "resp_2", ""},
		{"text/event-stream", "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_3\",\"output\":[{\"id\":\"msg_1\"},{\"id\":\"fc_1\"}]}}\n\n", "resp_3", "msg_1 fc_1"},
		{"text/event-stream", "data: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"x\"}\n\n", "", ""},
	} {
		tap := responsesRequest(t, `"stream":true`).NewTap(c.contentType)
		tap.Pass(nil, []byte(c.answer))
		if got := tap.ObjectID(); got != c.want || !slices.Equal(tap.PartIDs(), strings.Fields(c.parts)) {
			t.Errorf("%s: called %q, its items %q", c.answer, got, tap.PartIDs())
		}
	}
}
