package meter

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A task is what some calls bring in place of their answer: the upstream works
// on, and is asked later how it ended. It is billed once, by the terms of the
// request that it was made by.

// taskEndpoints are the rows of requests that bring a task.
func taskEndpoints(chat, image []parameter) []*Endpoint {
	return []*Endpoint{
		{
			Path: "/videos/generations", Name: "videos", Class: "videos", API: BigModel, bringsTask: true,
			parameters: join(otherModelsParameters(), modelParameter(), promptTextParameter(), plainAttributeParameter("size"), plainAttributeParameter("duration"),
				plainAttributeParameter("quality"), switchParameter("with_audio"), plainAttributeParameter("fps")),
			ceiling: videoCeiling,
			dialect: &dialect{
				schema: taskSchema("video_result"), quantities: noQuantities, without: deriveVideo,
				unit: Video, inTokens: notInTokens,
			},
		},
		{
			Path: "/async/chat/completions", Name: "chat", Class: "chat", API: BigModel, bringsTask: true, Limit: "max_tokens",
			parameters: append(join(otherModelsParameters(), modelParameter(), wholeParameter()), chat...), ceiling: chatCeiling,
			dialect: &dialect{
				schema: chatSchema(taskPaths()...), quantities: tokenQuantities,
				without: estimateChat, describe: describeTier, calls: chatCalls,
			},
		},
		{
			Path: "/async/images/generations", Name: "images", Class: "images", API: BigModel, bringsTask: true,
			parameters: image, ceiling: imagesCeiling,
			dialect: &dialect{
				schema: taskSchema("image_result"), quantities: noQuantities,
				without: deriveImages, unit: Image, inTokens: (*Request).imagesInTokens,
			},
		},
	}
}

// taskPoll is TaskPoll's, never changed.
var taskPoll = &Endpoint{Path: "/async-result/", Name: "async_result", API: BigModel, Query: map[string][]string{}}

// TaskPoll returns the row by which clients ask how a task has ended: by GET, with the
// task's id behind the path and no query. That costs nothing by itself.
func TaskPoll() *Endpoint { return taskPoll }

// switchParameter is an attribute that is true or false.
func switchParameter(name string) parameter {
	return parameter{name: name, attribute: true, boolean: func(r *requestReader, on bool) { r.request.setAttribute(name, strconv.FormatBool(on)) }}
}

// plainAttributeParameter is an attribute that may be a text, a number or a boolean. A number in
// a text is that number, as there are readers that take it for one.
func plainAttributeParameter(name string) parameter {
	return parameter{name: name, attribute: true, value: func(r *requestReader) {
		first := r.peek()
		raw := r.raw()
		value := string(raw)
		switch {
		case r.err != nil || first == 'n':
			return
		case first == '{' || first == '[':
			r.wrongType(name, "a string, a number or a boolean", first)
			return
		case first == '"':
			value = strings.TrimSpace(unescape(raw[1 : len(raw)-1]))
		}
		if n, ok := parseInteger([]byte(value)); ok {
			value = strconv.FormatInt(n, 10)
		}
		if value != "" {
			r.request.setAttribute(name, bounded(value))
		}
	}}
}

// wholeParameter refuses a stream of what comes as a whole.
func wholeParameter() parameter {
	return parameter{name: "stream", boolean: func(r *requestReader, on bool) {
		if on {
			r.fail("stream", "Unsupported value for 'stream': what is asked for later comes whole.")
		}
	}}
}

func videoCeiling(r *requestReader) { r.request.units, r.request.Ceiling[Video] = 1, 1 }

// taskPaths are the members of an answer that tell of its task.
func taskPaths() []schemaPath {
	return []schemaPath{{path: "id", fact: factObjectID}, {path: "task_status", fact: factTaskStatus}}
}

// taskSchema covers answers whose results stand in a list of that name.
func taskSchema(results string) *answerSchema {
	return compileSchema(taskPaths(), []schemaPath{
		{path: "model", fact: factModel},
		{path: "error", fact: factError},
		{path: "code", fact: factCode},
		{path: results, fact: factImages},
		{path: results + ".#", fact: factNone},
	})
}

// deriveVideo counts the video that every call is for.
func deriveVideo(t *Tap) (Quantities, Source) { return Quantities{Video: t.request.units}, Derived }

// TaskState is how far a task is.
type TaskState uint8

