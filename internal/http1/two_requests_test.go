package http1

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// With a request that may be two to somebody on the way its connection ends, however its head comes. What follows one that is
// the same to everybody is answered.
func TestRequestThatMayBeTwo(t *testing.T) {
	chunks, first := "10\r\nContent-Length: \r\n0\r\n\r\n", "POST /1 HTTP/1."
	for request, answers := range map[string]int{
		first + "1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks:                                        2,
		first + "1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX: Content-Length: 5\r\n\r\n" + chunks:                2,
		first + "1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunks:                   1,
		first + "1\r\nHost: x\r\ncONTENT-lENGTH:5\r\nX: " + long + "\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks: 1,
		first + "0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab":                                         2,
		first + "0\r\nConnection: keep-alive\r\nContent-Length: 2\r\ntransfer-encoding:chunked\r\n\r\nab":            1,
		first + "0\r\nConnection: keep-alive\r\nContent-Length: 2\r\nTransfer-Encoding:\r\n\r\nab":                   1,
		first + "0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks:                         1,
	} {
		for _, piece := range []byte{0, 1, 50} {
			socket := newScript([]byte(request+get("/2", "Content-Length: 0\r\n")), piece)
			s := &Server{
				Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
				MaxHead: testHead, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon,
			}
			newConn(s, socket).serve()
			if n := strings.Count(socket.out.String(), " 200 OK"); n != answers || strings.Contains(socket.out.String(), "Connection: close") != (answers == 1) {
				t.Errorf("%.90q in pieces of %d: %d answers, want %d\n%s", request, piece, n, answers, &socket.out)
			}
		}
	}
}
