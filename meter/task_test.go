package meter

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// What an answer tells of its task, and how far that is.
func TestTaskOfAnAnswer(t *testing.T) {
	video := mustRead(t, FindEndpoint("/videos/generations"), `{"model":"cogvideox-3","prompt":"A cat"}`)
	chat := mustRead(t, FindEndpoint("/async/chat/completions"), `{"model":"glm-4.6","messages":[{"role":"user","content":"A cat"}]}`)
	response := responsesRequest(t, `"input":"A cat","background":true`)
	long := strings.Repeat("x", 96)
	for _, tt := range []struct {
		request *Request
		answer  string
		id      string
		state   TaskState
	}{
		{video, `{"id":"1-2","task_status":"PROCESSING"}`, "1-2", TaskRunning},
		{video, `{"task_status":"SUCCESS","id":"1-2","video_result":[{"url":"u"}]}`, "1-2", TaskDone},
		{video, `{"id":"1-2","task_status":"SUCCESS"}`, "1-2", TaskDone},
		{video, `{"id":"1-2","task_status":"success","video_result":[]}`, "1-2", TaskDone},
		{video, `{"id":"1-2","video_result":[{"url":"u"}]}`, "1-2", TaskDone},
		{video, `{"id":"1-2","task_status":"PROCESSING","video_result":[{"url":"u"}]}`, "1-2", TaskDone}, // whatever it calls that
		{video, `{"id":"1-2","task_status":"FAIL"}`, "1-2", TaskFailed},
		{video, `{"id":"1-2","task_status":"FAILED","error":{"code":"1301"}}`, "1-2", TaskFailed},
		{video, `{"id":"1-2","task_status":"QUEUED"}`, "1-2", TaskRunning},
		{video, `{"error":{"code":"1214","message":"no such task"}}`, "", TaskRunning},
		{video, `{"id":12,"task_status":"PROCESSING"}`, "", TaskRunning},
		{video, `{"data":{"id":"1-2","task_status":"SUCCESS"}}`, "", TaskUntold},
		{video, `{"id":"` + long + `","task_status":"PROCESSING"}`, "", TaskRunning},
		{video, `nonsense`, "", TaskUntold},
		{video, `{"id":"1-2"}`, "1-2", TaskUntold},
		{video, `{"video_result":[{"url":"u"}]}`, "", TaskDone},
		{video, `{"id":"1-2","task_status":"failure"}`, "1-2", TaskFailed},
		{video, `{"code":500,"msg":"busy","success":false}`, "", TaskRunning},
		{chat, `{"id":"3","task_status":"SUCCESS","choices":[{"message":{"content":"Hi"}}]}`, "3", TaskDone},
		{chat, `{"id":"3","task_status":"FAIL","usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6}}`, "3", TaskDone}, // it has cost something
		{chat, `{"id":"3","task_status":"FAIL","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}`, "3", TaskFailed},
		{chat, `{"id":"3","task_status":"PROCESSING","usage":null}`, "3", TaskRunning},
		{response, `{"id":"r","status":"in_progress","output":[{"id":"rs_1","type":"reasoning"}],"usage":null}`, "r", TaskRunning}, // more is to come
		{response, `{"id":"r","status":"Queued","usage":{"input_tokens":5,"output_tokens":1}}`, "r", TaskRunning},
		{response, `{"id":"r","status":"canceled","output":[]}`, "r", TaskDone},
		{response, `{"id":"r","status":"expired","output":[]}`, "r", TaskRunning}, // nobody knows that word, and nothing is told
		{response, `{"id":"r","status":"expired","output":[{"id":"msg_1"}]}`, "r", TaskDone},
		{response, `{"id":"r","object":"response.deleted","deleted":true}`, "r", TaskUntold},
	} {
		tap := tt.request.NewTap("application/json")
		tap.Pass(nil, []byte(tt.answer))
		if id, state := tap.Task(); id != tt.id || state != tt.state {
			t.Errorf("%s: task %q, state %d, want %q, %d", tt.answer, id, state, tt.id, tt.state)
		}
	}
}

