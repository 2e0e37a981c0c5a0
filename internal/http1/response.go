package http1

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A response is the answer to a connection's request, and to the next one
// afterwards. What goes out is gathered and sent in as few writes as can be: at
// a Flush, at the end, or when much has come together.
type response struct {
	conn   *conn
	header http.Header
	names  []string // of the last header, in order
	answer
}

// answer is what of a response is of one request.
type answer struct {
	request *http.Request
	body    requestBody

	status   int
	bodiless bool  // by its status, or because the head alone was asked for
	length   int64 // of the body, if the handler said it; else -1
	written  int64
	closes   bool     // the connection goes with this answer
	trailers []string // the Trailer headers that announced some

	framed  bool    // the head is whole: it says how long the body is, or that it comes in chunks
	chunked bool    // it comes in chunks
	kept    []byte  // the body so far, while its length may still be said
	out     []byte  // what is to be sent next
	buffer  *[]byte // its memory, the server's
	failure error   // of the first write that failed
}

const (
	// keptSize is how much of a body is kept to say its length.
	keptSize = 2 << 10
	// gatherSize is how much is gathered before it is sent. What is larger is sent from where it is.
	gatherSize = 8 << 10
)

// begin takes the next request.
func (w *response) begin(r *http.Request) {
	clear(w.header)
	w.answer = answer{request: r, length: -1}
	w.body = requestBody{of: r.Body, response: w, awaited: expectsContinue(r.Header.Get("Expect")) && r.ProtoAtLeast(1, 1)}
	if r.Body == http.NoBody {
		w.body.end()
		return
	}
	r.Body = &w.body
}

// Header are the answer's headers, and after its head its trailers, of which
// those are sent that a Trailer header has announced.
func (w *response) Header() http.Header { return w.header }

// WriteHeader begins the answer, once. A body that has not been read is lost
// then. Informational answers are not sent, and there is no switching of protocols.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 || status == http.StatusSwitchingProtocols {
		panic(fmt.Sprintf("http1: an answer cannot begin with status %d", status))
	}
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status = status
	w.bodiless = w.request.Method == http.MethodHead || !bodyAllowed(status)
	w.trailers = w.header["Trailer"]
	w.closes = w.closes || w.request.Close || w.conn.server.closing.Load() || w.header.Get("Connection") == "close"
	w.readRest()
	w.appendHead()
	if w.length >= 0 || !bodyAllowed(status) {
		w.frame(w.length)
	}
}

func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}

// appendHead puts the answer's head to what is to be sent, but for its framing.
func (w *response) appendHead() {
	w.length = w.lengthSaid()
	b := w.gathered()
	b = append(b, "HTTP/1."...)
	b = strconv.AppendInt(b, int64(min(w.request.ProtoMinor, 1)), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(w.status)...)
	b = append(b, "\r\n"...)
	if w.header["Date"] == nil {
		b = append(b, "Date: "...)
		b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, "\r\n"...)
	}
	for _, name := range w.inOrder() {
		if !isFraming(name) && validName(name) {
			b = appendHeader(b, name, w.header[name])
		}
	}
	w.out = b
}

// inOrder are the names of the header, sorted. They are seldom others than the last time.
func (w *response) inOrder() []string {
	missing := func(name string) bool { _, is := w.header[name]; return !is }
	if len(w.names) != len(w.header) || slices.ContainsFunc(w.names, missing) {
		w.names = slices.AppendSeq(w.names[:0], maps.Keys(w.header))
		slices.Sort(w.names)
	}
	return w.names
}

// isFraming reports whether a header is the server's to write.
func isFraming(name string) bool {
	return name == "Content-Length" || name == "Transfer-Encoding" || name == "Connection"
}

// lengthSaid is the length that the handler has announced, or -1.
func (w *response) lengthSaid() int64 {
	n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	if err != nil || n < 0 || !bodyAllowed(w.status) {
		return -1
	}
	return n
}

func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == ':' || c >= 0x7f {
			return false
		}
	}
	return name != ""
}

func appendHeader(b []byte, name string, values []string) []byte {
	for _, value := range values {
		if strings.ContainsAny(value, "\r\n") {
			value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value) // it must not end its line
		}
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, "\r\n"...)
	}
	return b
}

