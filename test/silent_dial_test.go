package e2e

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// An upstream with which no connection comes about is away, however short its
// timeout: the next is asked, and without a next it is 502, as after the ten
// seconds that a connection may take at most.
func TestAConnectionThatDoesNotComeAboutMovesOn(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing of TLS
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	dead := w.upstreamItem("mute", "https://"+mute.Addr().String(), ", priority: 1, timeout: 300ms")
	w.withUpstreams(dead, w.upstreamItem("second", w.up.url, ", priority: 2"))
	r := w.serve().post(chatPath, key, chat("gpt-4o", "usage=100,50"))
	r.requireStatus(t, 200)
	equal(t, "cost", r.header.Get("x-tollgate-cost"), "0.0025")
	charge := w.onlyCharge("acme")
	equal(t, "upstream", charge.Get("upstream").String(), "second")

	w.withUpstreams(dead)
	p := w.serve()
	r = p.post(chatPath, key, chat("gpt-4o", "usage=100,50"))
	refusal{status: 502, code: "upstream_unavailable"}.require(t, r)
	if line := p.logLine(r.header.Get("x-request-id")); !strings.Contains(line, "mute: no connection within the upstream's timeout") {
		t.Errorf("the log does not say why: %s", line)
	}
	equal(t, "attempts that failed", p.metric(`tollgate_upstream_attempts_total{outcome="error",upstream="mute"}`), 1)
	w.onlyCharge("acme")
}

// P4: a client that leaves while no upstream has its request yet has used nothing,
// though what is made for it is cut at once. That is no fault of the upstream's.
func TestLeaveBeforeAnUpstreamHasTheRequest(t *testing.T) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	var dialed atomic.Bool
	go func() {
		if conn, err := mute.Accept(); err == nil {
			defer conn.Close()
			dialed.Store(true)
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	w := newWorld(t, policy("on_disconnect: cancel"))
	w.account("acme", "10")
	key, _ := w.key("acme")
	w.withUpstreams(w.upstreamItem("mute", "https://"+mute.Addr().String(), ""))
	p := w.serve()
	begin(t, p, key, chat("gpt-4o", "usage=100,50"), dialed.Load).leave()
	w.requireNoCharge("acme")
	equal(t, "attempts that failed", p.metric(`tollgate_upstream_attempts_total{outcome="error",upstream="mute"}`), 0)
}
