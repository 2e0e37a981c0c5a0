package e2e

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// What a submission brings in place of a task that goes on: what has failed, or broke off, costs nothing; what is there at once,
// or can never be asked for, is booked before it goes out; a task that the account has already is not paid for twice.
func TestSubmissionThatBringsNoTask(t *testing.T) {
	const done = `{"id":"t1","task_status":"SUCCESS","video_result":[{"url":"https://videos.invalid/1.mp4"}]}`
	for name, c := range map[string]struct {
		answer  string
		length  string // of what is announced, if it is more than comes
		status  int
		cost    string
		outcome string
	}{
		"it has failed":           {`{"id":"t1","task_status":"FAIL"}`, "", 200, "0", "task_failed"},
		"it is there":             {done, "", 200, "1", "charged"},
		"it has no id":            {`{"task_status":"PROCESSING"}`, "", 200, "1", "charged"},
		"no id that one can name": {`{"id":"t 1","task_status":"PROCESSING"}`, "", 200, "1", "charged"},
		"it breaks off":           {done[:30], "200", 502, "0", "upstream_unavailable"},
		"it is too long":          {done[:len(done)-1] + `,"more":"` + strings.Repeat("x", 300_000) + `"}`, "", 502, "0", "upstream_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := tasksMadeBy(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.length != "" {
					w.Header().Set("Content-Length", c.length)
				}
				_, _ = io.WriteString(w, c.answer)
			}, nil, func(s *settings) { s.policy = "max_kept_answer: 64KiB" })
			r := p.post(videoPath, key, video(""))
			r.requireStatus(t, c.status)
			requireHeaders(t, r.header, "x-tollgate-cost", c.cost)
			if c.status == 200 {
				equal(t, "body", r.body, c.answer)
			}
			equal(t, c.outcome, p.metric(`tollgate_requests_total{endpoint="videos",outcome="`+c.outcome+`"}`), 1)
			if c.cost == "0" {
				w.requireNoCharge("acme")
				return
			}
			equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), c.cost)
		})
	}
}

// An upstream may give one task to two submissions: it is held for, and paid for, once.
func TestTaskThatIsSubmittedTwice(t *testing.T) {
	var asked atomic.Int64
	w, p, key := tasksBehind(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"t1","task_status":"SUCCESS","video_result":[{"url":"https://videos.invalid/1.mp4"}]}`)
	})
	id, first := p.submit(videoPath, key, video(""))
	again := p.post(videoPath, key, video(""))
	again.requireStatus(t, 200)
	equal(t, "task", again.get("id").String(), id)
	requireHeaders(t, again.header, "x-tollgate-cost", "0", "x-tollgate-balance-recharge", "9")
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "1")
	equal(t, "known", p.metric(`tollgate_requests_total{endpoint="videos",outcome="task_known"}`), 1)
	equal(t, "charges that nothing could take", p.metric("tollgate_unbooked_total"), 0)
	requireHeaders(t, p.get(pollPath+id, key).header, "x-tollgate-cost", "1")
	equal(t, "of the first", w.onlyCharge("acme").Get("request_id").String(), first)
	equal(t, "asked", asked.Load(), 1)
}

// A task whose hold cannot be made its own, as Redis is away and the settlement log is gone, is not told of: nobody could
// ask for it, and it would be had for nothing.
func TestSubmissionThatCannotBePutDown(t *testing.T) {
	lose := func() {}
	w, p, key := tasksMadeBy(t, func(w http.ResponseWriter, _ *http.Request) {
		lose()
		_, _ = io.WriteString(w, `{"id":"t1","task_status":"PROCESSING"}`)
	}, nil, synced)
	lose = sync.OnceFunc(func() { w.loseBooks(p) })
	r := p.post(videoPath, key, video(""))
	r.requireStatus(t, 503)
	equal(t, "code", r.get("error.code").String(), "metering_unavailable")
	equal(t, "cost of what is withheld", r.header.Get("x-tollgate-cost"), "")
	equal(t, "charges that nothing could take", p.metric("tollgate_unbooked_total"), 1)
	w.redis.Start()
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "1")
}
