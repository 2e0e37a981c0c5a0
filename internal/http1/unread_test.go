package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A client that has sent its next request, and cannot know yet that its connection ends with this answer, as when the
// server shuts down, gets this answer whole: closing with something unread would reset the connection, and take it along.
func TestAnAnswerIsNotLostWithTheNextRequest(t *testing.T) {
	text := pattern(1 << 20)
	s, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_, _ = io.WriteString(w, text)
	})
	c := dial(t, address)
	c.send(get("/1", "") + get("/2", "X-A: "+strings.Repeat("a", testHead)+"\r\n"))
	until(t, "the connection's end", func() bool { return s.connections() == 0 })
	if response, body := c.answer(); !response.Close || body != text {
		t.Errorf("got %d bytes, close %v", len(body), response.Close)
	}
	c.wantClosed()
}