// frame ends the head: with the body's length, or if that is not known (-1) in
// chunks, or for old clients with the end of the connection.
func (w *response) frame(length int64) {
	w.framed = true
	b := w.gathered()
	switch {
	case length >= 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	case w.bodiless:
	case w.request.ProtoAtLeast(1, 1):
		w.chunked = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		w.closes = true
	}
	switch {
	case w.closes:
		b = append(b, "Connection: close\r\n"...)
	case !w.request.ProtoAtLeast(1, 1):
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	b = append(b, "\r\n"...)
	w.out = b
	if len(w.kept) > 0 {
		w.add(w.kept)
		w.kept = nil
	}
}

// Write adds to the body.
func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case len(p) == 0, w.failure != nil:
		return 0, w.failure
	case !bodyAllowed(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	switch {
	case w.bodiless:
		return len(p), nil
	case !w.framed && len(w.kept)+len(p) <= keptSize:
		w.kept = append(w.kept, p...)
		return len(p), nil
	case !w.framed:
		w.frame(-1)
	}
	if w.add(p); w.failure != nil {
		return 0, w.failure
	}
	return len(p), nil
}

// add puts a piece of the body to what is to be sent, and sends it if that has become much.
func (w *response) add(p []byte) {
	b, end := w.gathered(), ""
	if w.chunked {
		b = strconv.AppendInt(b, int64(len(p)), 16)
		b = append(b, "\r\n"...)
		end = "\r\n"
	}
	if len(b)+len(p) > gatherSize {
		w.out = b
		w.send(p, end)
		return
	}
	w.out = append(append(b, p...), end...)
}

// FlushError sends what has been written.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		w.frame(-1)
	}
	w.send(nil, "")
	return w.failure
}

// Flush sends what has been written.
func (w *response) Flush() { _ = w.FlushError() }

// finish sends the end of the answer, and reports whether the connection can
// take another request.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.framed {
		w.frame(w.lengthAtEnd())
	}
	if w.chunked {
		w.appendTrailers()
	}
	w.send(nil, "")
	if w.failure != nil {
		return false // without lingering, whose end would be that of a whole answer
	}
	whole := w.bodiless || w.length < 0 || w.written == w.length
	kept := whole && w.body.over && !w.closes
	if !kept && (!w.body.over || !w.conn.in.Quiet()) {
		w.conn.linger()
	}
	return kept
}

// endsByClose reports whether the end of the connection is the end of the body.
func (w *response) endsByClose() bool { return w.framed && !w.chunked && w.length < 0 && !w.bodiless }

// lengthAtEnd is the body's length if all of it is here. Trailers need chunks.
func (w *response) lengthAtEnd() int64 {
	if w.trailers != nil || w.bodiless && w.written == 0 {
		return -1
	}
	return w.written
}

func (w *response) appendTrailers() {
	b := append(w.gathered(), "0\r\n"...)
	for _, announced := range w.trailers {
		for name := range strings.SplitSeq(announced, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			if validName(name) && !isFraming(name) && name != "Trailer" {
				b = appendHeader(b, name, w.header[name])
			}
		}
	}
	b = append(b, "\r\n"...)
	w.out = b
}

// gathered is what is to be sent next, for more to be put to it.
func (w *response) gathered() []byte {
	if w.buffer == nil {
		w.buffer = w.conn.server.takeBuffer()
		w.out = (*w.buffer)[:0]
	}
	return w.out
}

// send sends what was gathered, p after it, and what ends that. A connection that
// has nothing to send has no buffer.
func (w *response) send(p []byte, end string) {
	if w.failure == nil {
		w.failure = w.conn.write(w.out, p, []byte(end))
	}
	if w.buffer != nil {
		*w.buffer = w.out[:0]
		w.conn.server.putBuffer(w.buffer)
		w.buffer, w.out = nil, nil
	}
}

// ClientGone looks whether the client has closed the connection, or its side of
// it: as much as can be known without writing to it. It may be asked from any goroutine.
func (w *response) ClientGone() bool { return w.conn.in.Gone() }
