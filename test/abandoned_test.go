package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// shortHold is how long a hold lives without its proxy. It is extended when a third of that is over: a proxy that gets no processor
// for two thirds looks dead.
const shortHold = 4 * time.Second

// stalledStream begins a stream that stops half way, and waits until its hold
// has outlived its time to live: heartbeats have extended it, with a
// checkpoint of what was delivered.
func stalledStream(t *testing.T, w *world, p *process, key string) (stream <-chan reply, release func()) {
	t.Helper()
	reached, release := w.up.stallBefore(20)
	ended := make(chan reply, 1)
	go func() {
		ended <- p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50;bytes=400;chunks=40", streamed))
	}()
	<-reached
	eventually(t, "the hold outlives its time", func() bool {
		hold := w.verb("hold", "list", "acme").Get("0")
		if !hold.Exists() || len(w.entries("acme", "charge", "abandon")) != 0 {
			t.Fatal("the hold of a call in flight was swept")
		}
		return hold.Get("delivered").Exists() && hold.Get("ends_at").Time().Sub(hold.Get("placed_at").Time()) > 2*shortHold
	})
	return ended, release
}

// requireHalfCharged returns the one charge of a stalledStream whose process died,
// which must be for what it had delivered.
func (w *world) requireHalfCharged() gjson.Result {
	w.t.Helper()
	abandon := w.onlyCharge("acme")
	equal(w.t, "type", abandon.Get("type").String(), "abandon")
	equal(w.t, "source", abandon.Get("usage_source").String(), "estimated")
	if output := abandon.Get("usage.output").Int(); output <= 0 || output > 60 {
		w.t.Errorf("%d tokens of output charged for half of a reply of 100", output)
	}
	return abandon
}

// A process dies in the middle of a stream: what it had delivered is charged by
// the sweeper of another, once.
func TestAbandonedStreamIsCharged(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.ledger = "hold_ttl: " + shortHold.String() })
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	_, release := stalledStream(t, w, p, key)
	defer release()
	p.kill()
	w.serve()
	w.requireHalfCharged()
}

// A process that was given up settles after all: the abandoned charge is
// refunded, and the true one booked.
func TestLateSettlement(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.ledger = "hold_ttl: " + shortHold.String() })
	w.account("acme", "10")
	key, _ := w.key("acme")
	slow := w.serve()
	w.serve() // its sweeper finds the hold
	stream, release := stalledStream(t, w, slow, key)
	defer release()
	slow.signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = slow.cmd.Process.Signal(syscall.SIGCONT) })
	eventually(t, "the hold is swept", func() bool { return len(w.entries("acme", "abandon")) == 1 })
	slow.signal(syscall.SIGCONT)
	release()
	if r := <-stream; !whole(r) {
		t.Errorf("the stream did not end well: %v\n%s", r.err, r.body)
	}
	shown := w.requireSettled("acme")
	equal(t, "balance", shown.Get("wallets.recharge.balance").String(), "9.9975")
	equal(t, "charges", len(w.entries("acme", "charge")), 1)
	equal(t, "refunds", len(w.entries("acme", "refund")), 1)
}

// Where policy.on_abandoned says so, what a dead process had delivered is charged
// when somebody has looked, and not before.
func TestAKeptHoldIsEndedByHand(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.ledger, s.policy = "hold_ttl: "+shortHold.String(), "on_abandoned: hold" })
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	_, release := stalledStream(t, w, p, key)
	defer release()
	p.kill()
	w.serve() // which replays the log of the dead one, and keeps the hold
	eventually(t, "the hold is past its time", func() bool { return len(w.verb("hold", "list").Array()) == 1 })
	kept := w.verb("hold", "list", "acme").Get("0")
	equal(t, "overdue", kept.Get("overdue").Bool(), true)
	equal(t, "charged before", len(w.entries("acme", "charge", "abandon")), 0)
	ended := w.verb("hold", "end", "acme", kept.Get("request_id").String(), "--charge")
	equal(t, "fee", ended.Get("fee").String(), kept.Get("delivered").String())
	equal(t, "fee of the entry", w.requireHalfCharged().Get("fee").String(), kept.Get("delivered").String())
	equal(t, "held", w.verb("account", "show", "acme").Get("held").String(), "0")
}
