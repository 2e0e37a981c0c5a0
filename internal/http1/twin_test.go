package http1

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Every case is played with net/http's server and with ours. What the client
// sees and what the handler sees must be the same, but for the differences that
// the case names.
type twinCase struct {
	name string
	send string
	head bool // HEAD is what is asked
	act  act  // echo, if nil
	// want are the statuses of the answers, informational ones too, and closed
	// whether the connection is closed after them.
	want   []int
	closed bool
	// differs is why net/http's server does otherwise, and but makes of what it
	// did what ours is to do.
	differs string
	but     func(*outcome)
}

// An act is what a handler does. It notes what it sees.
type act func(w http.ResponseWriter, r *http.Request, s *sight)

// A sight is what a handler saw of a request, and which errors its writes had.
type sight struct {
	Method, URI, Proto, Host, Path string
	Header, Trailer                http.Header
	Encoding                       []string
	Length                         int64
	Close                          bool
	Body                           string
	Broken                         bool // reading the body failed
	Errors                         []string
}

// An outcome is all that there is to compare.
type outcome struct {
	Replies []reply
	Kept    bool
	Seen    []sight
}

// A reply is an answer as its client sees it.
type reply struct {
	Proto           string
	Status          int
	Header, Trailer http.Header
	Encoding        []string
	Length          int64
	Close, Dated    bool
	Body            string
	Broken          bool // its body ended before its end
}

// read reads the body, and notes it.
func (s *sight) read(r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.Body += string(body)
	s.Broken = err != nil
}

// note notes an error by name.
func (s *sight) note(err error) {
	if err != nil {
		s.Errors = append(s.Errors, err.Error())
	}
}

func (s *sight) write(w io.Writer, text string) {
	_, err := io.WriteString(w, text)
	s.note(err)
}

func echo(w http.ResponseWriter, r *http.Request, s *sight) {
	s.read(r)
	s.write(w, "you said "+strconv.Quote(s.Body))
}

// witness is a handler that keeps what its acts saw.
type witness struct {
	act  act
	mu   sync.Mutex
	seen []sight
}

const probe = "GET /probe HTTP/1.1\r\nHost: x\r\n\r\n"

func (h *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain") // ours does not guess it
	if r.URL.Path == "/probe" {
		_, _ = io.WriteString(w, "probe")
		return
	}
	h.look(w, r)
}

// look acts, and keeps what is seen.
func (h *witness) look(w http.ResponseWriter, r *http.Request) {
	s := sight{
		Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Path: r.URL.Path,
		Header: r.Header.Clone(), Encoding: r.TransferEncoding, Length: r.ContentLength, Close: r.Close,
	}
	defer func() { // also if it panics
		s.Trailer = r.Trailer
		h.mu.Lock()
		h.seen = append(h.seen, s)
		h.mu.Unlock()
	}()
	h.act(w, r, &s)
}

func (h *witness) sights() []sight {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen
}

// startTheirs serves h with net/http's server until the test ends.
func startTheirs(t testing.TB, h http.Handler) (address string) {
	t.Helper()
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: soon, IdleTimeout: soon, MaxHeaderBytes: testHead,
		DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0),
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// play sends what the case sends, reads as many answers as it wants, and looks
// whether the connection takes another request then.
func (c *twinCase) play(t *testing.T, address string) (o outcome) {
	t.Helper()
	conn := dial(t, address)
	answered := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { // beside the reading: what is too large is not taken
		if _, err := io.WriteString(conn, c.send); err == nil {
			<-answered
			_, _ = io.WriteString(conn, probe)
		}
	})
	for range c.want {
		r, ok := c.readReply(t, conn.in)
		if !ok {
			break
		}
		o.Replies = append(o.Replies, r)
	}
	close(answered)
	if r, ok := c.readReply(t, conn.in); ok {
		if o.Kept = r.Body == "probe" || c.head; !o.Kept {
			t.Errorf("an answer more than wanted: %+v", r)
		}
	}
	_ = conn.Close()
	sending.Wait()
	return o
}

