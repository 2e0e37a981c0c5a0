package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// oddStreams are directives for streams as upstreams really send them.
var oddStreams = []string{
	"chunks=20",
	"chunks=20;crlf",
	"chunks=20;comments",
	"chunks=20;crlf;comments;no-space",
	"chunks=20;no-done",
	"chunks=20;no-blank",
	"chunks=20;no-done;no-blank",
	"chunks=1;bytes=1000000",
	"chunks=20;preamble",
	"chunks=20;cumulative",
	"chunks=20;finish=content_filter",
	"chunks=20;tool-call=search",
	"chunks=20;error-event",
	"chunks=500",
}

// P7: the bytes of a stream are the upstream's own.
func TestStreamBytesAreTheUpstreams(t *testing.T) {
	w, p, key := acme(t)
	for _, model := range []string{"gpt-4o", "glm-4.6"} {
		for _, directive := range oddStreams {
			r := p.send("POST", chatPath, key, chat(model, "usage=100,50;"+directive, streamed, askedUsage))
			equal(t, directive+": error", r.err, nil)
			if sent := string(w.up.lastSent()); r.body != sent {
				t.Errorf("%s %s: the client got\n%s\nthe upstream sent\n%s", model, directive, tail(r.body), tail(sent))
			}
		}
	}
	w.requireSettled("acme")
}

// A client that did not ask for usage gets the same bytes without the chunk that has nothing else.
func TestUsageOnlyChunkIsTakenOut(t *testing.T) {
	w, p, key := acme(t)
	for _, directive := range oddStreams {
		r := p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;"+directive, streamed))
		sent := string(w.up.lastSent())
		equal(t, directive+": error", r.err, nil)
		if !gjson.GetBytes(w.up.Requests()[len(w.up.Requests())-1].Body, "stream_options.include_usage").Bool() {
			t.Fatalf("%s: the upstream was not asked for usage", directive)
		}
		want := withoutUsageChunk(sent)
		if strings.Contains(directive, "error-event") {
			want = sent // it broke off before usage came
		} else if want == sent {
			t.Fatalf("%s: the upstream sent no usage chunk: %s", directive, tail(sent))
		}
		if r.body != want {
			t.Errorf("%s: the client got\n%s\nwant\n%s", directive, tail(r.body), tail(want))
		}
		if strings.Contains(directive, "error-event") {
			continue
		}
		equal(t, directive+": cost", r.trailer.Get("x-tollgate-cost"), "0.0025")
	}
	w.requireSettled("acme")
}

// withoutUsageChunk takes the frame with usage and empty choices out of a stream.
func withoutUsageChunk(stream string) string {
	var kept strings.Builder
	skipBlank := false
	for line := range strings.Lines(stream) {
		data := strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "data:")
		choices := gjson.Get(data, "choices")
		switch {
		case choices.IsArray() && len(choices.Array()) == 0 && gjson.Get(data, "usage").IsObject():
			skipBlank = true
			continue
		case skipBlank && data == "":
			skipBlank = false
			continue
		}
		kept.WriteString(line)
	}
	return kept.String()
}

// BigModel's last chunk has choices beside its usage: it always goes through.
func TestUsageBesideChoicesStays(t *testing.T) {
	w, p, key := acme(t)
	r := p.post(chatPath, key, chat("glm-4.6", "usage=100,50;chunks=5", streamed))
	equal(t, "body", r.body, string(w.up.lastSent()))
	equal(t, "cost", r.trailer.Get("x-tollgate-cost"), "0.0006")
}

// Bytes go out as they come: a client has the first words while the upstream still speaks.
func TestStreamIsNotHeldBack(t *testing.T) {
	w, p, key := acme(t)
	reached, release := w.up.stallBefore(10)
	defer release()
	response, err := p.call(context.Background(), http.MethodPost, chatPath, key, chat("gpt-4o", "chunks=20", streamed))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	<-reached
	lines := bufio.NewReader(response.Body)
	for range 9 { // the frames before the one that stalls, but for one that may be looked at
		readFrame(t, lines)
	}
}

func readFrame(t *testing.T, from *bufio.Reader) {
	t.Helper()
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\n" {
			return
		}
	}
}

