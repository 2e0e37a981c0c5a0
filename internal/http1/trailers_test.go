package http1

import (
	"net/http"
	"strings"
	"testing"
)

// A client's parser hides some of what must not be sent: this is what is sent.
func TestTrailersThatMayNotBe(t *testing.T) {
	socket := newScript([]byte(get("/", "")), 0)
	s := &Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		names := []string{"Trailer", "Content-Length", "transfer-encoding", "Connection", "X Y", "", "X-Last"}
		w.Header().Set("Trailer", strings.Join(names, ", "))
		flush(w)
		for _, name := range names {
			w.Header().Set(name, "1")
		}
		w.Header().Set("X-Unannounced", "1")
	})}
	newConn(s, socket).serve()
	if _, end, _ := strings.Cut(socket.out.String(), "\r\n\r\n"); end != "0\r\nX-Last: 1\r\n\r\n" {
		t.Errorf("sent %q", end)
	}
}