func (c *twinCase) readReply(t *testing.T, in *bufio.Reader) (r reply, ok bool) {
	t.Helper()
	request := &http.Request{Method: http.MethodGet}
	if c.head {
		request.Method = http.MethodHead
	}
	response, err := http.ReadResponse(in, request)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(response.Body)
		r = reply{
			Proto: response.Proto, Status: response.StatusCode, Header: response.Header, Trailer: response.Trailer,
			Encoding: response.TransferEncoding, Length: response.ContentLength, Close: response.Close,
			Dated: response.Header.Get("Date") != "", Body: string(body), Broken: err != nil,
		}
		r.Header.Del("Date")
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client waits for an answer, or for its end")
	}
	return r, response != nil
}

func TestTwins(t *testing.T) {
	for _, c := range twinCases {
		t.Run(c.name, func(t *testing.T) {
			if c.act == nil {
				c.act = echo
			}
			theirs, ours := &witness{act: c.act}, &witness{act: c.act}
			want := c.play(t, startTheirs(t, theirs))
			_, address := start(t, ours.ServeHTTP)
			got := c.play(t, address)
			want.Seen, got.Seen = theirs.sights(), ours.sights()
			if c.but != nil {
				c.but(&want)
			}
			c.compare(t, got, want)
		})
	}
}

func (c *twinCase) compare(t *testing.T, got, want outcome) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("ours: %s\nnet/http's: %s", indented(got), indented(want))
	}
	var statuses []int
	for _, r := range got.Replies {
		statuses = append(statuses, r.Status)
	}
	if !reflect.DeepEqual(statuses, c.want) || got.Kept == c.closed {
		t.Errorf("answers %v, kept %v, want %v, %v", statuses, got.Kept, c.want, !c.closed)
	}
	if (c.but == nil) != (c.differs == "") {
		t.Error("a difference has a reason")
	}
}

