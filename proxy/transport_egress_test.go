package proxy

import (
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
			_, err = newTransport().sendProxied(r, []byte(strings.Repeat("x", 100)), &cut) //nolint:bodyclose // there is none
			if !errors.Is(err, errClientLeft) || wasSent(err) != c.sent {
				t.Errorf("sent %v, want %v: %v", wasSent(err), c.sent, err)
			}
		})
	}
}
