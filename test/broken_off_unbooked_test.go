package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// P3: an upstream's error that reports usage stays back, too, where nothing can book that.
func TestErrorWithUsageAndUnbooked(t *testing.T) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	w, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-goOn
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"filtered"},"usage":{"prompt_tokens":100,"completion_tokens":50}}`)
	})
	answer := make(chan reply, 1)
	go func() { answer <- p.send("POST", chatPath, key, chat("gpt-4o", "x")) }()
	<-reached
	w.takeBooksFrom(p)
	close(goOn)
	r := <-answer
	r.requireStatus(t, http.StatusServiceUnavailable)
	equal(t, "code", r.get("error.code").String(), "metering_unavailable")
	equal(t, "cost", r.header.Get("x-tollgate-cost"), "")
	equal(t, "unbooked", p.metric("tollgate_unbooked_total"), 1)
	w.redis.Start()
}

// P3: what is withheld of a stream that its upstream broke off stays back where nothing can book what was delivered, and
// the metric counts it.
func TestBrokenOffAndUnbooked(t *testing.T) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	w, p, key := behind(t, streams(func(r *http.Request) {
		close(reached)
		<-goOn
		breakOff(r)
	}, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n", "data: {\"error\":{\"message\":\"overloaded\"}}\n\n"))
	answer := make(chan reply, 1)
	go func() { answer <- p.send("POST", chatPath, key, chat("gpt-4o", "x", streamed)) }()
	<-reached
	w.takeBooksFrom(p)
	close(goOn)
	r := <-answer
	if !strings.Contains(r.body, "Hello") || strings.Contains(r.body, "overloaded") || r.err == nil {
		t.Errorf("ended with %v, body %s", r.err, r.body)
	}
	if line := p.logLine(r.header.Get("x-request-id")); !strings.Contains(line, `"level":"warn"`) {
		t.Errorf("tollgate_unbooked_total wakes somebody, and the line of its request is no warning: %s", line)
	}
	equal(t, "unbooked", p.metric("tollgate_unbooked_total"), 1)
	w.redis.Start()
}

// takeBooksFrom leaves a process neither Redis nor its settlement log.
func (w *world) takeBooksFrom(p *process) {
	w.t.Helper()
	if err := os.RemoveAll(filepath.Join(p.cmd.Dir, "data", "settlements")); err != nil {
		w.t.Fatal(err)
	}
	w.redis.Stop()
}
