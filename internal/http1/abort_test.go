package http1

import (
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
)

// An answer that ends with its connection looks whole when that is closed: what
// is aborted must be told apart, or a client takes the part for the whole.
func TestAnAbortedAnswerDoesNotLookWhole(t *testing.T) {
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		flush(w)
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
	})
	for _, path := range []string{"/whole", "/abort"} {
		for _, protocol := range []string{"HTTP/1.0", "HTTP/1.1"} {
			c := dial(t, address)
			c.send("GET " + path + " " + protocol + "\r\nHost: x\r\nConnection: close\r\n\r\n")
			response, err := http.ReadResponse(c.in, nil)
			if err == nil {
				_, err = io.ReadAll(response.Body)
			}
			if looksWhole := err == nil; looksWhole != (path == "/whole") {
				t.Errorf("%s over %s: %v", path, protocol, err)
			}
			if path == "/abort" && protocol == "HTTP/1.0" && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v", err)
			}
		}
	}
}
