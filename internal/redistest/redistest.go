// Package redistest starts a real redis-server for a test, and stops, kills
// and starts it again to play an outage.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startTimeout = 10 * time.Second
	portTries    = 5
)

// Server is a redis-server of this test's own, on 127.0.0.1, with its data in
// the test's directory.
type Server struct {
	t       testing.TB
	dir     string
	options []string
	cluster bool
	port    int
	process *exec.Cmd
	output  *bytes.Buffer
	client  *redis.Client

	faulty   bool
	faultDir string // the library of faults, and what steers it; see faults.go
}

// An Option changes how the server is started.
type Option func(*Server)

// WithConfig adds settings, each as on redis-server's command line: "--maxmemory", "10mb".
func WithConfig(args ...string) Option {
	return func(s *Server) { s.options = append(s.options, args...) }
}

// WithAOF keeps an append-only file; fsync is always, everysec or no.
func WithAOF(fsync string) Option {
	return WithConfig("--appendonly", "yes", "--appendfsync", fsync)
}

// WithCluster makes the server a cluster of one node that serves all slots.
func WithCluster() Option {
	return func(s *Server) {
		s.cluster = true
		s.options = append(s.options, "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
	}
}

// Start starts a server and stops it when the test ends. The test fails, with
// the line to type, when there is no redis-server on the machine.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s, err := New(options...)
	if err != nil {
		t.Fatal(err)
	}
	s.t = t
	t.Cleanup(s.Close)
	return s
}

// New starts a server that several tests share, from a TestMain. Close ends it.
func New(options ...Option) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, errors.New("redis-server is missing: sudo apt-get install -y redis-server (or: brew install redis)")
	}
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	for _, o := range options {
		o(s)
	}
	if err = s.start(); err == nil && s.cluster {
		err = s.assignSlots()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close ends the server and removes its data.
func (s *Server) Close() {
	if s.client != nil {
		_ = s.client.Close()
	}
	s.Kill()
	_ = os.RemoveAll(s.dir)
	if s.faultDir != "" {
		_ = os.RemoveAll(s.faultDir)
	}
}

// fail ends the test; a server that tests share has none to end.
func (s *Server) fail(format string, args ...any) {
	if s.t == nil {
		panic(fmt.Sprintf(format, args...))
	}
	s.t.Helper()
	s.t.Fatalf(format, args...)
}

// Addr is host:port. It stays the same over Stop and Start.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// URL is the ledger URL of this server.
func (s *Server) URL() string {
	if s.cluster {
		return "redis+cluster://" + s.Addr()
	}
	return "redis://" + s.Addr() + "/0"
}

// Dir is where the server keeps its data.
func (s *Server) Dir() string { return s.dir }

// Client is a client of the server, the same at every call, closed when the test ends.
func (s *Server) Client() *redis.Client {
	if s.client == nil {
		s.client = redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true})
	}
	return s.client
}

// Flush empties the server, scripts and functions included, as if it had just been installed.
func (s *Server) Flush() {
	ctx := context.Background()
	if err := errors.Join(s.Client().FlushAll(ctx).Err(), s.Client().ScriptFlush(ctx).Err(), s.Client().FunctionFlush(ctx).Err()); err != nil {
		s.fail("flush redis: %v", err)
	}
}

// Start starts the server after Stop or Kill, on the same port and data.
func (s *Server) Start() {
	if err := s.start(); err != nil {
		s.fail("%v", err)
	}
}

func (s *Server) start() error {
	if s.process != nil {
		return errors.New("redis-server is running already")
	}
	var err error
	for range portTries {
		port := s.port
		if port == 0 {
			if port, err = freePort(); err != nil {
				continue
			}
		}
		if err = s.startOn(port); err == nil {
			s.port = port
			return nil
		}
	}
	return fmt.Errorf("start redis-server: %w\n%s", err, s.output)
}

func (s *Server) startOn(port int) error {
	args := append([]string{
		"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "", "--daemonize", "no",
		"--logfile", "", "--cluster-config-file", filepath.Join(s.dir, "nodes.conf"),
	}, s.options...)
	environment, err := s.preload()
	if err != nil {
		return err
	}
	s.output = new(bytes.Buffer)
	process := exec.Command("redis-server", args...)
	process.Env = environment
	process.Stdout, process.Stderr = s.output, s.output
	if err := process.Start(); err != nil {
		return err
	}
	s.process = process
	if err := s.await(port); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// await waits until the server answers and has loaded its data.
func (s *Server) await(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", port), MaxRetries: -1, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	want := fmt.Sprintf("process_id:%d", s.process.Process.Pid)
	for {
		info, err := client.Info(ctx, "server").Result()
		if err == nil && strings.Contains(info, want) {
			if err = client.Ping(ctx).Err(); err == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s: %w", startTimeout, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// assignSlots gives the node all slots. A new node waits two seconds before it
// serves them, so tests that need no cluster of their own had better share one.
func (s *Server) assignSlots() error {
	ctx := context.Background()
	if err := s.Client().ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		return fmt.Errorf("assign cluster slots: %w", err)
	}
	for deadline := time.Now().Add(startTimeout); ; {
		info, err := s.Client().ClusterInfo(ctx).Result()
		if err == nil && strings.Contains(info, "cluster_state:ok") {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cluster is not up: %w\n%s", err, info)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Stop ends the server as an operator would: it saves what it keeps.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause stops the server's process without ending it: connections stand, and
// nothing answers. Resume lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	if err := s.process.Process.Signal(signal); err != nil {
		s.fail("redis-server: %v", err)
	}
}

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(signal)
	_ = s.process.Process.Signal(syscall.SIGCONT)
	_ = s.process.Wait() // its exit status tells nothing after a signal
	s.process = nil
}

func freePort() (int, error) {
	// A cluster node also listens on port + 10000, so the port is to be small.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return 0, err
	}
	if port > 55535 {
		return 0, fmt.Errorf("port %d leaves no room for the cluster bus", port)
	}
	return port, nil
}
