package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// tasksBehind is acme with an upstream that makes the task t1 of whatever it is asked, and answers questions for it by poll.
func tasksBehind(t *testing.T, poll http.HandlerFunc, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	return tasksMadeBy(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"t1","task_status":"PROCESSING"}`)
	}, poll, change...)
}

// tasksMadeBy is tasksBehind with an upstream that answers what it is asked by submit.
func tasksMadeBy(t *testing.T, submit, poll http.HandlerFunc, change ...func(*settings)) (w *world, p *process, key string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			poll(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		submit(w, r)
	}))
	t.Cleanup(server.Close)
	w = newWorld(t, append([]func(*settings){func(s *settings) { s.prices = taskPrices }}, change...)...)
	w.made.upstreams = fmt.Sprintf("  - {name: odd, kind: bigmodel, base_url: %q, models: [\"*\"]}\n", server.URL)
	w.writeConfig()
	w.account("acme", "10")
	key, _ = w.key("acme")
	p = w.serve()
	return w, p, key
}

// An answer that does not tell how far the task is may be its end, which goes out when it is booked: it is not passed on. Nor
// does a client get a part of an answer that it would understand alone.
func TestPollThatTellsNothing(t *testing.T) {
	const end = `{"id":"t1","task_status":"SUCCESS","video_result":[{"url":"https://videos.invalid/1.mp4"}]}`
	contentType, status, body := "", 0, ""
	w, p, key := tasksBehind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			t.Errorf("asked upstream with ?%s", r.URL.RawQuery)
		}
		w.Header().Set("Content-Type", contentType)
		if status == http.StatusSwitchingProtocols {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "x")
			w.WriteHeader(status)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader([]byte(body)))
	})
	id, _ := p.submit(videoPath, key, video(""))
	for _, c := range []struct {
		contentType string
		status      int
		body        string
	}{
		{"application/xml", 200, `<task><task_status>SUCCESS</task_status><video_result><url>https://videos.invalid/1.mp4</url></video_result></task>`},
		{"audio/json", 200, end},
		{"application/json", 200, `["https://videos.invalid/1.mp4"]`},
		{"application/json", 200, `{"data":` + end + `}`},
		{"application/json", 200, ``},
		{"application/json", 101, ``},
	} {
		contentType, status, body = c.contentType, c.status, c.body
		refusal{status: 502, code: "upstream_unavailable"}.require(t, p.get(pollPath+id, key))
	}
	equal(t, "charged", len(w.entries("acme", "charge")), 0)
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "1")
	contentType, status, body = "application/json", 200, `{"error":{"code":"1214","message":"busy"}}`
	p.get(pollPath+id, key).requireStatus(t, 200)
	equal(t, "charged", len(w.entries("acme", "charge")), 0)
	body = end
	r := p.send(http.MethodGet, pollPath+id+"?id=t2", key, "", "Range", "bytes=-60", "If-Range", `"x"`)
	r.requireStatus(t, 200)
	equal(t, "whole", r.body, end)
	w.onlyCharge("acme")
}

// NO-LOST: a task's end that cannot be booked, as Redis is away and the settlement log is gone, is not told. When it can be, it is.
func TestEndOfATaskThatCannotBeBooked(t *testing.T) {
	const end = `{"id":"t1","task_status":"SUCCESS","video_result":[{"url":"https://videos.invalid/1.mp4"}]}`
	meanwhile := func() {}
	w, p, key := tasksBehind(t, func(w http.ResponseWriter, _ *http.Request) {
		meanwhile()
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, end)
	}, synced)
	id, request := p.submit(videoPath, key, video(""))
	meanwhile = sync.OnceFunc(func() { w.loseBooks(p) })
	r := p.get(pollPath+id, key)
	r.requireStatus(t, 503)
	equal(t, "code", r.get("error.code").String(), "metering_unavailable")
	equal(t, "cost of what is withheld", r.header.Get("x-tollgate-cost"), "")
	equal(t, "charges that nothing could take", p.metric("tollgate_unbooked_total"), 1)
	w.redis.Start()
	p.kill() // its log is gone: it admits nothing any more
	r = w.serve().get(pollPath+id, key)
	r.requireStatus(t, 200)
	equal(t, "told", r.body, end)
	equal(t, "charge", w.onlyCharge("acme").Get("request_id").String(), request)
	w.requireSettled("acme")
}

// loseBooks takes the proxy's settlement log away, and Redis.
func (w *world) loseBooks(p *process) {
	if err := os.RemoveAll(filepath.Join(p.cmd.Dir, "data", "settlements")); err != nil {
		w.t.Error(err)
	}
	w.redis.Stop()
}

// What was made elsewhere costs nothing, and is told whole or not at all. An upstream that is silent is not waited for.
func TestForeignTaskIsToldWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		sent string
		want refusal
	}{
		"broken off":           {`{"id":"t9","task_status":"SUCCESS"}`, refusal{status: 502, code: "upstream_unavailable"}},
		"silent in the middle": {`{"id":"t9",`, refusal{status: 504, code: "upstream_timeout"}},
		"silent":               {"", refusal{status: 504, code: "upstream_timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", "1000")
				if tt.sent != "" {
					_, _ = io.WriteString(w, tt.sent)
					_ = http.NewResponseController(w).Flush()
				}
				if tt.want.status == 504 {
					<-over
				}
			}))
			t.Cleanup(server.Close)
			defer close(over)
			w := newWorld(t, func(s *settings) { s.prices = taskPrices })
			w.withUpstreams(fmt.Sprintf("  - {name: odd, kind: bigmodel, base_url: %q, models: [\"*\"], shared_objects: true, timeout: 500ms}\n", server.URL))
			w.account("acme", "10")
			key, _ := w.key("acme")
			tt.want.require(t, w.serve().get(pollPath+"t9", key))
			w.requireNoCharge("acme")
		})
	}
}

// A task that brought less than it was asked for costs what it brought.
func TestTaskThatBringsLess(t *testing.T) {
	w, p, key := tasksBehind(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":"t1","task_status":"SUCCESS","image_result":[{"url":"https://images.invalid/1.png"}]}`)
	})
	id, _ := p.submit("/v1/async/images/generations", key, `{"model":"cogview-4","prompt":"A cat.","n":3}`)
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "0.18")
	for _, method := range []string{http.MethodHead, http.MethodGet} { // the end is told by its head alone, too
		r := p.send(method, pollPath+id, key, "")
		r.requireStatus(t, 200)
		requireHeaders(t, r.header, "x-tollgate-cost", "0.06", "x-tollgate-usage-total", "1")
	}
	w.onlyCharge("acme")
	w.requireSettled("acme")
}
