package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// synced keeps what Redis has acknowledged over a kill: what everysec may lose
// then is not what these tests are about, and without an archive it would not
// come back.
func synced(s *settings) { s.redis = append(s.redis, redistest.WithAOF("always")) }

// refusedFast demands that new calls are refused without a pile-up.
func refusedFast(t *testing.T, p *process, key string) {
	t.Helper()
	want := refusal{status: 503, code: "metering_unavailable", kind: "server_error"}
	began := time.Now()
	for range 20 {
		want.require(t, p.post(chatPath, key, chat("gpt-4o", "usage=1,1")))
	}
	if took := time.Since(began); took > 10*time.Second { // half of what one try of Redis after the other may take
		t.Errorf("20 refusals took %s", took)
	}
}

// inFlight starts calls, JSON and streams by turns, and waits until all of them
// stand before the upstream.
func inFlight(t *testing.T, w *world, p *process, key string, n int) (answers chan reply, open func()) {
	t.Helper()
	open = w.up.hold()
	answers = make(chan reply, n)
	for i := range n {
		body := chat("gpt-4o", "usage=100,50")
		if i%2 == 1 {
			body = chat("gpt-4o", "usage=100,50;chunks=10", streamed)
		}
		go func() { answers <- p.send("POST", chatPath, key, body) }()
	}
	eventually(t, "the calls are in flight", func() bool { return w.up.waiting.Load() == int64(n) })
	return answers, open
}

// wholeAnswers demands that all answers end normally, and returns their request ids.
func wholeAnswers(t *testing.T, answers chan reply, n int, check func(r reply)) (ids []string) {
	t.Helper()
	for range n {
		r := <-answers
		if !whole(r) {
			t.Errorf("an answer did not end normally: status %d, %v\n%s", r.status, r.err, tail(r.body))
		}
		check(r)
		ids = append(ids, r.header.Get("x-request-id"))
	}
	return ids
}

// receiptOf are the receipt's fields, wherever they came.
func receiptOf(r reply, name string) string {
	return r.header.Get(name) + r.trailer.Get(name)
}

// pendingWithCost demands what is said of a charge that is in the settlement log.
func pendingWithCost(t *testing.T, cost string) func(r reply) {
	return func(r reply) {
		t.Helper()
		equal(t, "pending", receiptOf(r, "x-tollgate-pending"), "true")
		equal(t, "cost", receiptOf(r, "x-tollgate-cost"), cost)
		equal(t, "total", receiptOf(r, "x-tollgate-usage-total"), "150")
		equal(t, "paid", receiptOf(r, "x-tollgate-paid-recharge"), "")
	}
}

// requireCharged demands exactly one charge for each of the ids, and no others.
func (w *world) requireCharged(account string, ids []string) {
	w.t.Helper()
	var charged map[string]int
	eventually(w.t, fmt.Sprintf("%d charges", len(ids)), func() bool {
		charged = make(map[string]int)
		for _, entry := range w.entries(account, "charge") {
			charged[entry.Get("request_id").String()]++
		}
		return len(charged) >= len(ids)
	})
	for _, id := range ids {
		equal(w.t, "charges of "+id, charged[id], 1)
	}
	equal(w.t, "requests charged", len(charged), len(ids))
	equal(w.t, "abandoned", len(w.entries(account, "abandon")), 0)
}

// Redis goes away with calls in flight. Their answers end normally, new calls
// are refused at once, and when Redis is back each answer is charged once.
func TestOutageWithCallsInFlight(t *testing.T) {
	for name, tt := range map[string]struct {
		pack   string
		cost   string
		kill   bool
		ledger string
	}{
		"cash":   {cost: "0.0025"},
		"strict": {cost: "0.0025", kill: true, ledger: "durability: strict"},
		"packs":  {pack: "400", kill: true}, // who pays is not known yet: no cost is told
	} {
		t.Run(name, func(t *testing.T) {
			const calls = 8
			w, p, key := acme(t, synced, func(s *settings) { s.ledger = tt.ledger })
			if tt.pack != "" {
				w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", tt.pack)
			}
			answers, open := inFlight(t, w, p, key, calls)
			if tt.kill {
				w.redis.Kill()
			} else {
				w.redis.Stop()
			}
			refusedFast(t, p, key)
			open()
			ids := wholeAnswers(t, answers, calls, pendingWithCost(t, tt.cost))
			eventually(t, "the log says charged_later", func() bool {
				return strings.Count(p.stderr.String(), `"outcome":"charged_later"`) == calls
			})
			w.redis.Start()
			w.requireCharged("acme", ids)
			w.requireSettled("acme")
			eventually(t, "calls are admitted again", func() bool {
				return p.post(chatPath, key, chat("gpt-4o", "usage=1,1")).status == 200
			})
			p.stop()
			requireJSONLog(t, p)
		})
	}
}

