package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// redisServer is a redis-server of our own, with its files in a folder that goes away.
type redisServer struct {
	*process
	address string
	conn    net.Conn // for INFO; kept, so that asking costs the server one read
	r       *bufio.Reader
}

func startRedis(ctx context.Context, h *house, dir string) (*redisServer, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	data := filepath.Join(dir, "redis")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	p, stdout, err := h.start("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", data,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
	if err != nil {
		return nil, fmt.Errorf("%w (make bench installs redis-server where it may)", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	r := &redisServer{process: p, address: address}
	for range 100 {
		if r.conn, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address); err == nil {
			r.r = bufio.NewReader(r.conn)
			return r, nil
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("redis-server ended: %s", p.log)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, err
}

// freeAddress finds a port on loopback that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// info asks for sections of INFO and returns their fields.
func (r *redisServer) info(sections string) (map[string]string, error) {
	if err := r.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(r.conn, "INFO %s\r\n", sections); err != nil {
		return nil, err
	}
	head, err := r.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(strings.Trim(head, "$\r\n"))
	if err != nil {
		return nil, fmt.Errorf("redis answers INFO with %q", head)
	}
	body := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(r.r, body); err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}

// redisUse is what clients have asked of a server so far.
type redisUse struct {
	scripts int64         // calls of scripts
	inside  time.Duration // time spent in them
	// reads from clients: without pipelining, the round trips. Asking is one itself, and counts itself.
	reads int64
}

func (r *redisServer) use() (u redisUse, err error) {
	fields, err := r.info("commandstats stats")
	if err != nil {
		return u, err
	}
	for _, name := range []string{"eval", "evalsha", "fcall"} {
		stat := fields["cmdstat_"+name]
		u.scripts += statField(stat, "calls")
		u.inside += time.Duration(statField(stat, "usec")) * time.Microsecond
	}
	if u.reads, err = strconv.ParseInt(fields["total_reads_processed"], 10, 64); err != nil {
		return u, errors.New("redis does not count its reads: version 7.0 or later is needed")
	}
	return u, nil
}

// statField reads a number out of "calls=3,usec=45,…"; 0 for a command that was never called.
func statField(stat, name string) int64 {
	for field := range strings.SplitSeq(stat, ",") {
		if text, ok := strings.CutPrefix(field, name+"="); ok {
			n, _ := strconv.ParseInt(text, 10, 64) // Redis writes numbers.
			return n
		}
	}
	return 0
}
