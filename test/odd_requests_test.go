package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A second Content-Encoding is one, too: what is encoded cannot be read, and what
// the upstream would decode is not what was read here.
func TestContentEncodingsAreAllLookedAt(t *testing.T) {
	var got http.Header
	_, p, key := behind(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.WriteHeader(400)
	})
	body := chat("gpt-4o", "x")
	conn := p.dial()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", chatPath, key, len(body), body)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got != nil {
		t.Errorf("it went upstream (%d) with Content-Encoding %q", r.StatusCode, got["Content-Encoding"])
	}
}

// x-request-id is on every answer to a request.
func TestOptionsStarHasAnID(t *testing.T) {
	_, p, _ := acme(t)
	conn := p.dial()
	say(t, conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("x-request-id") == "" || !strings.Contains(string(body), `"unknown_url"`) {
		t.Errorf("%s %v %q", r.Status, r.Header, body)
	}
}