// Redis goes away in the middle of a stream. The stream is not cut.
func TestOutageMidStream(t *testing.T) {
	w, p, key := acme(t, synced)
	reached, release := w.up.stallBefore(5)
	answers := make(chan reply, 1)
	go func() {
		answers <- p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;chunks=10", streamed), "x-tollgate-receipt", "body")
	}()
	<-reached
	w.redis.Kill()
	release()
	ids := wholeAnswers(t, answers, 1, func(r reply) {
		pendingWithCost(t, "0.0025")(r)
		if !strings.Contains(r.body, `"cost":"0.0025"`) || !strings.Contains(r.body, `"pending":true`) {
			t.Errorf("the usage does not tell the cost, and that it is pending:\n%s", tail(r.body))
		}
	})
	w.redis.Start()
	w.requireCharged("acme", ids)
	w.requireSettled("acme")
}

// An upstream's error during the outage costs nothing, and its hold comes back.
func TestOutageReleases(t *testing.T) {
	w, p, key := acme(t, synced)
	open := w.up.hold()
	answers := make(chan reply, 1)
	go func() { answers <- p.send("POST", chatPath, key, chat("gpt-4o", "status=400")) }()
	eventually(t, "the call is in flight", func() bool { return w.up.waiting.Load() == 1 })
	w.redis.Stop()
	open()
	equal(t, "status", (<-answers).status, 400)
	w.redis.Start()
	w.requireNoCharge("acme")
}

// The proxy is killed while Redis is away: what it had promised is booked by
// its next start, and the holds of calls that died with it come back at once,
// although their time to live is a quarter of an hour.
func TestOutageAndKillNine(t *testing.T) {
	const calls = 6
	w, p, key := acme(t, synced)
	answers, open := inFlight(t, w, p, key, calls)
	w.redis.Kill()
	open()
	ids := wholeAnswers(t, answers, calls, pendingWithCost(t, "0.0025"))
	p.kill()
	w.redis.Start()
	p = w.serve()
	w.requireCharged("acme", ids)
	_, open = inFlight(t, w, p, key, calls)
	defer open()
	w.redis.Kill()
	p.kill()
	w.redis.Start()
	w.serve()
	w.requireCharged("acme", ids)
	w.requireSettled("acme")
}

// SIGTERM during the outage: the process ends well, says what is left in the
// log, and another adopts it by the verb, once and again.
func TestOutageAndShutdown(t *testing.T) {
	const calls = 4
	w, p, key := acme(t, synced)
	answers, open := inFlight(t, w, p, key, calls)
	w.redis.Kill()
	open()
	ids := wholeAnswers(t, answers, calls, pendingWithCost(t, "0.0025"))
	p.stop()
	if log := p.stderr.String(); !strings.Contains(log, "not yet in the ledger") {
		t.Errorf("the log does not say what is left:\n%s", tail(log))
	}
	w.redis.Start()
	dir := "proxy-0/data/settlements"
	done := w.verb("log", "replay", dir)
	equal(t, "settled", done.Get("settled").Int(), calls)
	equal(t, "doubts", len(done.Get("doubts").Array()), 0)
	again := w.verb("log", "replay", dir)
	equal(t, "settled again", again.Get("settled").Int(), 0)
	equal(t, "booked already", again.Get("already_booked").Int(), calls)
	w.requireCharged("acme", ids)
	w.requireSettled("acme")
	w.serve()
	_, stderr, code := w.run("log", "replay", dir)
	if code != 1 || !strings.Contains(stderr, "in use by another process") {
		t.Errorf("the log of a living proxy: exit %d, %s", code, stderr)
	}
	_, stderr, code = w.run("log", "replay", "nowhere")
	if code != 1 || !strings.Contains(stderr, "no settlement log") {
		t.Errorf("no log: exit %d, %s", code, stderr)
	}
}

// Proxies that are started side by side, from one configuration in one
// directory, each have a log of their own.
func TestLogOfItsOwn(t *testing.T) {
	w, _, _ := acme(t)
	p := w.startIn("proxy-0", "serve", "-c", w.config)
	eventually(t, "the second proxy listens", func() bool { return strings.Contains(p.stdout.String(), "listening on") })
	p.stop()
}