func indented(o outcome) string {
	for i := range o.Replies {
		o.Replies[i].Body = shortened(o.Replies[i].Body)
	}
	for i := range o.Seen {
		o.Seen[i].Body = shortened(o.Seen[i].Body)
	}
	text, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func shortened(s string) string {
	if len(s) > 200 {
		return s[:200] + "… (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return s
}

// What net/http's server does otherwise.
const (
	saysMore    = "net/http says in a refusal what is wrong"
	sendsChunks = "net/http sends chunks though the body is short"
	saysClose   = "ours says to an HTTP/1.0 client, too, that the connection goes"
)

// sameRefusal leaves a refusal's text out, in which net/http says more.
func sameRefusal(o *outcome) {
	last := &o.Replies[len(o.Replies)-1]
	last.Body = strconv.Itoa(last.Status) + " " + http.StatusText(last.Status)
}

// asBadRequest is for what net/http's server has a status of its own.
func asBadRequest(o *outcome) {
	o.Replies[len(o.Replies)-1].Status = http.StatusBadRequest
	sameRefusal(o)
}

// closeIsSaid puts in that the connection goes.
func closeIsSaid(o *outcome) {
	for i := range o.Replies {
		o.Replies[i].Header.Set("Connection", "close")
	}
}

// connectionEnds is for a request after which net/http's server keeps the connection.
func connectionEnds(o *outcome) {
	o.Kept, o.Seen[0].Close, o.Replies[0].Close = false, true, true
}

// lengthIsSaid is for a short body that net/http's server sends in chunks.
func lengthIsSaid(o *outcome) {
	r := &o.Replies[0]
	r.Encoding, r.Length = nil, int64(len(r.Body))
	r.Header.Set("Content-Length", strconv.Itoa(len(r.Body)))
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// get is a request without a body; headers end with line ends.
func get(path, headers string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: example.com\r\n" + headers + "\r\n"
}

func post(headers, body string) string {
	return "POST /post?q=1 HTTP/1.1\r\nHost: example.com\r\n" + headers + "\r\n" + body
}

func postLength(headers, body string) string {
	return post("Content-Length: "+strconv.Itoa(len(body))+"\r\n"+headers, body)
}

// deaf does not read the body.
func deaf(w http.ResponseWriter, _ *http.Request, s *sight) { s.write(w, "no matter what") }

// answering makes an act that writes pieces, with an empty one for a Flush.
func answering(status int, headers []string, pieces ...string) act {
	return func(w http.ResponseWriter, _ *http.Request, s *sight) {
		for i := 0; i < len(headers); i += 2 {
			w.Header()[headers[i]] = append(w.Header()[headers[i]], headers[i+1])
		}
		w.WriteHeader(status)
		for _, piece := range pieces {
			if piece == "" {
				flush(w)
			} else {
				s.write(w, piece)
			}
		}
	}
}

// withTrailers announces some and sets what it is told to.
func withTrailers(announced string, set ...string) act {
	return func(w http.ResponseWriter, _ *http.Request, s *sight) {
		w.Header().Set("Trailer", announced)
		s.write(w, "body")
		for _, name := range set {
			w.Header().Set(name, "value of "+name)
		}
	}
}

// aborting panics after it has written, and after a Flush or not.
func aborting(flushed bool, length string) act {
	return func(w http.ResponseWriter, _ *http.Request, s *sight) {
		if length != "" {
			w.Header().Set("Content-Length", length)
		}
		s.write(w, "the beginning")
		if flushed {
			flush(w)
		}
		panic(http.ErrAbortHandler)
	}
}

var (
	long    = strings.Repeat("0123456789abcdef", 1000)
	tooMuch = strings.Repeat("x", maxDiscard+50_000)
)

var twinCases = []twinCase{
	// Connections.
	{name: "keep-alive", send: get("/a?b=c%20d", "X-A: 1\r\nX-A: 2\r\nx-lower:  blanks \r\n"), want: []int{200}},
	{name: "pipelined", send: get("/1", "") + postLength("", "two") + get("/3", "") + postLength("", ""), want: []int{200, 200, 200, 200}},
	{name: "pipelined, the first one closes", send: get("/1", "Connection: close\r\n") + get("/2", ""), want: []int{200}, closed: true},
	{name: "client closes", send: get("/", "Connection: Keep-Alive, Close\r\n"), want: []int{200}, closed: true},
	{name: "handler closes", send: get("/", ""), act: answering(200, []string{"Connection", "close"}, "bye"), want: []int{200}, closed: true},
	{name: "handler closes, in chunks", send: get("/", ""), act: answering(200, []string{"Connection", "close"}, "bye", "", "!"), want: []int{200}, closed: true},
	{name: "HTTP/1.0", send: "GET / HTTP/1.0\r\n\r\n", want: []int{200}, closed: true, differs: saysClose, but: closeIsSaid},
	{name: "HTTP/1.0 keep-alive", send: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", want: []int{200}},
	{name: "HTTP/1.0 keep-alive, length unknown", send: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", act: answering(200, nil, "a", "", "b"), want: []int{200}, closed: true, differs: saysClose, but: closeIsSaid},
	{name: "HTTP/1.0 keep-alive, HEAD", send: "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", head: true, act: answering(200, nil), want: []int{200}},
	{name: "HTTP/1.0 keep-alive, handler closes", send: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", act: answering(200, []string{"Connection", "close"}, "bye"), want: []int{200}, closed: true},
	{name: "HTTP/1.0 body", send: "POST / HTTP/1.0\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nbody", want: []int{200}},
	{name: "HTTP/1.0 knows no chunks", send: "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", want: []int{200}, closed: true, differs: saysClose, but: closeIsSaid},
	{name: "HTTP/1.0 expects nothing", send: "POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\nbody", want: []int{200}},
	{name: "HTTP/1.9", send: "GET / HTTP/1.9\r\nHost: x\r\n\r\n", want: []int{200}},

	// Answers.
	{name: "empty answer", send: get("/", ""), act: func(http.ResponseWriter, *http.Request, *sight) {}, want: []int{200}},
	{name: "status alone", send: get("/", ""), act: answering(503, nil), want: []int{503}},
	{name: "status without a text", send: get("/", ""), act: answering(799, nil, "x"), want: []int{799}},
	{name: "second WriteHeader", send: get("/", ""), act: func(w http.ResponseWriter, _ *http.Request, s *sight) {
		w.WriteHeader(201)
		w.WriteHeader(404)
		s.write(w, "x")
	}, want: []int{201}},
	{name: "WriteHeader after Write", send: get("/", ""), act: func(w http.ResponseWriter, _ *http.Request, s *sight) {
		s.write(w, "x")
		w.WriteHeader(404)
	}, want: []int{200}},
	{name: "headers after the head", send: get("/", ""), act: func(w http.ResponseWriter, _ *http.Request, s *sight) {
		w.WriteHeader(200)
		w.Header().Set("X-Late", "1")
		s.write(w, "x")
	}, want: []int{200}},
	{name: "length said", send: get("/", ""), act: answering(200, []string{"Content-Length", "10"}, "01234", "56789"), want: []int{200}},
	{name: "length said, large", send: get("/", ""), act: answering(200, []string{"Content-Length", "32000"}, long, long), want: []int{200}},
	{name: "length said, nothing", send: get("/", ""), act: answering(200, []string{"Content-Length", "0"}, ""), want: []int{200}},
	{name: "length said, flushed", send: get("/", ""), act: answering(200, []string{"Content-Length", "10"}, "01234", "", "56789"), want: []int{200}},
	{name: "length is no number", send: get("/", ""), act: answering(200, []string{"Content-Length", "many"}, "x"), want: []int{200}, differs: sendsChunks, but: lengthIsSaid},
	{name: "length negative", send: get("/", ""), act: answering(200, []string{"Content-Length", "-1"}, "x"), want: []int{200}, differs: sendsChunks, but: lengthIsSaid},
	{name: "length known at the end", send: get("/", ""), act: answering(200, nil, "a", "b", "c"), want: []int{200}},
	{name: "just kept", send: get("/", ""), act: answering(200, nil, long[:keptSize]), want: []int{200}},
	{name: "in chunks", send: get("/", ""), act: answering(200, nil, long, "x", long), want: []int{200}},
	{name: "many small pieces", send: get("/", ""), act: answering(200, nil, strings.SplitAfter(long, "f")[:1000]...), want: []int{200}},
	{name: "flushed", send: get("/", ""), act: answering(200, nil, "a", "", "b", "", "", "c"), want: []int{200}},
	{name: "flushed at once", send: get("/", ""), act: answering(200, nil, ""), want: []int{200}},
	{name: "chunks are the server's", send: get("/", ""), act: answering(200, []string{"Transfer-Encoding", "chunked"}, long), want: []int{200}},
	{name: "trailers", send: get("/", ""), act: withTrailers("X-One, x-two", "X-One", "X-Two", "X-Three"), want: []int{200}},
	{name: "trailers that never come", send: get("/", ""), act: withTrailers("X-One"), want: []int{200}},
	{name: "trailers that may not be", send: get("/", ""), act: withTrailers("Connection, X-One", "X-One", "Connection"), want: []int{200}},
	{name: "trailers in HTTP/1.0", send: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", act: withTrailers("X-One", "X-One"), want: []int{200}, closed: true, differs: saysClose, but: closeIsSaid},
	{name: "trailers and a length", send: get("/", ""), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		w.Header().Set("Content-Length", "4")
		withTrailers("X-One", "X-One")(w, r, s)
	}, want: []int{200}},
	{name: "trailer with line ends", send: get("/", ""), act: func(w http.ResponseWriter, _ *http.Request, _ *sight) {
		w.Header().Set("Trailer", "X-One")
		flush(w)
		w.Header().Set("X-One", "a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
	}, want: []int{200}},
	{name: "HEAD with a length", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, []string{"Content-Length", "4000"}, long[:4000]), want: []int{200}},
	{name: "HEAD without", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, nil, "abc"), want: []int{200}},
	{name: "HEAD without, large", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, nil, long), want: []int{200}, differs: "ours knows the length of all that was not sent", but: func(o *outcome) {
		o.Replies[0].Header.Set("Content-Length", strconv.Itoa(len(long)))
		o.Replies[0].Length = int64(len(long))
	}},
	{name: "HEAD with a length, written nothing to", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, []string{"Content-Length", "4000"}), want: []int{200}},
	{name: "HEAD flushed", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, nil, "abc", ""), want: []int{200}},
	{name: "HEAD without a body", send: "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", head: true, act: answering(200, nil), want: []int{200}},
	{name: "204", send: get("/", ""), act: answering(204, nil), want: []int{204}},
	{name: "204 with a length", send: get("/", ""), act: answering(204, []string{"Content-Length", "0"}), want: []int{204}},
	{name: "204 written to", send: get("/", ""), act: answering(204, nil, "text", ""), want: []int{204}},
	{name: "204 written nothing to", send: get("/", ""), act: func(w http.ResponseWriter, _ *http.Request, s *sight) {
		w.WriteHeader(204)
		s.write(w, "")
	}, want: []int{204}},
	{name: "304", send: get("/", ""), act: answering(304, []string{"Etag", `"x"`, "Content-Length", "7"}), want: []int{304}, differs: "net/http takes Content-Type away", but: func(o *outcome) {
		o.Replies[0].Header.Set("Content-Type", "text/plain")
	}},
	{name: "too long a body", send: get("/", ""), act: answering(200, []string{"Content-Length", "4"}, "four", "!"), want: []int{200}, differs: "net/http closes; the answer is whole", but: func(o *outcome) { o.Kept = true }},
	{name: "a body where none was said", send: get("/", ""), act: answering(200, []string{"Content-Length", "0"}, "!"), want: []int{200}, differs: "net/http closes; the answer is whole", but: func(o *outcome) { o.Kept = true }},
	{name: "too long a body, at once", send: get("/", ""), act: answering(200, []string{"Content-Length", "4"}, "", "fives"), want: []int{200}, closed: true},
	{name: "too short a body", send: get("/", ""), act: answering(200, []string{"Content-Length", "8"}, "four"), want: []int{200}, closed: true},
	{name: "line ends in a value", send: get("/", ""), act: answering(200, []string{"X-A", "a\r\nSet-Cookie: b\r\n\r\n<html>", "X-B", "a\nb", "X-C", "a\rb"}, "x"), want: []int{200}},
	{name: "bad names", send: get("/", ""), act: answering(200, []string{"X A", "1", "X:A", "2", "", "3", "X\r\nY", "4", "X-Ü", "5", "Good", "6", http.TrailerPrefix + "A", "7"}, "x"), want: []int{200}, differs: "Trailer:, net/http's prefix of names, is not known to ours", but: func(o *outcome) {
		o.Replies[0].Trailer = nil
		lengthIsSaid(o)
	}},
	{name: "aborted", send: get("/", ""), act: aborting(false, ""), closed: true},
	{name: "aborted after a flush", send: get("/", ""), act: aborting(true, ""), want: []int{200}, closed: true},
	{name: "aborted after a flush, with a length", send: get("/", ""), act: aborting(true, "100"), want: []int{200}, closed: true},

	// Bodies.
	{name: "body", send: postLength("", "hello"), want: []int{200}},
	{name: "large body", send: postLength("", long), want: []int{200}},
	{name: "chunks", send: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\n\r\n"), want: []int{200}},
	{name: "chunks and trailers", send: post("Transfer-Encoding: chunked\r\nTrailer: X-One, X-Two\r\n", "3\r\nabc\r\n0\r\nX-One: 1\r\nX-Three: 3\r\n\r\n"), want: []int{200}},
	{name: "trailer that may not be", send: post("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\n\r\n"), want: []int{400}, closed: true},
	{name: "malformed chunk", send: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\nxyz\r\n") + get("/2", ""), want: []int{200}, closed: true},
	{name: "malformed chunk that nobody reads", send: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\nxyz\r\n") + get("/2", ""), act: deaf, want: []int{200}, closed: true},
	{name: "chunk without its end", send: post("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n") + get("/2", ""), want: []int{200}, closed: true},
	{name: "not read", send: postLength("", "hello") + get("/2", ""), act: deaf, want: []int{200, 200}},
	{name: "not read, large", send: postLength("", long) + get("/2", ""), act: deaf, want: []int{200, 200}},
	{name: "not read, in chunks", send: post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n") + get("/2", ""), act: deaf, want: []int{200, 200}},
	{name: "not read, too large", send: postLength("", tooMuch), act: deaf, want: []int{200}, closed: true},
	{name: "not read, too large, in chunks", send: post("Transfer-Encoding: chunked\r\n", strconv.FormatInt(int64(len(tooMuch)), 16)+"\r\n"+tooMuch+"\r\n0\r\n\r\n"), act: deaf, want: []int{200}, closed: true},
	{name: "read in part", send: postLength("", long) + get("/2", ""), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		_, err := io.ReadFull(r.Body, make([]byte, min(10, r.ContentLength)))
		s.note(err)
	}, want: []int{200, 200}},
	{name: "read in part, of the rest no more than is taken", send: postLength("", tooMuch) + get("/2", ""), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		_, err := io.ReadFull(r.Body, make([]byte, min(100_000, r.ContentLength)))
		s.note(err)
	}, want: []int{200, 200}},
	{name: "read after the answer began", send: postLength("", "hello"), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		flush(w)
		s.read(r)
		s.write(w, "x")
	}, want: []int{200}},
	{name: "read after the answer began, and the client closes", send: postLength("Connection: close\r\n", "hello"), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		flush(w)
		s.read(r)
		s.write(w, "x")
	}, want: []int{200}, closed: true},

	// Expectations.
	{name: "asked for its body", send: postLength("Expect: 100-continue\r\n", "hello"), want: []int{100, 200}},
	{name: "asked for its body, by any case", send: postLength("Expect: 100-Continue\r\n", "hello"), want: []int{100, 200}},
	{name: "expects, and has no body", send: get("/", "Expect: 100-continue\r\n"), want: []int{200}},
	{name: "never asked", send: post("Content-Length: 5\r\nExpect: 100-continue\r\n", ""), act: deaf, want: []int{200}, closed: true},
	{name: "never asked, and sends", send: postLength("Expect: 100-continue\r\n", get("/smuggled", "")), act: deaf, want: []int{200}, closed: true},
	{name: "asked too late", send: postLength("Expect: 100-continue\r\n", "hello"), act: func(w http.ResponseWriter, r *http.Request, s *sight) {
		flush(w)
		s.read(r)
		s.write(w, "x")
	}, want: []int{200}, closed: true},
	{name: "expects something else", send: get("/", "Expect: 200-maybe\r\n"), want: []int{417}, closed: true},
	{name: "expects something else, with a body to come", send: post("Content-Length: 5\r\nExpect: 200-maybe\r\n", ""), want: []int{417}, closed: true},

	// Heads that are refused, or taken.
	{name: "length and chunks", send: post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), want: []int{200}, closed: true, differs: "net/http keeps the connection", but: connectionEnds},
	{name: "the same length twice", send: post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), want: []int{200}},
	{name: "two lengths", send: post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), want: []int{400}, closed: true},
	{name: "two lengths in one", send: post("Content-Length: 5, 5\r\n", "hello"), want: []int{400}, closed: true},
	{name: "a length with a sign", send: post("Content-Length: +5\r\n", "hello"), want: []int{400}, closed: true},
	{name: "a negative length", send: post("Content-Length: -5\r\n", "hello"), want: []int{400}, closed: true},
	{name: "two hosts", send: get("/", "Host: other.example.com\r\n"), want: []int{400}, closed: true},
	{name: "no host", send: "GET / HTTP/1.1\r\n\r\n", want: []int{400}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "a bad host", send: "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", want: []int{400}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "an empty host", send: "GET / HTTP/1.1\r\nHost:\r\n\r\n", want: []int{400}, closed: true, differs: "to ours, which sees the parsed request, an empty Host is none", but: func(o *outcome) {
		*o = outcome{Replies: []reply{refusal(http.StatusBadRequest)}}
	}},
	{name: "a host in the request line", send: "GET http://a.example.com/p HTTP/1.1\r\nHost: b.example.com\r\n\r\n", want: []int{200}},
	{name: "a host in the request line alone", send: "GET http://a.example.com/p HTTP/1.1\r\nConnection: close\r\n\r\n", want: []int{200}, closed: true, differs: "net/http refuses; to ours it is a host", but: func(o *outcome) {
		*o = outcome{Replies: []reply{{
			Proto: "HTTP/1.1", Status: 200, Close: true, Dated: true, Body: `you said ""`, Length: 11,
			Header: http.Header{"Content-Length": {"11"}, "Content-Type": {"text/plain"}},
		}}, Seen: []sight{{
			Method: "GET", URI: "http://a.example.com/p", Proto: "HTTP/1.1", Host: "a.example.com", Path: "/p",
			Header: http.Header{"Connection": {"close"}}, Close: true,
		}}}
	}},
	{name: "a blank before the colon", send: post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), want: []int{400}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "a blank in a name", send: get("/", "X A: 1\r\n"), want: []int{400}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "an empty name", send: get("/", ": 1\r\n"), want: []int{400}, closed: true},
	{name: "no colon", send: get("/", "header\r\n"), want: []int{400}, closed: true},
	{name: "a folded header", send: get("/", "X-A: 1\r\n 2\r\n"), want: []int{200}},
	{name: "a folded first header", send: "GET / HTTP/1.1\r\n Host: x\r\n\r\n", want: []int{400}, closed: true},
	{name: "NUL in a value", send: get("/", "X-A: a\x00b\r\n"), want: []int{400}, closed: true},
	{name: "DEL in a value", send: get("/", "X-A: a\x7fb\r\n"), want: []int{400}, closed: true},
	{name: "CR in a value", send: get("/", "X-A: a\rb\r\n"), want: []int{400}, closed: true},
	{name: "high bytes in a value", send: get("/", "X-A: \xff\xfe\r\n"), want: []int{200}},
	{name: "tab in a value", send: get("/", "X-A:\ta\tb\t\r\n"), want: []int{200}},
	{name: "an encoding that is not known", send: post("Transfer-Encoding: gzip\r\n", ""), want: []int{400}, closed: true, differs: "net/http says 501", but: asBadRequest},
	{name: "an encoding besides chunks", send: post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), want: []int{400}, closed: true, differs: "net/http says 501", but: asBadRequest},
	{name: "two encodings", send: post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), want: []int{400}, closed: true, differs: "net/http says 501", but: asBadRequest},
	{name: "a vertical tab in an encoding", send: post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), want: []int{400}, closed: true},
	{name: "no request line", send: "hello\r\n\r\n", want: []int{400}, closed: true},
	{name: "no version", send: "GET /\r\n\r\n", want: []int{400}, closed: true},
	{name: "a version of two digits", send: "GET / HTTP/1.10\r\nHost: x\r\n\r\n", want: []int{400}, closed: true},
	{name: "a malformed path", send: get("/%zz", ""), want: []int{400}, closed: true},
	{name: "no path", send: "GET foo HTTP/1.1\r\nHost: x\r\n\r\n", want: []int{400}, closed: true},
	{name: "a blank in the path", send: get("/a b", ""), want: []int{400}, closed: true},
	{name: "a method in lower case", send: "get / HTTP/1.1\r\nHost: x\r\n\r\n", want: []int{200}},
	{name: "a method that is none", send: "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", want: []int{400}, closed: true},
	{name: "OPTIONS *", send: "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", want: []int{200}},
	{name: "CONNECT", send: "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", want: []int{200}},
	{name: "HTTP/0.9", send: "GET / HTTP/0.9\r\nHost: x\r\n\r\n", want: []int{505}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "HTTP/2.0", send: "GET / HTTP/2.0\r\nHost: x\r\n\r\n", want: []int{505}, closed: true, differs: saysMore, but: sameRefusal},
	{name: "HTTP/2's preface", send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: []int{505}, closed: true, differs: "net/http gives it to the handler, which may take the connection over", but: func(o *outcome) {
		*o = outcome{Replies: []reply{refusal(http.StatusHTTPVersionNotSupported)}}
	}},
	{name: "a line end after a POST", send: postLength("", "a") + "\r\n" + get("/", ""), want: []int{200, 200}},
	{name: "a line end before the first", send: "\r\n" + get("/", "Connection: close\r\n"), want: []int{200}, closed: true, differs: "net/http allows it after a POST alone", but: func(o *outcome) {
		*o = outcome{Replies: []reply{{
			Proto: "HTTP/1.1", Status: 200, Close: true, Dated: true, Body: `you said ""`, Length: 11,
			Header: http.Header{"Content-Length": {"11"}, "Content-Type": {"text/plain"}},
		}}, Seen: []sight{{
			Method: "GET", URI: "/", Proto: "HTTP/1.1", Host: "example.com", Path: "/",
			Header: http.Header{"Connection": {"close"}}, Close: true,
		}}}
	}},
	{name: "too many line ends", send: "\r\n\r\n\r\n" + get("/", ""), want: []int{400}, closed: true},
	{name: "line ends without CR", send: "GET / HTTP/1.1\nHost: x\n\n", want: []int{200}},
	{name: "a large head", send: get("/", "X-A: "+strings.Repeat("a", testHead-1000)+"\r\n"), want: []int{200}},
	{name: "too large a head", send: get("/", "X-A: "+strings.Repeat("a", testHead+10_000)+"\r\n"), want: []int{431}, closed: true},
	{name: "too large a request line", send: get("/"+strings.Repeat("a", testHead+10_000), ""), want: []int{431}, closed: true},
	{name: "too many headers", send: get("/", strings.Repeat("X-A: a\r\n", testHead/4)), want: []int{431}, closed: true},
}

// refusal is our server's answer to what is no request.
func refusal(status int) reply {
	return reply{
		Proto: "HTTP/1.1", Status: status, Close: true, Length: -1, Body: strconv.Itoa(status) + " " + http.StatusText(status),
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
	}
}
