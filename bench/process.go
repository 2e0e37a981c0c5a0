package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a child that the benchmark started, and stops.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
	log  *tailLog
}

// house holds the children, in the order in which they were started, and the
// folders that they write in.
type house struct {
	processes []*process
	folders   []string
}

// folder makes a folder that goes when the children have ended.
func (h *house) folder(in string) (string, error) {
	dir, err := os.MkdirTemp(in, "books-")
	if err == nil {
		h.folders = append(h.folders, dir)
	}
	return dir, err
}

// start runs a command.
func (h *house) start(name, path string, args ...string) (*process, io.Reader, error) {
	cmd := exec.Command(path, args...) //nolint:noctx // it is stopped by stop, in order, and not killed when a context ends.
	cmd.SysProcAttr = childAttributes()
	p := &process{name: name, cmd: cmd, done: make(chan struct{}), log: &tailLog{}}
	cmd.Stderr = p.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", name, err)
	}
	h.processes = append(h.processes, p)
	return p, stdout, nil
}

// startServer runs a command that says on stdout where it listens: one line
// "listening on URL", and for each further thing in says one "THING on URL".
func (h *house) startServer(ctx context.Context, name string, says []string, path string, args ...string) (p *process, urls map[string]string, err error) {
	p, stdout, err := h.start(name, path, args...)
	if err != nil {
		return nil, nil, err
	}
	found := make(chan map[string]string, 1)
	go func() {
		urls := make(map[string]string)
		lines := bufio.NewScanner(stdout)
		for len(urls) <= len(says) && lines.Scan() {
			thing, url, ok := strings.Cut(lines.Text(), " on ")
			if ok && (thing == "listening" || slices.Contains(says, thing)) {
				urls[thing] = url
			}
		}
		if len(urls) > len(says) {
			found <- urls
		}
		_, _ = io.Copy(io.Discard, stdout)
		p.wait()
	}()
	select {
	case urls := <-found:
		return p, urls, nil
	case <-p.done:
		return nil, nil, fmt.Errorf("%s ended before it listened: %s", name, p.log)
	case <-time.After(30 * time.Second):
		return nil, nil, fmt.Errorf("%s did not say within 30 s that it listens: %s", name, p.log)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// startSilent runs a server that says nothing, and waits until it takes connections.
func (h *house) startSilent(ctx context.Context, name, address, path string, args ...string) (*process, error) {
	p, stdout, err := h.start(name, path, args...)
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdout)
		p.wait()
	}()
	for range 100 {
		var conn net.Conn
		if conn, err = (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address); err == nil {
			return p, conn.Close()
		}
		select {
		case <-p.done:
			return nil, fmt.Errorf("%s ended: %s", name, p.log)
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil, fmt.Errorf("%s takes no connections: %w: %s", name, err, p.log)
}

// wait takes notice of the child's end.
func (p *process) wait() {
	_ = p.cmd.Wait() // How it ended is in its log.
	close(p.done)
}

// stop ends all children, the last first, and waits for each.
func (h *house) stop() {
	for i := len(h.processes) - 1; i >= 0; i-- {
		h.processes[i].stop(syscall.SIGTERM)
	}
	for _, dir := range h.folders {
		_ = os.RemoveAll(dir) // The folder that it is in goes at the end, and tells.
	}
	h.processes, h.folders = nil, nil
}

// stop ends a child by a signal, and by SIGKILL if that takes too long.
func (p *process) stop(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // Gone already: done is closed.
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// pid is the child's process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// tailLog keeps the last lines that a child wrote, to show when it fails.
type tailLog struct {
	mu   sync.Mutex
	kept []byte
}

const tailSize = 4 << 10

// Write keeps the end of p.
func (t *tailLog) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
	}
	return len(p), nil
}

// String returns what was kept.
func (t *tailLog) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
