package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// A redisConn speaks as much of Redis's protocol as the benchmark needs.
type redisConn struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialRedis(ctx context.Context, address string) (*redisConn, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &redisConn{conn, bufio.NewReader(conn)}, nil
}

func (c *redisConn) close() { _ = c.conn.Close() }

// A redisError is what the server refuses.
type redisError string

// Error is the server's own text.
func (e redisError) Error() string { return string(e) }

// do sends a command, in one write, and returns the reply: a string, an int64, a []any or nil.
func (c *redisConn) do(command ...string) (any, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		return nil, err
	}
	return c.reply()
}

func (c *redisConn) reply() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, errors.New("redis: an empty reply")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '+':
		return rest, nil
	case '-':
		return nil, redisError(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	case '$':
		return c.bulk(rest)
	case '*':
		return c.array(rest)
	}
	return nil, fmt.Errorf("redis: not a reply: %q", line)
}

func (c *redisConn) bulk(length string) (any, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return nil, err
	}
	body := make([]byte, n+len("\r\n"))
	_, err = io.ReadFull(c.r, body)
	return string(body[:n]), err
}

func (c *redisConn) array(length string) (any, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		var refused redisError
		if list[i], err = c.reply(); errors.As(err, &refused) {
			list[i] = refused
		} else if err != nil {
			return nil, err
		}
	}
	return list, nil
}
