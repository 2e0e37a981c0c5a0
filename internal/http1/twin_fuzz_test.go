package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// FuzzTwin gives the same bytes to net/http's server and to ours, in pieces of
// some size, and then the end. Both must see the same requests in them: where
// one request ends and the next begins is what smuggling is about.
func FuzzTwin(f *testing.F) {
	for _, c := range twinCases {
		if len(c.send) < maxFuzzed {
			f.Add([]byte(c.send), byte(0))
			f.Add([]byte(c.send+c.send+strings.Replace(c.send, "Content-Length: ", "Content-Length: 1", 1)), byte(0)) // the head is known then
			f.Add([]byte(c.send+get("/skip", "")+probe), byte(7))
		}
	}
	for _, path := range []string{"/skip", "/half", "/flush"} {
		for _, headers := range []string{"", "Expect: 100-continue\r\n", "Connection: close\r\n"} {
			f.Add([]byte("POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"+headers+"\r\nhello"+probe), byte(1))
			f.Add([]byte("POST "+path+" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"+headers+"\r\n5\r\nhello\r\n0\r\n\r\n"+probe), byte(0))
		}
	}
	f.Add([]byte("0 * HTTP/1.1\nHost:0\nTransfer-Encoding:chunked\n\nA\r\n0000000000\r\n0\r\n\n\r\n\r\n0 * HTTP/1.0\n\n"), byte(0))
	theirs := serveScripts(f)
	f.Fuzz(func(t *testing.T, data []byte, piece byte) {
		if len(data) > maxFuzzed {
			return // heads that are too large have their cases
		}
		watch := time.AfterFunc(soon, func() { panic("a server does not end a script") }) // the fuzzer would wait
		defer watch.Stop()
		want := theirs(data, piece)
		got, cleaned := playScript(data, piece)
		if !bytes.Equal(cleaned, data) {
			// Ours passes over line ends before any request, net/http's after a POST alone.
			want = theirs(cleaned, piece)
			if agree(want, got) != nil {
				// A trailer is read once two line ends are in sight, and these may have been they.
				want = theirs(append(cleaned, "\r\n\r\n"...), piece)
			}
		}
		if err := agree(want, got); err != nil {
			t.Errorf("%v\nours: %+v\nnet/http's: %+v", err, got, want)
		}
	})
}

const maxFuzzed = 8 << 10

// A script is a connection that says what it has to say and then half-closes.
type script struct {
	mu      sync.Mutex
	in      []byte
	piece   int // the most that one read gets
	out     bytes.Buffer
	onWrite func()
	ended   bool
	end     chan struct{}
}

func newScript(data []byte, piece byte) *script {
	s := &script{in: data, piece: int(piece), onWrite: func() {}, end: make(chan struct{})}
	if piece == 0 {
		s.piece = len(data) + 1
	}
	return s
}

func (s *script) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0, net.ErrClosed
	case len(s.in) == 0:
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.piece)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onWrite()
	return s.out.Write(p)
}

func (s *script) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.end)
	}
	return nil
}

func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// scripts is a listener.
type scripts struct{ next chan net.Conn }

func (l scripts) Accept() (net.Conn, error) {
	if conn := <-l.next; conn != nil {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (scripts) Close() error   { return nil }
func (scripts) Addr() net.Addr { return &net.TCPAddr{} }

// A run is what came of a script.
type run struct {
	seen     []sight
	statuses []int // of the requests seen, informational ones too
	refused  int   // what was said of that which is no request; 0: nothing
}

// serveScripts starts net/http's server, and returns what plays a script with it.
func serveScripts(t testing.TB) func(data []byte, piece byte) run {
	var h *witness // of the script that is played: one at a time
	s := &http.Server{
		Handler:                      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.look(w, r) }),
		DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: testHead,
	}
	l := scripts{next: make(chan net.Conn)}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		close(l.next)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return func(data []byte, piece byte) run {
		h = &witness{act: fuzzAct}
		socket := newScript(data, piece)
		l.next <- socket
		<-socket.end
		return runOf(h, socket)
	}
}

// playScript plays a script with our server. It returns also the data without
// the line ends that were passed over before requests.
func playScript(data []byte, piece byte) (r run, cleaned []byte) {
	h := &witness{act: fuzzAct}
	socket := newScript(data, piece)
	var c *conn
	ended := 0 // where the request ended that was answered last
	socket.onWrite = func() { ended = len(data) - len(socket.in) - c.in.Buffered() }
	rest := 0
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cleaned = append(cleaned, data[rest:ended]...)
		rest = ended
		for data[rest] == '\r' || data[rest] == '\n' {
			rest++
		}
		h.look(w, r)
	})
	s := &Server{Handler: handler, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon, MaxHead: testHead, ErrorLog: log.New(io.Discard, "", 0), conns: map[*conn]struct{}{}}
	c = s.addConn(socket)
	c.serve()
	return runOf(h, socket), append(cleaned, data[rest:]...)
}