// An estimate is no longer than the client's limit, of a recalled request, too.
func TestRecalledRequestKeepsItsLimit(t *testing.T) {
	text, err := json.Marshal(mustRead(t, FindEndpoint("/async/chat/completions"), `{"model":"glm-4.6","max_tokens":3,"messages":[{"role":"user","content":"A cat"}]}`).Terms())
	if err != nil {
		t.Fatal(err)
	}
	var terms Terms
	if err := json.Unmarshal(text, &terms); err != nil {
		t.Fatal(err)
	}
	recalled, err := terms.Recall()
	if err != nil {
		t.Fatal(err)
	}
	tap := recalled.NewTap("application/json")
	tap.Pass(nil, []byte(`{"id":"1","task_status":"SUCCESS","choices":[{"message":{"content":"`+strings.Repeat("word ", 100)+`"}}]}`))
	if got := tap.Usage().Quantities[Output]; got != 3 {
		t.Errorf("%d tokens, want 3", got)
	}
}

// A request that is recalled by its terms is billed as it would have been itself.
func TestRecalledRequestIsBilledAlike(t *testing.T) {
	for _, file := range append(fixtures(t, "answers"), "testdata/answers/chat-glm.json", "testdata/answers/chat-search-preview.json") {
		e := fixtureEndpoint(t, file)
		if word, _, _ := strings.Cut(filepath.Base(file), "-"); word == "chat" {
			e = FindEndpoint("/async/chat/completions")
		}
		if !e.bringsTask && !e.keepsAnswers {
			continue
		}
		request := fixtureRequest(t, file)
		request.Endpoint = e
		request.SentAs(request.Model)
		text, err := json.Marshal(request.Terms())
		if err != nil {
			t.Fatal(err)
		}
		var terms Terms
		if err := json.Unmarshal(text, &terms); err != nil {
			t.Fatal(err)
		}
		recalled, err := terms.Recall()
		if err != nil {
			t.Fatal(err)
		}
		usage := func(r *Request) Usage {
			tap := r.NewTap("application/json")
			tap.Pass(nil, readFile(t, file))
			u := tap.Usage()
			if u.inTokens != nil {
				tokens := u.inTokens()
				u.Attributes = Attributes{"in tokens": asJSON(t, tokens.Map())}
				u.inTokens = nil
			}
			return u
		}
		if got, want := usage(recalled), usage(request); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: recalled %+v, itself %+v", file, got, want)
		}
		one, other := recalled.Unseen(), request.Unseen()
		if one.Quantities != other.Quantities || !reflect.DeepEqual(one.ToolCalls, other.ToolCalls) {
			t.Errorf("%s: recalled and unseen %+v, itself %+v", file, one, other)
		}
	}
	for _, path := range []string{"/chat/completions", "/nowhere", ""} {
		if _, err := (&Terms{Path: path}).Recall(); err == nil {
			t.Errorf("recalled as a task of %q", path)
		}
	}
}

func TestTaskRequestErrors(t *testing.T) {
	checkRefused(t, "/async/chat/completions", `{"model":"m","stream":true}`, "stream", "comes whole")
	checkRefused(t, "/videos/generations", `{"model":"m","duration":{"s":5}}`, "duration", "expected a string, a number or a boolean")
	checkRefused(t, "/videos/generations", `{"model":"m","Duration":5}`, "duration", "Did you mean")
	checkRefused(t, "/videos/generations", `{"model":"m","duration":5,"duration":10}`, "duration", "more than once")
	r := mustRead(t, FindEndpoint("/videos/generations"), `{"model":"m","duration":"10","fps":null,"with_audio":false,"size":""}`)
	if want := (Attributes{"duration": "10", "with_audio": "false"}); !reflect.DeepEqual(r.Attributes, want) {
		t.Errorf("attributes %v, want %v", r.Attributes, want)
	}
	for _, odd := range []string{`1`, `"true"`, `"TRUE"`} { // there are readers that take each for true
		checkRefused(t, "/videos/generations", `{"model":"m","with_audio":`+odd+`}`, "with_audio", "expected a boolean")
	}
	for _, same := range []string{`10`, `10.0`, `" 10"`, `"010"`, `"1\u0030"`} {
		r := mustRead(t, FindEndpoint("/videos/generations"), `{"model":"m","duration":`+same+`}`)
		if got := r.Attributes["duration"]; got != "10" {
			t.Errorf("a duration of %s is %q", same, got)
		}
	}
}
