package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
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

// house holds the children, in the order in which they were started.
type house struct {
	processes []*process
}

// start runs a command. The child is in a process group of its own, so that
// Ctrl-C reaches only us and the children are stopped in order.
func (h *house) start(name, path string, args ...string) (*process, io.Reader, error) {
	cmd := exec.Command(path, args...) //nolint:noctx // it is stopped by stop, in order, and not killed when a context ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
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

// startServer runs a command that says on stdout where it listens.
func (h *house) startServer(ctx context.Context, name, path string, args ...string) (p *process, url string, err error) {
	p, stdout, err := h.start(name, path, args...)
	if err != nil {
		return nil, "", err
	}
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
				found <- url
				break
			}
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	select {
	case url := <-found:
		return p, url, nil
	case <-p.done:
		return nil, "", fmt.Errorf("%s ended before it listened: %s", name, p.log)
	case <-time.After(30 * time.Second):
		return nil, "", fmt.Errorf("%s did not say within 30 s that it listens: %s", name, p.log)
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// stop ends all children, the last first, and waits for each.
func (h *house) stop() {
	for i := len(h.processes) - 1; i >= 0; i-- {
		p := h.processes[i]
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // Gone already: done is closed.
		select {
		case <-p.done:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
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

// ticksPerSecond is the unit in which Linux reports CPU time to everybody (USER_HZ).
const ticksPerSecond = 100

// cpuTime is the user and system time that the processes have used so far.
func cpuTime(pids []int) (total time.Duration, err error) {
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		// The command's name, in brackets, may hold blanks; the rest may not.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		const utime, stime = 11, 12 // fields 14 and 15 of proc(5), after the first two
		if len(fields) <= stime {
			return 0, errors.New("/proc: cannot read the CPU time")
		}
		for _, field := range fields[utime : stime+1] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(ticks) * time.Second / ticksPerSecond
		}
	}
	return total, nil
}

// residentMemory is what the processes hold in memory now, in bytes.
func residentMemory(pids []int) (total int64, err error) {
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(status), "VmRSS:")
		var kib int64
		if !ok {
			return 0, errors.New("/proc: cannot read the memory")
		}
		if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
			return 0, err
		}
		total += kib << 10
	}
	return total, nil
}
