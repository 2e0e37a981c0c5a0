package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// P4: by way of an egress proxy, too, a call that is cut before its upstream has
// got it was not sent, and is not charged; one that the upstream has got was.
func TestEgressKnowsWhatWasSent(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing of TLS
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	reached := make(chan struct{})
	working := serveUpstream(t, false, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(reached)
		<-r.Context().Done()
	})
	soon := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { close(soon) })
	for _, c := range []struct {
		name, url string
		when      <-chan struct{}
		sent      bool
	}{
		{"no connection", "https://" + mute.Addr().String(), soon, false},
		{"at work", working.URL, reached, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			var cut cut
			go func() {
				<-c.when
				cut.now(errClientLeft)
			}()
			_, err = newTransport().sendProxied(r, []byte(strings.Repeat("x", 100)), &cut)
			if !errors.Is(err, errClientLeft) || wasSent(err) != c.sent || fault(err) != err.Error() {
				t.Errorf("sent %v, want %v: %v, told as %q", wasSent(err), c.sent, err, fault(err))
			}
		})
	}
}

// The log never tells an answer, nor what an upstream sends in place of one.
func TestEgressQuotesNoAnswer(t *testing.T) {
	for _, answer := range []string{"treasure\r\n\r\n", "HTTP/1.1 treasure\r\n\r\n", "HTTP/1.1 200 OK\r\ntreasure\r\n\r\n"} {
		address := scripted(t, nil, func(conn net.Conn) {
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(conn, answer)
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newTransport().sendProxied(r, []byte("x"), new(cut))
		if err == nil || fault(err) != "its answer is not HTTP" {
			t.Errorf("%q: %v", answer, err)
		}
	}
}
