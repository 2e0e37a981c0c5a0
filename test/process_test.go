package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a running tollgate.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string // of the data plane
	admin  string
	stdout *transcript
	stderr *transcript
	ended  chan struct{} // closed when it has ended and all its output is read
	place  int           // which of the world's working directories is its own; see serve
}

// transcript collects what a process prints.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(line)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// after returns the rest of the first line that has mark.
func (l *transcript) after(mark string) (string, bool) {
	_, rest, found := strings.Cut(l.String(), mark)
	line, _, whole := strings.Cut(rest, "\n")
	return strings.TrimSpace(line), found && whole
}

// serve starts the proxy and waits until it listens. It is stopped, and must
// stop well, when the test ends. Proxies that run side by side have working
// directories of their own, and with that settlement logs; one that is started
// after another has ended takes over its place.
func (w *world) serve() *process {
	w.t.Helper()
	place := 0
	for _, other := range w.proxies {
		select {
		case <-other.ended:
		default:
			place = max(place, other.place+1)
		}
	}
	p := w.startIn(fmt.Sprintf("proxy-%d", place), "serve", "-c", w.config)
	p.place = place
	w.proxies = append(w.proxies, p)
	p.url = p.waitFor("listening on ")
	p.admin = p.waitFor("admin on ")
	return p
}

// start starts a verb that stays.
func (w *world) start(args ...string) *process {
	w.t.Helper()
	return w.startIn(".", args...)
}

// startIn starts a verb that stays, in a folder of the world's.
func (w *world) startIn(folder string, args ...string) *process {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Join(w.dir, folder), 0o700); err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, cmd: w.command(args...), stdout: &transcript{}, stderr: &transcript{}, ended: make(chan struct{})}
	p.cmd.Dir = filepath.Join(w.dir, folder)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.stdout.read(stdout) })
	readers.Go(func() { p.stderr.read(stderr) })
	go func() {
		defer close(p.ended)
		readers.Wait()
		_ = p.cmd.Wait() // the tests look at ProcessState
	}()
	w.t.Cleanup(p.cleanUp)
	return p
}

func (l *transcript) read(from io.Reader) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadString('\n')
		l.add(line)
		if err != nil {
			return
		}
	}
}

// waitFor waits for a line on stdout and returns what follows mark.
func (p *process) waitFor(mark string) (rest string) {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		if rest, ok := p.stdout.after(mark); ok {
			return rest
		}
		select {
		case <-p.ended:
			p.t.Fatalf("it ended before it printed %q:\n%s%s", mark, p.stdout, p.stderr)
		case <-deadline:
			p.t.Fatalf("it never printed %q:\n%s%s", mark, p.stdout, p.stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end and returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		p.t.Fatalf("it did not end:\n%s", tail(p.stderr.String()))
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop ends it by SIGTERM, which must go well.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM:\n%s", code, tail(p.stderr.String()))
	}
}

// kill ends it by SIGKILL.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// cleanUp ends what still runs, and reports races and what a failed test needs to know.
func (p *process) cleanUp() {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(10 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	log := p.stderr.String()
	if strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic: ") {
		p.t.Errorf("a data race or a panic:\n%s", log)
	} else if p.t.Failed() {
		p.t.Logf("its log:\n%s", tail(log))
	}
}

// tail is the end of a long text.
func tail(text string) string {
	const enough = 8 << 10
	if len(text) <= enough {
		return text
	}
	return "…" + text[len(text)-enough:]
}

// metrics are all that the process tells of itself.
func (p *process) metrics() string {
	p.t.Helper()
	response, err := http.Get(p.admin + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content)
}

// metric is the value of one, named with its labels if it has some.
func (p *process) metric(name string) (value float64) {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.metrics(), "\n"+name+" ")
	_, _ = fmt.Sscan(rest, &value)
	return value
}
