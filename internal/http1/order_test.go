package http1

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Headers are sent in the order of their names, whichever an answer has, and those before it had.
func TestHeadersAreInOrder(t *testing.T) {
	answers := [][]string{{"B", "A", "D", "C"}, {"A", "B", "C", "D"}, {"E", "B", "A", "C"}, {"C"}, {"D", "C", "B", "A"}, {"A", "C", "D"}}
	next := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range answers[next] {
			w.Header().Set(name, "x")
		}
		w.Header().Set("Content-Length", "0")
		next++
	})
	socket := newScript([]byte(strings.Repeat(probe, len(answers))), 0)
	newConn(&Server{Handler: handler, MaxHead: testHead, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon}, socket).serve()
	sent := strings.Split(socket.out.String(), "HTTP/1.1 200 OK\r\n")[1:]
	if len(sent) != len(answers) {
		t.Fatalf("%d answers, want %d", len(sent), len(answers))
	}
	for i, names := range answers {
		slices.Sort(names)
		want := strings.Join(names, ": x\r\n") + ": x\r\nContent-Length: 0\r\n\r\n"
		if _, got, _ := strings.Cut(sent[i], "GMT\r\n"); got != want {
			t.Errorf("answer %d: %q, want %q", i, got, want)
		}
	}
}