// The states of a task. One that has brought a result is done, whatever its status is called, unless that says in so many
// words that more is to come.
const (
	TaskUntold TaskState = iota // the answer does not tell: it may be another's, or in another form
	TaskRunning
	TaskDone
	TaskFailed // without a result, and without usage
)

// Task is what an answer tells of a task: its id, "" where it tells none, and how far it is.
func (t *Tap) Task() (id string, state TaskState) {
	f := &t.facts
	told := cmp.Or(f.object, &objectFacts{})
	id = t.ObjectID()
	switch {
	case isGoingOn(told.status.String()):
		state = TaskRunning
	case t.Brought():
		state = TaskDone
	case f.object == nil && (f.failed || f.refused): // the question has failed, not the task
		state = TaskRunning
	case f.failed:
		state = TaskFailed
	case isDone(told.status.String()):
		state = TaskDone
	case told.status.n > 0:
		state = TaskRunning
	}
	return id, state
}

// Brought reports whether the answer has something of what the task makes, or tells its usage.
func (t *Tap) Brought() bool { return t.facts.choices > 0 || t.facts.images > 0 || t.Reported() }

// isGoingOn reports whether a status is that of a response to which more is to come, whatever is there of it already.
func isGoingOn(status string) bool {
	return slices.Contains([]string{"queued", "in_progress"}, strings.ToLower(status))
}

// isDone reports whether a status is that of a task from which nothing more is to come. What was broken
// off has been worked on, and is billed by what there is of it.
func isDone(status string) bool {
	return slices.Contains([]string{"success", "completed", "incomplete", "cancelled", "canceled"}, strings.ToLower(status))
}

// BringsTask reports whether the answer names a task, whose end is asked for later: see Tap.Task.
func (r *Request) BringsTask() bool { return r.Endpoint.bringsTask || r.background }

// ForeignTask stands for a request that was made elsewhere: of its end nothing is billed.
func ForeignTask() *Request { return &Request{Endpoint: FindEndpoint("/videos/generations")} }

// Terms are what is kept of a request whose end is told later.
type Terms struct {
	Path       string     `json:"p"`
	Model      string     `json:"m"`
	Attributes Attributes `json:"a,omitempty"`
	Tools      []ToolUse  `json:"t,omitempty"`
	Choices    int64      `json:"n"`
	Units      int64      `json:"u,omitempty"`
	// Input is the estimate of it, Output the client's limit; 0: it set none.
	Input  int64 `json:"i,omitempty"`
	Output int64 `json:"o,omitempty"`
	// Search tells how a search of the request shows.
	Search string `json:"s,omitempty"`
}

// How a search shows, as Terms have it.
const (
	searchCited  = "c"
	searchAlways = "a"
	searchHidden = "h"
)

// Terms are those of the request. They say nothing of its text.
func (r *Request) Terms() Terms {
	t := Terms{
		Path: r.Endpoint.Path, Model: r.Model, Attributes: r.Attributes, Tools: r.Tools, Choices: r.Choices, Units: r.units,
		Input: r.estimateInput(),
	}
	if r.OutputLimited {
		t.Output = r.Ceiling.TotalOutput()
	}
	for flag, on := range map[string]bool{searchCited: r.citesSearch, searchAlways: r.searches, searchHidden: r.hidesSearch} {
		if on {
			t.Search += flag
		}
	}
	return t
}

// Recall is the request that terms are of, as far as the answer's usage depends on it.
func (t *Terms) Recall() (*Request, error) {
	e := FindEndpoint(t.Path)
	if e == nil || !e.bringsTask && !e.keepsAnswers {
		return nil, fmt.Errorf("no endpoint %q brings tasks", t.Path)
	}
	r := &Request{
		Endpoint: e, Model: t.Model, Attributes: t.Attributes, Tools: t.Tools, Choices: t.Choices, units: t.Units,
		OutputLimited: t.Output > 0,
		citesSearch:   strings.Contains(t.Search, searchCited), searches: strings.Contains(t.Search, searchAlways),
		hidesSearch: strings.Contains(t.Search, searchHidden),
	}
	r.Ceiling[Input], r.Ceiling[Output] = t.Input, t.Output
	if r.OutputLimited {
		r.outputs = t.Choices
	}
	r.estimate.Store(t.Input + 1)
	return r, nil
}
