package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Which heads are taken for the last one, and which are left to net/http.
func TestKnownHead(t *testing.T) {
	const first = "POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n"
	for _, c := range []struct {
		name, first, second string
		known               bool
	}{
		{"the same", first, first, true},
		{"more follows", first, first + "hello", true},
		{"no body", probe, probe, true},
		{"another length", first, strings.Replace(first, "5", "1234567", 1), true},
		{"the longest length", first, strings.Replace(first, "5", "999999999999999999", 1), true},
		{"a length that may not fit", first, strings.Replace(first, "5", "1000000000000000000", 1), false},
		{"no bytes", first, strings.Replace(first, "5", "0", 1), true},
		{"bytes after none", strings.Replace(first, "5", "0", 1), first, true},
		{"a zero before the length", first, strings.Replace(first, "5", "05", 1), false},
		{"no length", first, strings.Replace(first, "5", "", 1), false},
		{"a minus", first, strings.Replace(first, "5", "-5", 1), false},
		{"two lengths in one", first, strings.Replace(first, "5", "5, 5", 1), false},
		{"a blank after the length", first, strings.Replace(first, "5", "5 ", 1), false},
		{"blanks around the last length", strings.Replace(first, " 5", "\t5 ", 1), strings.Replace(first, " 5", "\t7 ", 1), true},
		{"a zero before the last length", strings.Replace(first, "5", "05", 1), strings.Replace(first, "5", "05", 1), false},
		{"two lengths", strings.Replace(first, "Accept: */*", "content-length:5", 1), strings.Replace(first, "Accept: */*", "content-length:5", 1), false},
		{"a length in a folded line", strings.Replace(first, " 5", "\r\n 5", 1), strings.Replace(first, " 5", "\r\n 5", 1), false},
		{"chunks", strings.Replace(first, "Content-Length: 5", "Transfer-Encoding: chunked", 1), strings.Replace(first, "Content-Length: 5", "Transfer-Encoding: chunked", 1), false},
		{"another path", first, strings.Replace(first, "/v1", "/v2", 1), false},
		{"another header after the length", first, strings.Replace(first, "*/*", "a/b", 1), false},
		{"one header more", first, strings.Replace(first, "\r\n\r\n", "\r\nX: y\r\n\r\n", 1), false},
		{"one header less", first, strings.Replace(first, "Accept: */*\r\n", "", 1), false},
		{"not all of it", first, first[:len(first)-1], false},
		{"not all of the length", first, strings.TrimSuffix(first, "5\r\nAccept: */*\r\n\r\n"), false},
		{"another line end", first, strings.ReplaceAll(first, "\r\n", "\n"), false},
		{"nothing", first, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if known := checkKnown(t, []byte(c.first), []byte(c.second)); known != c.known {
				t.Errorf("known: %v, want %v", known, c.known)
			}
		})
	}
}

// FuzzKnownHead: what is made of a head that is known is what net/http reads in it.
func FuzzKnownHead(f *testing.F) {
	for _, c := range twinCases {
		f.Add([]byte(c.send), []byte(c.send))
		f.Add([]byte(c.send), []byte(strings.Replace(c.send, "Content-Length: ", "Content-Length: 1", 1)))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) { checkKnown(t, first, second) })
}

// checkKnown reports whether a head is known after another, and fails the test if it is not
// what net/http reads.
func checkKnown(t *testing.T, first, second []byte) (is bool) {
	var known knownHead
	r, rest := readTheirs(first)
	if r == nil {
		return false
	}
	known.remember(first[:len(first)-len(rest)], r)
	size, length, is := known.in(second)
	if !is {
		return false
	}
	want, rest := readTheirs(second)
	if want == nil {
		t.Fatalf("%q is no request, and was known after %q", second, first)
	}
	if got := second[size:]; !bytes.Equal(got, rest) {
		t.Errorf("after the head comes %q, want %q", got, rest)
	}
	got := known.again(length, &sizedBody{from: bytes.NewReader(rest), left: length})
	gotBody, gotErr := io.ReadAll(got.Body)
	wantBody, wantErr := io.ReadAll(want.Body)
	if !bytes.Equal(gotBody, wantBody) || !errors.Is(gotErr, wantErr) {
		t.Errorf("the body is %q, %v, want %q, %v", gotBody, gotErr, wantBody, wantErr)
	}
	if (got.Body == http.NoBody) != (want.Body == http.NoBody) {
		t.Errorf("no body at all: %v, want %v", got.Body == http.NoBody, want.Body == http.NoBody)
	}
	got.Body, want.Body = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after %q\nread %+v\nwant %+v", first, got, want)
	}
	return true
}

// readTheirs reads a head by net/http, and returns what follows it.
func readTheirs(text []byte) (r *http.Request, rest []byte) {
	in := bufio.NewReaderSize(bytes.NewReader(text), len(text)+16)
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, nil
	}
	return r, text[len(text)-in.Buffered():]
}

// A request that was handed out stays as it is when the next one has another length.
func TestKnownHeadIsNotWrittenTo(t *testing.T) {
	var lengths []string
	var requests []*http.Request
	_, address := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if int64(len(body)) != r.ContentLength || err != nil {
			t.Errorf("got %d bytes of %d, %v", len(body), r.ContentLength, err)
		}
		requests = append(requests, r)
	})
	c := dial(t, address)
	for _, body := range []string{"hello", "hi", "hello", "", "hey"} {
		c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + string('0'+rune(len(body))) + "\r\n\r\n" + body)
		if response, _ := c.answer(); response.StatusCode != http.StatusOK {
			t.Fatalf("got %s", response.Status)
		}
	}
	for _, r := range requests {
		lengths = append(lengths, r.Header.Get("Content-Length"))
	}
	if want := []string{"5", "2", "5", "0", "3"}; !reflect.DeepEqual(lengths, want) {
		t.Errorf("the requests' headers say %q, want %q", lengths, want)
	}
}

// Whoever sends a known head has as much time for the body as any other, and an address.
func TestKnownHeadIsServedAlike(t *testing.T) {
	var c *conn
	served := 0
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		served++
		if c.reading != body || c.paceLeft != 0 || r.RemoteAddr == "" || r.RemoteAddr != c.remote {
			t.Errorf("request %d: reads %v, %d of its body in time, from %q", served, c.reading, c.paceLeft, r.RemoteAddr)
		}
		c.paceLeft = 100 // as if it had read on
		_, _ = io.Copy(io.Discard, r.Body)
	})
	text := strings.Repeat("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 3)
	c = newConn(&Server{Handler: handler, MaxHead: testHead, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon}, newScript([]byte(text), 0))
	if c.serve(); served != 3 || len(c.known.text) == 0 {
		t.Errorf("%d requests were served, and %q is known", served, c.known.text)
	}
}
