package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// policy sets the policy section.
func policy(yaml string) func(*settings) { return func(s *settings) { s.policy = yaml } }

// leaving is a client on its way out.
type leaving struct {
	response *http.Response
	leave    func()
}

// begin sends a request whose client can leave. It returns when the head of the
// answer has come, or ready says so, whichever is asked for.
func begin(t *testing.T, p *process, key, body string, ready func() bool) *leaving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &leaving{}
	ended := make(chan error, 1)
	go func() {
		response, err := p.call(ctx, http.MethodPost, chatPath, key, body)
		l.response = response
		ended <- err
	}()
	l.leave = func() {
		cancel()
		if ready != nil {
			<-ended //nolint:errcheck // it says that the client left
		}
		if l.response != nil {
			l.response.Body.Close()
		}
	}
	t.Cleanup(cancel)
	if ready == nil {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		return l
	}
	eventually(t, "the request is where it is left", ready)
	return l
}

// The client leaves while the upstream thinks: it is drained, and what it used is charged.
func TestLeaveBeforeTheFirstByteDrained(t *testing.T) {
	for _, mode := range []string{"JSON", "stream"} {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t)
			w.account("acme", "10")
			key, _ := w.key("acme")
			p := w.serve()
			open := w.up.hold()
			body := chat("gpt-4o", "usage=100,50")
			if mode == "stream" {
				body = chat("gpt-4o", "usage=100,50", streamed)
			}
			begin(t, p, key, body, func() bool { return w.up.waiting.Load() == 1 }).leave()
			open()
			charge := w.onlyCharge("acme")
			equal(t, "fee", charge.Get("fee").String(), "0.0025")
			equal(t, "source", charge.Get("usage_source").String(), "upstream")
			equal(t, "answers the upstream could finish", w.up.Stats().Completed, 1)
		})
	}
}

// The client leaves in the middle of a stream: drained, charged as the upstream says.
func TestLeaveMidStreamDrained(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	reached, release := w.up.stallBefore(10)
	client := begin(t, p, key, chat("gpt-4o", "usage=100,50;chunks=20", streamed), nil)
	readSome(t, client.response.Body)
	<-reached
	client.leave()
	release()
	charge := w.onlyCharge("acme")
	equal(t, "fee", charge.Get("fee").String(), "0.0025")
	equal(t, "source", charge.Get("usage_source").String(), "upstream")
	equal(t, "answers the upstream could finish", w.up.Stats().Completed, 1)
}

// readSome reads the first bytes of an answer.
func readSome(t *testing.T, from io.Reader) {
	t.Helper()
	if _, err := io.ReadFull(from, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
}

// The client leaves while a large JSON answer is on its way: from the upstream, or to it.
func TestLeaveDuringALargeAnswer(t *testing.T) {
	t.Run("while it is read", func(t *testing.T) {
		w := newWorld(t)
		w.account("acme", "10")
		key, _ := w.key("acme")
		p := w.serve()
		reached, release := w.up.stallBefore(25)
		arrived := func() bool {
			select {
			case <-reached:
				return true
			default:
				return false
			}
		}
		begin(t, p, key, chat("gpt-4o", "usage=100,50;bytes=5000000;chunks=50"), arrived).leave()
		release()
		equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
	})
	t.Run("while it is delivered", func(t *testing.T) {
		w := newWorld(t)
		w.account("acme", "10")
		key, _ := w.key("acme")
		p := w.serve()
		client := begin(t, p, key, chat("gpt-4o", "usage=100,50;bytes=20000000;chunks=50"), nil)
		readSome(t, client.response.Body)
		client.leave()
		equal(t, "fee", w.onlyCharge("acme").Get("fee").String(), "0.0025")
	})
}

// By the cancel policy the upstream is cut at once, and what was delivered is charged.
func TestLeaveMidStreamCancelled(t *testing.T) {
	w := newWorld(t, policy("on_disconnect: cancel"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	reached, release := w.up.stallBefore(20)
	defer release()
	client := begin(t, p, key, chat("gpt-4o", "bytes=4000;chunks=40", streamed), nil)
	<-reached
	readSome(t, client.response.Body)
	client.leave()
	charge := w.onlyCharge("acme")
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	if output := charge.Get("usage.output").Int(); output <= 0 || output > 1000 {
		t.Errorf("%d tokens of output charged for half of a reply of 1000", output)
	}
	if input := charge.Get("usage.input").Int(); input <= 0 || input > 100 {
		t.Errorf("%d tokens of input charged for a prompt of a few words", input)
	}
	eventually(t, "the upstream notices that it was cut", func() bool { return w.up.Stats().AbortedByClient == 1 })
}

// By the cancel policy a client that leaves before the first byte still pays for its prompt.
func TestLeaveBeforeTheFirstByteCancelled(t *testing.T) {
	w := newWorld(t, policy("on_disconnect: cancel"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	begin(t, p, key, chat("gpt-4o", "hang"), func() bool { return w.up.Stats().InFlight == 1 }).leave()
	charge := w.onlyCharge("acme")
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	if charge.Get("usage.input").Int() <= 0 || charge.Get("usage.output").Int() != 0 {
		t.Errorf("usage %s, want the prompt alone", charge.Get("usage").Raw)
	}
	equal(t, "aborted upstream", w.up.Stats().AbortedByClient, 1)
}

// The drain is bounded: an upstream that does not end is cut, and what came is charged.
func TestDrainIsBounded(t *testing.T) {
	w := newWorld(t, policy("drain: 500ms"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	client := begin(t, p, key, chat("gpt-4o", "bytes=4000;chunks=40;hang=mid", streamed), nil)
	readSome(t, client.response.Body)
	client.leave()
	charge := w.onlyCharge("acme")
	equal(t, "source", charge.Get("usage_source").String(), "estimated")
	if output := charge.Get("usage.output").Int(); output <= 0 || output > 1000 {
		t.Errorf("%d tokens of output charged for half of a reply of 1000", output)
	}
	eventually(t, "the upstream notices that it was cut", func() bool { return w.up.Stats().AbortedByClient == 1 })
}

// A client that leaves before its request is whole never costs anything.
func TestLeaveWithinTheRequest(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	body, half := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+chatPath, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	go func() {
		_, _ = io.Copy(half, strings.NewReader(chat("gpt-4o", "usage=1,1")[:40]))
		half.CloseWithError(io.ErrUnexpectedEOF)
	}()
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		response.Body.Close()
	}
	w.requireNoCharge("acme")
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
}
