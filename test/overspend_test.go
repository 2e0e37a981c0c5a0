package e2e

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// crowd is how many requests are sent at once.
const crowd = 50

// stampede sends one request by each of a crowd at the same time, spread over
// the processes. The upstream answers none of them before all others have been
// refused, so that all of them overlap.
func stampede(t *testing.T, w *world, processes []*process, key, path, body string) []reply {
	t.Helper()
	open := w.up.hold()
	defer open()
	replies := make([]reply, crowd)
	var answered atomic.Int64
	var senders sync.WaitGroup
	start := make(chan struct{})
	for i := range replies {
		senders.Go(func() {
			<-start
			replies[i] = processes[i%len(processes)].send("POST", path, key, body)
			answered.Add(1)
		})
	}
	close(start)
	eventually(t, "each request is refused or stands at the upstream", func() bool {
		return answered.Load()+w.up.waiting.Load() == crowd
	})
	open()
	senders.Wait()
	return replies
}

// requireOutcome demands that exactly want of the crowd were answered, and the
// others refused with one of the codes.
func requireOutcome(t *testing.T, w *world, replies []reply, want int, codes ...string) {
	t.Helper()
	served := 0
	for _, r := range replies {
		switch {
		case r.err == nil && r.status == 200:
			served++
		case r.err != nil || r.status != 429 || !slices.Contains(codes, r.get("error.code").String()):
			t.Errorf("refused by %d %s %v, want 429 and one of %v", r.status, r.body, r.err, codes)
		}
	}
	equal(t, "answered", served, want)
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, int64(want))
}

// eachFleet runs a test on one process, and on three over one Redis.
func eachFleet(t *testing.T, test func(t *testing.T, w *world, fleet []*process)) {
	for name, size := range map[string]int{"one process": 1, "three processes": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var fleet []*process
			for range size {
				fleet = append(fleet, w.serve())
			}
			test(t, w, fleet)
		})
	}
}

// P1: a balance for exactly two calls, fifty at once.
func TestNoOverspendOfABalance(t *testing.T) {
	eachFleet(t, func(t *testing.T, w *world, fleet []*process) {
		w.account("acme", "0.12")
		key, _ := w.key("acme")
		replies := stampede(t, w, fleet, key, imagePath, image("cogview-4", "images=1"))
		requireOutcome(t, w, replies, 2, "in_flight_quota_exhausted", "insufficient_quota")
		shown := w.requireSettled("acme")
		equal(t, "balance", shown.Get("wallets.recharge.balance").String(), "0")
		equal(t, "charges", len(w.entries("acme", "charge")), 2)
		after := fleet[0].post(imagePath, key, image("cogview-4", "images=1"))
		after.requireStatus(t, 429)
		equal(t, "code once all is spent", after.get("error.code").String(), "insufficient_quota")
	})
}

// P1: a pack of exactly two images.
func TestNoOverspendOfAPack(t *testing.T) {
	eachFleet(t, func(t *testing.T, w *world, fleet []*process) {
		w.account("acme", "0")
		w.verb("pack", "grant", "acme", "--unit", "image", "--quantity", "2", "--models", "cogview*")
		key, _ := w.key("acme")
		replies := stampede(t, w, fleet, key, imagePath, image("cogview-4", "images=1"))
		requireOutcome(t, w, replies, 2, "in_flight_quota_exhausted", "insufficient_quota")
		shown := w.requireSettled("acme")
		equal(t, "left in the pack", shown.Get("packs.0.remaining").Int(), 0)
		equal(t, "balance", shown.Get("wallets.recharge.balance").String(), "0")
		for _, charge := range w.entries("acme", "charge") {
			equal(t, "fee", charge.Get("fee").String(), "0")
			equal(t, "paid by the pack", charge.Get("paid.0.quantity").Int(), 1)
		}
	})
}

// P1: of two upstreams one is paid by the token and one by the call. A pack of tokens pays for the dearer, and the account
// has nothing for the other.
func TestNoOverspendBesideAPack(t *testing.T) {
	w := newWorld(t, func(s *settings) {
		s.prices = `currency: CNY
prices:
  - {models: [gpt-4o], upstreams: [calls], rates: {call: 0.001}}
  - {models: [gpt-4o], upstreams: [tokens], rates: {input: 1/1K, output: 1/1K}}
`
	})
	w.withUpstreams(w.upstreamItem("calls", w.up.url, ""), w.upstreamItem("tokens", w.up.url, ", priority: 1"))
	w.account("acme", "0.001")
	w.verb("pack", "grant", "acme", "--quantity", "100000")
	key, _ := w.key("acme")
	p := w.serve()
	p.post(chatPath, key, chat("gpt-4o", "usage=10,10")).requireStatus(t, 200)
	r := p.post(chatPath, key, chat("gpt-4o", "usage=10,10"))
	equal(t, "code without money for a call", r.get("error.code").String(), "insufficient_quota")
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "0")
}

// P1: a key that may spend what two calls cost, of an account that has plenty.
func TestNoOverspendOfAKey(t *testing.T) {
	eachFleet(t, func(t *testing.T, w *world, fleet []*process) {
		w.account("acme", "100")
		key, _ := w.key("acme", "--spend-total", "0.12")
		replies := stampede(t, w, fleet, key, imagePath, image("cogview-4", "images=1"))
		requireOutcome(t, w, replies, 2, "in_flight_quota_exhausted", "key_quota_exceeded")
		equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "99.88")
		after := fleet[0].post(imagePath, key, image("cogview-4", "images=1"))
		after.requireStatus(t, 429)
		equal(t, "code once all is spent", after.get("error.code").String(), "key_quota_exceeded")
	})
}

// A key of two requests a minute.
func TestNoMoreThanTheRate(t *testing.T) {
	eachFleet(t, func(t *testing.T, w *world, fleet []*process) {
		w.account("acme", "100")
		key, _ := w.key("acme", "--rpm", "2")
		replies := stampede(t, w, fleet, key, imagePath, image("cogview-4", "images=1"))
		requireOutcome(t, w, replies, 2, "rate_limit_exceeded")
		w.requireSettled("acme")
	})
}

// A key of two requests at once.
func TestNoMoreThanInParallel(t *testing.T) {
	eachFleet(t, func(t *testing.T, w *world, fleet []*process) {
		w.account("acme", "100")
		key, _ := w.key("acme", "--parallel", "2")
		replies := stampede(t, w, fleet, key, imagePath, image("cogview-4", "images=1"))
		requireOutcome(t, w, replies, 2, "rate_limit_exceeded")
		w.requireSettled("acme")
		again := fleet[0].post(imagePath, key, image("cogview-4", "images=1"))
		again.requireStatus(t, 200)
	})
}

// Without a gate: answers come while others ask, holds come back while others are placed.
func TestNoOverspendUnderChurn(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "0.6") // ten images
	key, _ := w.key("acme")
	fleet := []*process{w.serve(), w.serve()}
	var served atomic.Int64
	var senders sync.WaitGroup
	for i := range 8 {
		senders.Go(func() {
			for range 20 {
				if r := fleet[i%2].send("POST", imagePath, key, image("cogview-4", "images=1")); r.status == 200 {
					served.Add(1)
				}
			}
		})
	}
	senders.Wait()
	equal(t, "answered", served.Load(), 10)
	equal(t, "balance", w.requireSettled("acme").Get("wallets.recharge.balance").String(), "0")
}
