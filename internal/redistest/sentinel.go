package redistest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Sentinel is a master, its replica, and one sentinel that watches both.
type Sentinel struct {
	Master, Replica *Server
	watcher         *Server
}

// StartSentinel starts the three; they end with the test. Both servers keep an append-only file.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	ctx := context.Background()
	settings := []Option{WithAOF("always"), WithConfig("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")}
	s := &Sentinel{Master: Start(t, settings...)}
	s.Replica = Start(t, append(settings, WithConfig("--replicaof", "127.0.0.1", fmt.Sprint(s.Master.port)))...)
	if err := s.Replica.AwaitReplication(ctx); err != nil {
		t.Fatal(err)
	}
	s.watcher = &Server{t: t, dir: t.TempDir()}
	t.Cleanup(func() {
		if s.watcher.client != nil {
			_ = s.watcher.client.Close()
		}
		s.watcher.Kill()
	})
	if err := s.watcher.startSentinel(s.Master.port); err != nil {
		t.Fatalf("start a sentinel: %v\n%s", err, s.watcher.output)
	}
	if err := s.Seen(ctx, "slaves=1"); err != nil {
		t.Fatal(err)
	}
	return s
}

// URL is the ledger URL.
func (s *Sentinel) URL() string { return "redis+sentinel://" + s.watcher.Addr() + "/main" }

// Seen waits until the sentinel says something in its summary of the master.
func (s *Sentinel) Seen(ctx context.Context, what string) error {
	return poll(ctx, "the sentinel to say "+what, func() bool {
		return strings.Contains(s.watcher.Client().Info(ctx, "sentinel").Val(), what)
	})
}

// AwaitFailover waits until the sentinel names the replica as the master.
func (s *Sentinel) AwaitFailover(ctx context.Context) error {
	return s.Seen(ctx, "address="+s.Replica.Addr())
}

// startSentinel starts this server as a sentinel, of its own file: it writes into that.
func (s *Server) startSentinel(master int) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.port = port
	file := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor main 127.0.0.1 %d 1\n"+
		"sentinel down-after-milliseconds main 1500\nsentinel failover-timeout main 3000\n", port, s.dir, master)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	s.output = new(bytes.Buffer)
	process := exec.Command("redis-server", file, "--sentinel")
	process.Stdout, process.Stderr = s.output, s.output
	if err := process.Start(); err != nil {
		return err
	}
	s.process = process
	return s.await(port)
}
