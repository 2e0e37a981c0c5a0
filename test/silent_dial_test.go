package e2e

import (
	"net"
	"strings"
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
	w.onlyCharge("acme")
}
