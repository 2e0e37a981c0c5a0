package http1

import (
	"net/http"
	"strings"
	"testing"
)

// With a request that says its length and comes in chunks all the same its connection ends, however its head comes:
// to somebody on the way it may have been two. What follows a request that is one to everybody is answered.
func TestLengthBesideChunks(t *testing.T) {
	for headers, answers := range map[string]int{
		"Transfer-Encoding: chunked\r\n":                                        2,
		"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n":                   1,
		"cONTENT-lENGTH:5\r\nX: " + long + "\r\nTransfer-Encoding: chunked\r\n": 1,
		"X: Content-Length: 5\r\nTransfer-Encoding: chunked\r\n":                2,
	} {
		for _, piece := range []byte{0, 1, 50} {
			socket := newScript([]byte(post(headers, "10\r\nContent-Length: \r\n0\r\n\r\n")+get("/2", "Content-Length: 0\r\n")), piece)
			s := &Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = r.Body.Read(make([]byte, 100)) }), MaxHead: testHead, HeadTimeout: soon, IdleTimeout: soon, WriteTimeout: soon}
			newConn(s, socket).serve()
			if n := strings.Count(socket.out.String(), "HTTP/1.1 200 OK"); n != answers || strings.Contains(socket.out.String(), "Connection: close") != (answers == 1) {
				t.Errorf("%.60q in pieces of %d: %d answers, want %d", headers, piece, n, answers)
			}
		}
	}
}
