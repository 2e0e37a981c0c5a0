package http1

import (
	"fmt"
	"testing"
)

// Every byte at every place of a head at which it could be taken otherwise:
// both servers must say the same of it.
func TestTwinsOfEveryByte(t *testing.T) {
	theirs := serveScripts(t)
	for _, place := range []string{
		"G%sT / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET%s/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /a%sb HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.%s\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1%s\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a%sb\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-%sA: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A%s: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: a%sb\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s3\r\n\r\nabcdefgh",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3%s\r\n\r\nabcdefgh",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length%s: 3\r\n\r\nabcdefgh",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:%schunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked%s\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding%s: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3%s\r\nabc\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc%s\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0%s\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX%s: 1\r\n\r\n",
	} {
		for b := range 256 {
			data := fmt.Appendf(nil, place, string([]byte{byte(b)}))
			data = append(data, probe...)
			got, cleaned := playScript(data, 0)
			if err := agree(theirs(cleaned, 0), got); err != nil {
				t.Errorf("%q: %v", data, err)
			}
		}
	}
}
