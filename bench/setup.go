package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// setup is what all rounds share: the binaries and the simulated upstream.
type setup struct {
	self        string // our own binary, for the roles
	binary      string // Tollgate's
	dir         string // for everything that the run writes
	upstream    *process
	upstreamURL string // for the proxies
	plainURL    string // for who asks it without a proxy
}

// withSetup starts what all rounds share, lets do its work, and takes all away again.
func withSetup(ctx context.Context, o *options, do func(*setup) error) (err error) {
	if runtime.GOOS != "linux" {
		return errors.New("CPU time is read from /proc: run this on Linux")
	}
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	s := &setup{self: self, binary: o.tollgate, dir: dir}
	if s.binary == "" {
		s.binary = filepath.Join(dir, "tollgate")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.binary, "./cmd/tollgate")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build ./cmd/tollgate: %w\n%s", err, out)
		}
	}
	h := &house{}
	defer h.stop()
	if err := s.startUpstream(ctx, h, o); err != nil {
		return err
	}
	return do(s)
}
