package e2e

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A faultProxy stands between the proxy and Redis. It cuts connections, drops
// replies after Redis has executed, leads to another server, and can strike at
// the very command that names a request.
type faultProxy struct {
	listener net.Listener
	dropped  atomic.Int64 // replies, more or less: reads of some

	mu     sync.Mutex
	target string
	wires  map[*wire]bool
	trap   *trap
}

// A wire is a connection through it.
type wire struct {
	near, far net.Conn

	mu   sync.Mutex
	mute bool  // it executes and does not answer
	trap *trap // that the command it carries has gone into
}

// Where a trap strikes, on the way of a command to Redis and back.
type trapPlace int

const (
	onTheWay   trapPlace = iota // Redis never gets the command
	onTheReply                  // Redis has executed it, nobody gets the reply
	afterReply                  // the reply is handed over
)

// A trap waits for the command that names a request.
type trap struct {
	request string
	place   trapPlace
	strike  func()
}

// startFaults puts a faulty wire before Redis, until the test ends.
func startFaults(t *testing.T, target string) *faultProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faultProxy{listener: listener, target: target, wires: make(map[*wire]bool)}
	var serving sync.WaitGroup
	serving.Go(func() { f.serve(&serving) })
	t.Cleanup(func() {
		_ = listener.Close()
		f.each((*wire).cut)
		serving.Wait()
	})
	return f
}

// serveBehind starts a proxy that reaches Redis by the faulty wire alone.
func (w *world) serveBehind(f *faultProxy) *process {
	w.t.Helper()
	config, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("faulty.yaml", strings.Replace(string(config), w.redis.Addr(), f.listener.Addr().String(), 1))
	straight := w.config
	defer func() { w.config = straight }()
	w.config = filepath.Join(w.dir, "faulty.yaml")
	return w.serve()
}

func (f *faultProxy) serve(serving *sync.WaitGroup) {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		target := f.target
		f.mu.Unlock()
		far, err := net.Dial("tcp", target)
		if err != nil {
			_ = near.Close()
			continue
		}
		w := &wire{near: near, far: far}
		f.mu.Lock()
		f.wires[w] = true
		f.mu.Unlock()
		serving.Go(func() { f.carryCommands(w) })
		serving.Go(func() {
			f.carryReplies(w)
			f.mu.Lock()
			delete(f.wires, w)
			f.mu.Unlock()
		})
	}
}

func (f *faultProxy) carryCommands(w *wire) {
	defer w.cut()
	buffer, last := make([]byte, 32<<10), []byte(nil)
	for {
		n, err := w.near.Read(buffer)
		if err != nil {
			return
		}
		last = append(last[max(0, len(last)-64):], buffer[:n]...) // a name may come in two pieces
		if t := f.caught(last); t != nil {
			if t.place == onTheWay {
				t.strike()
				return
			}
			w.set(func() { w.trap = t })
		}
		if _, err := w.far.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (f *faultProxy) carryReplies(w *wire) {
	defer w.cut()
	buffer := make([]byte, 32<<10)
	for {
		n, err := w.far.Read(buffer)
		if err != nil {
			return
		}
		var t *trap
		var mute bool
		w.set(func() { t, mute = w.trap, w.mute })
		if mute {
			f.dropped.Add(1)
			continue
		}
		if t != nil && t.place == onTheReply {
			t.strike()
			return
		}
		if _, err := w.near.Write(buffer[:n]); err != nil {
			return
		}
		if t != nil {
			t.strike()
			return
		}
	}
}

// set sets the trap; the first command that names its request goes into it.
func (f *faultProxy) set(t *trap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trap = t
}

func (f *faultProxy) caught(commands []byte) *trap {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.trap
	if t == nil || !bytes.Contains(commands, []byte(t.request)) {
		return nil
	}
	f.trap = nil
	return t
}

// lead leads all who come from now on to another server.
func (f *faultProxy) lead(target string) {
	f.mu.Lock()
	f.target = target
	f.mu.Unlock()
	f.each((*wire).cut)
}

// each does something with every wire that there is.
func (f *faultProxy) each(do func(w *wire)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.wires {
		do(w)
	}
}

func (w *wire) cut() {
	_ = w.near.Close()
	_ = w.far.Close()
}

func (w *wire) silence() { w.set(func() { w.mute = true }) }

func (w *wire) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}
