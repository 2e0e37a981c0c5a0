package http1

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// An answer that ends with its connection looks whole when that is closed: what
// is aborted must be told apart, or a client takes the part for the whole. Nor may a part
// be lost that has gone out, where its framing tells that it is none: a reset could do that.
func TestAnAbortedAnswerDoesNotLookWhole(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", r.URL.Query().Get("length"))
		}
		_, _ = io.WriteString(w, "part")
		flush(w)
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
	})
	for _, target := range []string{"/whole", "/whole?length=4", "/abort", "/abort?length=8"} {
		path, _, length := strings.Cut(target, "?")
		for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1"} {
			c := dial(t, address)
			c.send("GET " + target + " " + protocol + "\r\nHost: x\r\nConnection: close\r\n\r\n")
			response, err := http.ReadResponse(c.in, nil)
			if err == nil {
				_, err = io.ReadAll(response.Body)
			}
			if looksWhole := err == nil; looksWhole != (path == "/whole") {
				t.Errorf("%s over %s: %v", target, protocol, err)
			}
			if reset := path == "/abort" && protocol == "HTTP/1.0" && !length; errors.Is(err, syscall.ECONNRESET) != reset {
				t.Errorf("%s over %s: got %v, a reset: want %v", target, protocol, err, reset)
			}
		}
	}
}
