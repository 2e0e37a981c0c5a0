package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// BenchmarkServer is a small answer with the headers that an API sends, to
// clients that each keep a connection.
func BenchmarkServer(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 600)
	headers := http.Header{"Content-Type": {"application/json"}}
	for i := range 21 {
		headers[fmt.Sprintf("X-Header-%c", 'A'+i)] = []string{"a value of some length"}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for name, values := range headers {
			h[name] = values
		}
		_, _ = w.Write(body)
	})
	b.Run("net_http", func(b *testing.B) { benchmark(b, startTheirs(b, handler)) })
	b.Run("http1", func(b *testing.B) {
		_, address := start(b, handler)
		benchmark(b, address)
	})
}

func benchmark(b *testing.B, address string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		answer := make([]byte, answerSize(b, conn))
		for pb.Next() {
			if err := exchange(conn, answer); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// answerSize learns how long the answer is: all of them are as long, and the
// client that is measured along needs not parse them.
func answerSize(b *testing.B, conn net.Conn) int {
	if _, err := io.WriteString(conn, probe); err != nil {
		b.Error(err)
		return 0
	}
	var seen bytes.Buffer
	response, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &seen)), nil)
	if err != nil {
		b.Error(err)
		return 0
	}
	if n, err := io.Copy(io.Discard, response.Body); n != 600 || err != nil {
		b.Errorf("got a body of %d bytes, %v", n, err)
	}
	return seen.Len()
}

func exchange(conn net.Conn, answer []byte) error {
	if _, err := io.WriteString(conn, probe); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, answer)
	if err == nil && !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		err = fmt.Errorf("got %.20q", answer)
	}
	return err
}
