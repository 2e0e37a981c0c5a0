package e2e

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// How hard the kill test pulls.
const (
	killCycles  = 5
	killClients = 8
	killCalls   = 40 // at most, of each client in a cycle
)

// Kill -9 at random under load. Whatever a client has received in full is on
// the books once, every hold comes back, and the books balance.
func TestKillNineUnderLoad(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.ledger = "hold_ttl: 3s" })
	w.account("acme", "1000")
	w.verb("topup", "acme", "500", "--wallet", "bonus")
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "20000", "--models", "gpt-4o")
	key, _ := w.key("acme")
	received, struck := make(map[string]bool), 0
	for range killCycles {
		p := w.serve()
		for _, id := range loadUntilKilled(p, key) {
			received[id] = true
		}
		if w.verb("account", "show", "acme").Get("held").String() != "0" {
			struck++
		}
	}
	if len(received) < 10 || struck == 0 {
		t.Fatalf("%d answers were received and %d kills left holds: that proves nothing", len(received), struck)
	}
	p := w.serve() // its sweeper takes what was abandoned
	w.requireSettled("acme")
	p.stop()
	w.requireAudit()

	charged, abandoned := make(map[string]int), make(map[string]int)
	for _, entry := range w.entries("acme", "charge") {
		charged[entry.Get("request_id").String()]++
	}
	for _, entry := range w.entries("acme", "abandon") {
		abandoned[entry.Get("request_id").String()]++
	}
	for id := range received {
		if charged[id] != 1 {
			t.Errorf("%s was received in full and is charged %d times", id, charged[id])
		}
	}
	for id, n := range charged {
		if n != 1 || abandoned[id] > 1 {
			t.Errorf("%s is charged %d times and abandoned %d times", id, n, abandoned[id])
		}
	}
	t.Logf("%d kills left holds; %d answers received in full, %d charged, %d abandoned", struck, len(received), len(charged), len(abandoned))
}

// loadUntilKilled lets clients call a process that is killed meanwhile, and
// returns the request ids of the answers that were received in full.
func loadUntilKilled(p *process, key string) (received []string) {
	var mu sync.Mutex
	var clients sync.WaitGroup
	started := make(chan struct{})
	var first sync.Once
	for client := range killClients {
		clients.Go(func() {
			for i := range killCalls {
				path, body := killCall(client + i)
				r := p.send("POST", path, key, body)
				first.Do(func() { close(started) })
				if r.status == 0 {
					return // the process is gone
				}
				if whole(r) {
					mu.Lock()
					received = append(received, r.header.Get("x-request-id"))
					mu.Unlock()
				}
			}
		})
	}
	<-started
	time.Sleep(time.Duration(50+rand.IntN(500)) * time.Millisecond)
	p.kill()
	clients.Wait()
	return received
}

// killCall is one of the kinds of calls that the load is made of.
func killCall(i int) (path, body string) {
	switch i % 4 {
	case 0:
		return chatPath, chat("gpt-4o", "usage=100,50;latency=5ms")
	case 1:
		return chatPath, chat("gpt-4o", "usage=100,50;chunks=10;delay=3ms", streamed)
	case 2:
		return chatPath, chat("glm-4.6", "usage=200,20;chunks=5;delay=3ms", streamed)
	}
	return imagePath, image("cogview-4", "images=1")
}

// whole reports whether a client would take this answer for the whole: a JSON
// body of the announced length, or a stream up to its [DONE].
func whole(r reply) bool {
	if r.status != 200 {
		return false
	}
	if strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream") {
		return strings.Contains(r.body, "data: [DONE]")
	}
	return r.err == nil
}
