package redistest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed testdata/faults.c
var faultsSource []byte

// WithFaults gives the server a disk that can hang and a clock that can step,
// by a library that is preloaded. It takes Linux and a C compiler; elsewhere
// the test is skipped.
func WithFaults(t testing.TB) Option {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("faults are preloaded into redis-server as on Linux")
	}
	return func(s *Server) { s.faulty = true }
}

// preload builds the library, once, and returns the environment that loads it.
func (s *Server) preload() ([]string, error) {
	if !s.faulty {
		return nil, nil
	}
	library := filepath.Join(s.faultDir, "faults.so")
	if s.faultDir == "" {
		dir, err := os.MkdirTemp("", "redistest-faults")
		if err != nil {
			return nil, err
		}
		s.faultDir, library = dir, filepath.Join(dir, "faults.so")
		source := filepath.Join(dir, "faults.c")
		if err := os.WriteFile(source, faultsSource, 0o600); err != nil {
			return nil, err
		}
		if out, err := exec.Command("cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the library of faults (is there a C compiler, cc?): %w\n%s", err, out)
		}
	}
	return append(os.Environ(), "LD_PRELOAD="+library, "TOLLGATE_TEST_DISK="+s.diskFile(), "TOLLGATE_TEST_CLOCK="+s.clockFile()), nil
}

func (s *Server) diskFile() string  { return filepath.Join(s.faultDir, "disk-hangs") }
func (s *Server) clockFile() string { return filepath.Join(s.faultDir, "clock") }

// HangDisk lets every fsync from now on wait for FreeDisk. What the kernel is
// given is kept, as on a disk that is overloaded.
func (s *Server) HangDisk() {
	if err := os.WriteFile(s.diskFile(), nil, 0o600); err != nil {
		s.fail("%v", err)
	}
}

// AwaitHang waits until a sync hangs: what is written from then on is
// acknowledged under everysec, and for two seconds in no file. Something must
// have been written since HangDisk.
func (s *Server) AwaitHang(ctx context.Context) error {
	return poll(ctx, "a sync to hang", func() bool {
		return strings.Contains(s.Client().Info(ctx, "persistence").Val(), "aof_pending_bio_fsync:1")
	})
}

// FreeDisk ends HangDisk.
func (s *Server) FreeDisk() {
	if err := os.Remove(s.diskFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.fail("%v", err)
	}
}

// SetClock lets the clock of a server that runs be ahead of the machine's, or
// behind it, from one moment to the next. Valkey looks at the wall clock once in
// a millisecond only, so the server is asked until it tells the new time.
func (s *Server) SetClock(ahead time.Duration) {
	// Replaced, not rewritten: Redis is never to read half of it.
	next := s.clockFile() + ".next"
	err := os.WriteFile(next, []byte(strconv.FormatInt(int64(ahead/time.Second), 10)), 0o600)
	if err := errors.Join(err, os.Rename(next, s.clockFile())); err != nil {
		s.fail("%v", err)
	}
	err = poll(context.Background(), "the clock to step", func() bool {
		now, err := s.Client().Time(context.Background()).Result()
		return err == nil && (time.Until(now)-ahead).Abs() < time.Minute
	})
	if err != nil {
		s.fail("%v", err)
	}
}