// P3: the end of a stream is not delivered before its charge is booked.
func TestEndIsWithheldUntilBooked(t *testing.T) {
	for _, model := range []string{"gpt-4o", "glm-4.6"} {
		t.Run(model, func(t *testing.T) {
			w, p, key := acme(t)
			early := []string{"[DONE]"}
			if model == "glm-4.6" {
				early = append(early, `"finish_reason":"stop"`)
			}
			requireEndWithheld(t, w, p, key, stalled{
				before: 3, path: chatPath, body: chat(model, "usage=100,50;chunks=5", streamed), end: "[DONE]", early: early,
			})
		})
	}
}

// stalled is a stream whose upstream stalls before a chunk of it, until Redis books nothing.
type stalled struct {
	before     int // which chunk
	path, body string
	// here is there when all but the end has come, "" if nothing tells; end when all has, and none of early before that.
	here, end string
	early     []string
}

// requireEndWithheld demands that the end of a stream comes when Redis books again, and is booked once. It returns the charge.
func requireEndWithheld(t *testing.T, w *world, p *process, key string, s stalled) gjson.Result {
	t.Helper()
	reached, release := w.up.stallBefore(s.before)
	response, err := p.call(t.Context(), http.MethodPost, s.path, key, s.body)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := &growing{ended: make(chan struct{})}
	go got.read(response)
	<-reached
	if err := w.redis.Client().Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() { _ = w.redis.Client().Do(context.Background(), "CLIENT", "UNPAUSE").Err() })
	defer resume()
	release()
	eventually(t, "the upstream has sent all", func() bool { return w.up.Stats().Completed == 1 })
	eventually(t, "all but the end has come", func() bool { return strings.Contains(got.String(), s.here) })
	time.Sleep(300 * time.Millisecond) // time enough for an end that is not withheld
	for _, early := range s.early {
		if body := got.String(); strings.Contains(body, early) {
			t.Errorf("the end was delivered before it could be booked (%s):\n%s", early, body)
		}
	}
	resume()
	<-got.ended
	if !strings.Contains(got.String(), s.end) || got.err != nil {
		t.Errorf("the end never came: %v\n%s", got.err, got)
	}
	return w.onlyCharge("acme")
}

// growing is an answer while it comes in.
type growing struct {
	transcript
	err   error
	ended chan struct{}
}

func (g *growing) read(response *http.Response) {
	defer close(g.ended)
	buffer := make([]byte, 4096)
	for {
		n, err := response.Body.Read(buffer)
		g.add(string(buffer[:n]))
		if err != nil {
			if !errors.Is(err, io.EOF) {
				g.err = err
			}
			return
		}
	}
}

// A JSON answer is not delivered either before its charge is booked.
func TestJSONAnswerIsWithheldUntilBooked(t *testing.T) {
	w, p, key := acme(t)
	open := w.up.hold()
	done := make(chan reply, 1)
	go func() { done <- p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50")) }()
	eventually(t, "the request is upstream", func() bool { return w.up.waiting.Load() == 1 })
	if err := w.redis.Client().Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	open()
	select {
	case r := <-done:
		t.Errorf("delivered before it could be booked: %d %s", r.status, r.body)
	case <-time.After(300 * time.Millisecond):
	}
	if err := w.redis.Client().Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Fatal(err)
	}
	if !t.Failed() {
		(<-done).requireStatus(t, 200)
	}
	w.onlyCharge("acme")
}

// P7: JSON answers are the upstream's own bytes too, compressed or not, large or small.
func TestJSONBytesAreTheUpstreams(t *testing.T) {
	w, p, key := acme(t)
	for _, directive := range []string{"usage=100,50", "usage=100,50;bytes=12000000", "usage=100,50;float-usage;tool-call=f"} {
		for _, model := range []string{"gpt-4o", "glm-4.6"} {
			r := p.post(chatPath, key, chat(model, directive))
			if sent := string(w.up.lastSent()); r.body != sent {
				t.Errorf("%s %s: the client got %d bytes, the upstream sent %d", model, directive, len(r.body), len(sent))
			}
		}
	}
	w.requireSettled("acme")
}

// An upstream that compresses unasked is metered all the same.
func TestGzipUnasked(t *testing.T) {
	w, p, key := acme(t)
	for _, more := range []string{`"n":1`, streamed} {
		r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50;gzip", more))
		r.requireStatus(t, 200)
		if !strings.Contains(r.body, "Hell") {
			t.Errorf("%s: unreadable for a client that asked for nothing of the kind: %q", more, tail(r.body))
		}
	}
	w.requireSettled("acme")
	for _, charge := range w.entries("acme", "charge") {
		equal(t, "fee", charge.Get("fee").String(), "0.0025")
	}
}
