package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What an upstream answers before it has read the whole request is the answer,
// whatever it is: it has done its work, and is not to do it again.
func TestTransportTakesAnEarlyAnswer(t *testing.T) {
	for _, used := range []bool{false, true} {
		var asked atomic.Int64
		address := scripted(t, nil, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if r.URL.Path == "/warm" {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, ownAnswer)
					continue
				}
				asked.Add(1)
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nearly")
				_ = conn.(*net.TCPConn).CloseWrite()
				time.Sleep(time.Second) // what is not read by then is lost: closing resets
				return
			}
		})
		tr := newTransport()
		if used {
			response, err := post(t, new(cut), tr, address+"/warm", "x")
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, response)
		}
		response, err := post(t, new(cut), tr, address+"/work", strings.Repeat("x", 32<<20))
		got := ""
		if err == nil {
			got = readAll(t, response)
		}
		if asked.Load() != 1 || got != "early" {
			t.Errorf("connection used before %v: asked %d times: %q, %v", used, asked.Load(), got, err)
		}
	}
}
