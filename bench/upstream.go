package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// serveUpstream is the simulated upstream. net/http would be the slowest part
// of the benchmark, so this speaks just enough HTTP/1.1 over raw TCP: it reads
// a request, finds the model's name in it, and writes the answer as it was prepared.
func serveUpstream(ctx context.Context, args []string, stdout io.Writer) error {
	listener, err := listen(ctx, args, stdout)
	if err != nil {
		return err
	}
	u := newUpstream(append(allLoads(), growthLoads()...))
	if len(args) > 1 {
		secured, err := listenSecured(ctx, stdout, args[1])
		if err != nil {
			return err
		}
		go func() { _ = u.accept(secured) }() // Both listeners end with ctx.
	}
	return stopped(ctx, u.accept(listener))
}

// accept answers a listener's connections until it is closed.
func (u *upstream) accept(listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = u.serve(conn) // A connection that breaks is the client's to report.
		}()
	}
}

// listen opens the address in args[0], says where on stdout, and closes it
// when ctx ends.
func listen(ctx context.Context, args []string, stdout io.Writer) (net.Listener, error) {
	if len(args) == 0 {
		return nil, errors.New("want an address to listen on")
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", args[0])
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	_, err = fmt.Fprintf(stdout, "listening on http://%s\n", listener.Addr())
	return listener, err
}

// stopped turns the error of a server that was told to stop into none.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

type upstream struct {
	answers map[string]*load
	unknown [][]byte
}

func newUpstream(loads []load) *upstream {
	u := &upstream{
		answers: make(map[string]*load, len(loads)),
		unknown: jsonResponse("404 Not Found", `{"error":{"message":"no such load","type":"invalid_request_error","param":null,"code":null}}`),
	}
	for i := range loads {
		u.answers[loads[i].model] = &loads[i]
	}
	return u
}

// serve answers one connection until it ends.
func (u *upstream) serve(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 16<<10)
	var body bytes.Buffer
	for {
		length, err := readRequestHead(r)
		if err != nil {
			return err
		}
		body.Reset()
		if length < 0 {
			_, err = body.ReadFrom(httputil.NewChunkedReader(r))
		} else {
			_, err = io.CopyN(&body, r, int64(length))
		}
		if err != nil {
			return err
		}
		if length < 0 { // the empty line after the last chunk
			if _, err := r.ReadSlice('\n'); err != nil {
				return err
			}
		}
		pieces, every := u.answer(body.Bytes())
		if err := write(conn, pieces, every); err != nil {
			return err
		}
	}
}

// write sends the pieces with a pause between them. What is late does not
// make the next piece later.
func write(conn net.Conn, pieces [][]byte, every time.Duration) error {
	var due time.Time
	if every > 0 {
		due = time.Now()
	}
	for i, piece := range pieces {
		if every > 0 && i > 0 {
			due = due.Add(every)
			time.Sleep(time.Until(due))
		}
		if _, err := conn.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

func (u *upstream) answer(body []byte) (pieces [][]byte, every time.Duration) {
	l := u.answers[string(modelOf(body))]
	switch {
	case l == nil:
		return u.unknown, 0
	case l.askedAnswer != nil && bytes.Contains(body, []byte(`"include_usage":true`)):
		return l.askedAnswer, l.every
	}
	return l.answer, l.every
}

// modelOf finds the model's name without decoding the body.
func modelOf(body []byte) []byte {
	_, rest, ok := bytes.Cut(body, []byte(`"model"`))
	if !ok {
		return nil
	}
	rest = bytes.TrimLeft(rest, ": \t\n")
	if len(rest) == 0 || rest[0] != '"' {
		return nil
	}
	name, _, _ := bytes.Cut(rest[1:], []byte(`"`))
	return name
}

// readRequestHead reads to the end of the request's head and returns the
// length of the body; -1 says that it is chunked.
func readRequestHead(r *bufio.Reader) (length int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case equalFold(name, "content-length"):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		case equalFold(name, "transfer-encoding"):
			length = -1
		}
	}
}

// equalFold compares a header's name with one in lower case.
func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
