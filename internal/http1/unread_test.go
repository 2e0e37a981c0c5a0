package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A client that has sent something which is not read, and takes its time, gets its answer whole: closing would reset the
// connection, and take what is still on its way along. It may have sent its next request, since it cannot know yet that the
// connection ends with this answer, as at a shutdown.
func TestAnAnswerIsNotLostWithWhatIsUnread(t *testing.T) {
	text := pattern(1 << 20)
	for what, request := range map[string]string{
		"the next request": get("/1", "") + get("/2", "X-A: "+strings.Repeat("a", testHead)+"\r\n"),
		"a body":           postLength("", long),
	} {
		s, address := start(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			_, _ = io.WriteString(w, text)
		})
		c := dial(t, address)
		c.send(request)
		until(t, "the connection's end", func() bool { return s.connections() == 0 })
		if response, body := c.answer(); !response.Close || body != text {
			t.Errorf("%s: got %d bytes, close %v", what, len(body), response.Close)
		}
		c.wantClosed()
	}
}
