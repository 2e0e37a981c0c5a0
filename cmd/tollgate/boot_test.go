package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ran is what one run of the program left behind.
type ran struct {
	exit           int
	stdout, stderr string
}

// runWith runs the program to its end. env is pairs such as "A=1".
func runWith(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	exit := run(t.Context(), args, &stdout, &stderr, getenv(env))
	return ran{exit, stdout.String(), stderr.String()}
}

func getenv(env []string) func(string) string {
	return func(name string) string {
		for _, pair := range env {
			if k, v, _ := strings.Cut(pair, "="); k == name {
				return v
			}
		}
		return ""
	}
}

// decode reads the whole of stdout as one JSON value.
func decode[T any](t *testing.T, r ran) (v T) {
	t.Helper()
	if r.exit != exitOK {
		t.Fatalf("exit %d: %s", r.exit, r.stderr)
	}
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	return v
}

func writeFile(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// booted is a run of the program that goes on: a server.
type booted struct {
	t      *testing.T
	stop   context.CancelFunc // what the first SIGTERM does
	exited chan int
	stdout *lines
	stderr *lines
}

// boot starts a server; it is stopped when the test ends, if it still runs.
func boot(t *testing.T, env []string, args ...string) *booted {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	b := &booted{t: t, stop: cancel, exited: make(chan int, 1), stdout: newLines(), stderr: newLines()}
	go func() {
		exit := run(ctx, args, b.stdout, b.stderr, getenv(env))
		if exit != exitOK && ctx.Err() == nil {
			t.Logf("the program ended by itself, exit %d:\n%s", exit, b.stderr.text())
		}
		b.exited <- exit
	}()
	t.Cleanup(func() { cancel(); b.wait() })
	return b
}

// wait returns the exit code.
func (b *booted) wait() int {
	select {
	case exit := <-b.exited:
		b.exited <- exit
		return exit
	case <-time.After(patience):
		b.t.Errorf("the program does not end; stderr:\n%s", b.stderr.text())
		return -1
	}
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// lines is an output that can be waited on.
type lines struct {
	mu      sync.Mutex
	written bytes.Buffer
	grown   chan struct{}
}

func newLines() *lines { return &lines{grown: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.grown)
	l.grown = make(chan struct{})
	return l.written.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written.String()
}

// line waits for the nth line that contains part, and returns it.
func (l *lines) line(t *testing.T, part string, nth int) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		text, grown := l.written.String(), l.grown
		l.mu.Unlock()
		seen := 0
		for _, line := range strings.SplitAfter(text, "\n") {
			if strings.HasSuffix(line, "\n") && strings.Contains(line, part) {
				if seen++; seen == nth {
					return strings.TrimSuffix(line, "\n")
				}
			}
		}
		select {
		case <-grown:
		case <-deadline:
			t.Fatalf("no line %d with %q in:\n%s", nth, part, text)
		}
	}
}

// address waits for the line "PREFIX http://…" and returns the URL.
func (b *booted) address(prefix string) string {
	b.t.Helper()
	_, url, _ := strings.Cut(b.stdout.line(b.t, prefix+" http://", 1), prefix+" ")
	return url
}