// fuzzAct answers with a short body, and does with the request's what the path says.
func fuzzAct(w http.ResponseWriter, r *http.Request, s *sight) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/s"):
	case strings.HasPrefix(r.URL.Path, "/h"):
		n, err := r.Body.Read(make([]byte, 1))
		s.Body, s.Broken = fmt.Sprint(n), err != nil && !errors.Is(err, io.EOF)
	case strings.HasPrefix(r.URL.Path, "/f") && r.ProtoAtLeast(1, 1):
		// net/http reads on after a Flush if the connection goes anyway. To an
		// HTTP/1.0 client it goes for want of a length, which ours finds later.
		flush(w)
		s.read(r)
	default:
		s.read(r)
	}
	_, _ = io.WriteString(w, "ok")
}

// runOf reads the answers.
func runOf(h *witness, socket *script) (r run) {
	socket.mu.Lock()
	defer socket.mu.Unlock()
	r.seen = h.sights()
	for i := range r.seen {
		if path := r.seen[i].Path; strings.HasPrefix(path, "/s") || strings.HasPrefix(path, "/h") {
			r.seen[i].Trailer = nil // who does not read the body may see its trailers or not
		}
	}
	in := bufio.NewReader(&socket.out)
	for answered := 0; ; {
		request := &http.Request{Method: http.MethodGet}
		if answered < len(r.seen) {
			request.Method = r.seen[answered].Method
		}
		response, err := http.ReadResponse(in, request)
		if err != nil {
			return r
		}
		status := response.StatusCode
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			status = -status
		}
		switch {
		case answered == len(r.seen) && status != http.StatusContinue:
			r.refused = status
			return r
		case status != http.StatusContinue:
			answered++
		}
		r.statuses = append(r.statuses, status)
	}
}

// agree says what two runs differ in, and leaves out what they may.
func agree(theirs, ours run) error {
	theirs.refused, ours.refused = refusalOf(theirs.refused), refusalOf(ours.refused)
	n := min(len(theirs.seen), len(ours.seen))
	if !slices.EqualFunc(theirs.seen[:n], ours.seen[:n], same) {
		return errors.New("the requests differ")
	}
	if mayPart(theirs, ours, n) {
		theirs, ours = theirs.cut(n), ours.cut(n)
	}
	switch {
	case len(theirs.seen) != len(ours.seen):
		return errors.New("there are more requests in one")
	case !slices.Equal(theirs.statuses, ours.statuses):
		return errors.New("the answers differ")
	case theirs.refused == ours.refused,
		// Of a head that breaks off net/http says that it is bad, and says
		// nothing of one of less than four bytes after another request.
		ours.refused == 0 && theirs.refused == http.StatusBadRequest,
		ours.refused == http.StatusBadRequest && theirs.refused == 0:
		return nil
	}
	return errors.New("the refusals differ")
}

func same(theirs, ours sight) bool {
	if strings.HasPrefix(ours.Path, "/f") && ours.Broken {
		// To net/http a body that breaks off is at its end when it is read again,
		// and the server has read it first where the answer begins before.
		theirs.Broken = true
	}
	theirs.Close = theirs.Close || endsIt(&ours)
	return reflect.DeepEqual(theirs, ours)
}

// endsIt reports that ours ends the connection with a request that may be two: with chunks and a length, or with chunks and
// an old version. That it does so only then is in two_requests_test.go.
func endsIt(ours *sight) bool {
	return ours.Close && (len(ours.Encoding) > 0 || ours.Proto == "HTTP/1.0")
}

// refusalOf is one status for refusals: net/http has one more, for an encoding
// that it does not know, and where two things are wrong, a Host and an
// expectation, or line ends and a version, it may name the other.
func refusalOf(status int) int {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusExpectationFailed:
		return http.StatusBadRequest
	}
	return status
}

// cut leaves the first n requests.
func (r run) cut(n int) run {
	final := 0
	for i, status := range r.statuses {
		if final == n {
			r.statuses = r.statuses[:i]
			break
		}
		if status != http.StatusContinue {
			final++
		}
	}
	r.seen, r.refused = r.seen[:n], 0
	return r
}

// mayPart reports whether there is a known reason for the servers' parting
// after n requests that are the same.
func mayPart(theirs, ours run, n int) bool {
	if n > 0 && (mayPartAfter(&theirs.seen[n-1]) || endsIt(&ours.seen[n-1])) {
		return true
	}
	switch {
	case len(theirs.seen) > n && ours.refused != 0:
		s := &theirs.seen[n]
		return s.Host == "" || // to ours none at all
			!strings.HasPrefix(s.URI, "/") || // a strange host in the request line, CONNECT without Host, HTTP/2's preface
			strings.Contains(strings.ToLower(s.Header.Get("Expect")), "100-continue") // to net/http it may be one of several
	case len(ours.seen) > n && theirs.refused != 0:
		return !strings.HasPrefix(ours.seen[n].URI, "/") // a host in the request line alone, or a bad Host besides
	}
	return false
}

// mayPartAfter reports whether one server may keep the connection after a
// request and the other not.
func mayPartAfter(s *sight) bool {
	connection := strings.ToLower(strings.Join(s.Header["Connection"], ","))
	switch {
	case s.Proto == "HTTP/1.0" && strings.ContainsAny(connection, ", \t"):
		return true // net/http looks for keep-alive at the first place, and not for close besides
	case !s.Close && strings.Contains(connection, "close"):
		return true // net/http's server parts words at blanks; its parser, which ours goes by, at commas
	case s.Header.Get("Expect") != "" && strings.HasPrefix(s.Path, "/h"):
		return true // what was asked for and not read, ours reads
	}
	return false
}
