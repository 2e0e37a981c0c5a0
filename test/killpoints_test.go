package e2e

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A killPoint is a moment of a stream's life at which its proxy is killed.
type killPoint int

const (
	afterBytes    killPoint = iota + 1 // the client has some bytes of the answer
	afterLogWrite                      // the settlement is in the log; Redis stands still with the command before it
	beforeRedis                        // the command is on its way, and never arrives
	afterRedis                         // Redis has booked it, and nobody has heard
	beforeEnd                          // the proxy is being told, and may have sent the answer's end
)

var killPoints = []struct {
	point killPoint
	name  string
}{
	{afterBytes, "1, after byte k"},
	{afterLogWrite, "2, after the log write"},
	{beforeRedis, "3, before Redis"},
	{afterRedis, "4, after Redis"},
	{beforeEnd, "5, before the answer's end"},
}

// A victim is the stream in the midst of which a proxy was killed.
type victim struct {
	id     string
	got    *growing
	logged bool // its charge is in the settlement log, so it must come to the books
}

// victimMark is in the body of the victim's request, and in no other.
const victimMark = "usage=1000,500"

// killAt kills a proxy at a point of a stream that it carries. The proxy must
// reach Redis by the faulty wire, and extend no holds meanwhile.
func (w *world) killAt(p *process, f *faultProxy, key string, point killPoint) victim {
	w.t.Helper()
	const chunks = 12
	reached, release := w.up.stallOnly(victimMark, 1+rand.IntN(chunks-2))
	defer release()
	v := w.startVictim(p, key)
	<-reached
	if point == afterBytes {
		k := 1 + rand.IntN(100)
		eventually(w.t, "the client has some bytes", func() bool { return len(v.got.String()) >= k })
		p.kill()
		<-v.got.ended
		return v
	}
	v.logged = true
	if point == afterLogWrite {
		w.redis.Pause()
		release()
		eventually(w.t, "the settlement is in the log", func() bool { return w.logNames(p, v.id) >= 2 })
		p.kill()
		w.redis.Resume()
		<-v.got.ended
		return v
	}
	struck := make(chan struct{})
	place := map[killPoint]trapPlace{beforeRedis: onTheWay, afterRedis: onTheReply, beforeEnd: afterReply}[point]
	f.set(&trap{request: v.id, place: place, strike: func() {
		_ = p.cmd.Process.Signal(syscall.SIGKILL)
		close(struck)
	}})
	release()
	<-struck
	p.wait()
	<-v.got.ended
	return v
}

// startVictim starts the stream, and returns when its head is there.
func (w *world) startVictim(p *process, key string) victim {
	w.t.Helper()
	response, err := p.call(w.t.Context(), http.MethodPost, chatPath, key, chat("gpt-4o", victimMark+";chunks=12", streamed))
	if err != nil {
		w.t.Fatal(err)
	}
	v := victim{id: response.Header.Get("x-request-id"), got: &growing{ended: make(chan struct{})}}
	go func() {
		defer response.Body.Close()
		v.got.read(response)
	}()
	return v
}

// whole reports whether the client has all of the victim's answer.
func (v victim) whole() bool { return strings.Contains(v.got.String(), "data: [DONE]") }

// logNames counts how often the settlement log of a proxy names a request.
func (w *world) logNames(p *process, id string) (n int) {
	err := filepath.WalkDir(filepath.Join(p.cmd.Dir, "data", "settlements"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		n += bytes.Count(content, []byte(id))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// A proxy is killed at each of the points that a call passes. What the log has
// is booked once by its next start, whether or not Redis had it; what was not
// finished costs no more than what had been delivered; no hold is left.
func TestKillNineAtPoints(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "1000")
	key, _ := w.key("acme")
	f := startFaults(t, w.redis.Addr())
	for _, at := range killPoints {
		t.Run(at.name, func(t *testing.T) {
			v := w.killAt(w.serveBehind(f), f, key, at.point)
			w.serveBehind(f).stop() // its start has replayed the log
			charges := 0
			for _, entry := range w.entries("acme", "charge") {
				if entry.Get("request_id").String() == v.id {
					charges++
				}
			}
			want := 0
			if v.logged {
				want = 1
			}
			equal(t, "charges", charges, want)
			if v.whole() && at.point != beforeEnd {
				t.Error("the client has the end of an answer that had not been booked")
			}
			w.requireSettled("acme")
		})
	}
}
