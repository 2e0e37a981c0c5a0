package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// adminStatus asks the admin listener; 0 when it does not answer.
func (p *process) adminStatus(path string) int {
	response, err := http.Get(p.admin + path)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// SIGTERM: not ready any more, what is in flight ends well and is booked, exit 0.
func TestGracefulShutdown(t *testing.T) {
	w, p, key := acme(t)
	equal(t, "readyz", p.adminStatus("/readyz"), 200)
	reached, release := w.up.stallBefore(5)
	stream := make(chan reply, 1)
	go func() { stream <- p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;chunks=10", streamed)) }()
	<-reached
	p.signal(syscall.SIGTERM)
	eventually(t, "readyz fails", func() bool { return p.adminStatus("/readyz") != 200 })
	if r := p.send("POST", chatPath, key, chat("gpt-4o", "usage=1,1")); r.status == 200 {
		t.Error("a new call was admitted during the shutdown")
	}
	release()
	r := <-stream
	if r.err != nil || !strings.Contains(r.body, "[DONE]") {
		t.Errorf("the stream in flight did not end well: %v\n%s", r.err, tail(r.body))
	}
	equal(t, "exit code", p.wait(), 0)
	equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
}

// A second signal cuts the drain short; what was delivered is charged, nothing stays held.
func TestSecondSignalCutsTheDrain(t *testing.T) {
	w, p, key := acme(t)
	_, release := w.up.stallBefore(5)
	defer release()
	stream := begin(t, p, key, chat("gpt-4o", "usage=100,50;chunks=10", streamed), nil)
	readSome(t, stream.response.Body)
	p.signal(syscall.SIGTERM)
	eventually(t, "readyz fails", func() bool { return p.adminStatus("/readyz") != 200 })
	p.signal(syscall.SIGTERM)
	p.wait()
	if rest, err := io.ReadAll(stream.response.Body); err == nil || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream was said to have ended: %v\n%s", err, rest)
	}
	w.requireSettled("acme")
	equal(t, "charges", len(w.entries("acme", "charge")), 1)
}

// A call that has no answer yet is cut, too: its client is told to send it again, and pays nothing.
func TestSecondSignalCutsACallThatWaits(t *testing.T) {
	w, p, key := acme(t)
	answer := make(chan reply, 1)
	go func() { answer <- p.send("POST", chatPath, key, chat("gpt-4o", "hang")) }()
	eventually(t, "the request is upstream", func() bool { return w.up.Stats().InFlight == 1 })
	p.cutShort()
	refusal{status: 503, code: "shutting_down", retry: true}.require(t, <-answer)
	w.requireNoCharge("acme")
}

// A client that takes nothing of its stream does not keep the process, or its own hold: wherever it called.
func TestSecondSignalWithAClientThatDoesNotRead(t *testing.T) {
	for name, at := range map[string]struct {
		listener func(*process) *process
		path     string
	}{
		"a client":                 {func(p *process) *process { return p }, chatPath},
		"the console's playground": {(*process).office, "/console" + chatPath},
	} {
		t.Run(name, func(t *testing.T) {
			w, p, key := acme(t)
			conn := at.listener(p).dial()
			body := chat("gpt-4o", "usage=100,50;bytes=40000000;chunks=400", streamed)
			say(t, conn, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
				at.path, key, len(body), body))
			eventually(t, "the upstream cannot go on", w.up.stuck())
			p.signal(syscall.SIGTERM)
			eventually(t, "readyz fails", func() bool { return p.adminStatus("/readyz") != 200 })
			p.signal(syscall.SIGTERM)
			equal(t, "exit code", p.wait(), 0)
			w.requireSettled("acme")
			equal(t, "charges", len(w.entries("acme", "charge")), 1)
		})
	}
}

// A client that sends its request byte by byte does not keep the process.
func TestShutdownWithABodyThatDoesNotEnd(t *testing.T) {
	w, p, key := acme(t)
	conn := p.dial()
	in := bufio.NewReader(conn)
	say(t, conn, "POST "+chatPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
	if begun, err := http.ReadResponse(in, nil); err != nil || begun.StatusCode != http.StatusContinue {
		t.Fatalf("it is not asked for its body: %v", err)
	}
	p.signal(syscall.SIGTERM)
	trickled := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			if _, err := io.WriteString(conn, " "); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		trickled <- n
	}()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(response.Body)
	equal(t, "code", gjson.GetBytes(answer, "error.code").String(), "shutting_down")
	equal(t, "exit code", p.wait(), 0)
	<-trickled
	w.requireNoCharge("acme")
}
