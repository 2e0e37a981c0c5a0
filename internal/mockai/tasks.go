package mockai

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/tidwall/gjson"
)

// pollRoute is where tasks are asked for, by their ids.
const pollRoute = "async-result"

// A task is told to be at work as often as its directive said, and then how it has ended.
type task struct {
	working atomic.Int64
	head    string // of every answer about it
	end     string // its status, and what it has brought
}

// tell is what is said of a task now.
func (t *task) tell() string {
	if t.working.Add(-1) >= 0 {
		return t.head + `,"task_status":"PROCESSING"}`
	}
	return t.head + t.end + "}"
}

func readVideo(r *request, _ string, body []byte) *problem {
	r.family, r.bigModel = familyVideos, true
	return r.readFields(body, func(name string, value gjson.Result) {
		if name == "prompt" {
			r.text = value.Str
		}
	})
}

func readAsyncChat(r *request, contentType string, body []byte) *problem {
	p := readChat(r, contentType, body)
	r.bigModel = true
	return p
}

func readAsyncImages(r *request, contentType string, body []byte) *problem {
	p := readImages(r, contentType, body)
	r.bigModel = true
	return p
}

// submit makes a task of a request, and answers with its id.
func (a *answer) submit() {
	id := a.id() + "-" + strconv.FormatInt(a.server.options.Now().UnixMilli(), 10)
	head := append([]byte(nil), `{"id":`...)
	head = appendJSON(head, id)
	head = append(head, `,"request_id":`...)
	head = appendJSON(head, a.id())
	head = append(head, `,"model":`...)
	head = appendJSON(head, a.request.model)
	made := &task{head: string(head), end: `,"task_status":"FAIL"`}
	made.working.Store(max(a.plan.polls, 0))
	if a.plan.task != "fail" {
		made.end = `,"task_status":"SUCCESS"` + a.brought()
	}
	a.server.tasks.put(id, made)
	a.json(append(head, `,"task_status":"PROCESSING"}`...))
}

// brought is the result of a task, as members of an object.
func (a *answer) brought() string {
	if a.request.family == familyVideos {
		url := "https://videos.mock.invalid/" + strconv.FormatInt(a.number, 10)
		return `,"video_result":[{"url":"` + url + `.mp4","cover_image_url":"` + url + `.png"}]`
	}
	if a.request.family == familyImages {
		dst := []byte(`,"image_result":[`)
		for i := range a.request.reply.images {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = a.image(dst, i)
		}
		return string(append(dst, ']'))
	}
	return string(a.chatMembers(nil))
}

// poll answers how a task is.
func (a *answer) poll() {
	a.request.bigModel = true
	if a.http.Method != http.MethodGet {
		a.refuse(errMethod(a.http.Method))
		return
	}
	if err := a.plan.apply(a.server.fault.take()); err != nil {
		a.refuse(errBadDirective(err))
		return
	}
	if !a.stumble() {
		return
	}
	made, known := a.server.tasks.get(strings.TrimPrefix(a.path, pollRoute+"/"))
	if !known {
		a.refuse(errNoTask)
		return
	}
	a.request.used.absent = true
	a.json([]byte(made.tell()))
}
