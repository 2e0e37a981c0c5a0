package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// SIGHUP puts new prices and upstreams in force, all or nothing.
func TestReload(t *testing.T) {
	w, p, key := acme(t)
	cost := func() string {
		r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50"))
		r.requireStatus(t, 200)
		return r.header.Get("x-tollgate-cost")
	}
	equal(t, "cost", cost(), "0.0025")

	w.write("prices.yaml", strings.ReplaceAll(testPrices, "output: 30/1M", "output: 60/1M"))
	p.signal(syscall.SIGHUP)
	eventually(t, "the new prices are in force", func() bool { return cost() == "0.004" })

	// A good price beside a broken one, and then good prices beside a broken upstream.
	said := len(p.stderr.String())
	w.write("prices.yaml", strings.ReplaceAll(strings.ReplaceAll(testPrices, "output: 30/1M", "output: 90/1M"), "image: 0.06", "image: free"))
	p.signal(syscall.SIGHUP)
	eventually(t, "the broken prices are complained about", func() bool { return strings.Contains(p.stderr.String()[said:], "prices.yaml") })
	equal(t, "cost after broken prices", cost(), "0.004")

	said = len(p.stderr.String())
	w.write("prices.yaml", strings.ReplaceAll(testPrices, "output: 30/1M", "output: 90/1M"))
	w.withUpstreams(w.upstreamItem("sim", w.up.url, ", priority: many"))
	p.signal(syscall.SIGHUP)
	eventually(t, "the broken upstream is complained about", func() bool { return strings.Contains(p.stderr.String()[said:], "priority") })
	equal(t, "cost after a broken upstream", cost(), "0.004")

	other := startUpstream(t, w.made.mock)
	w.withUpstreams(w.upstreamItem("other", other.url, ""))
	p.signal(syscall.SIGHUP)
	eventually(t, "the new upstream is in force", func() bool { cost(); return other.Stats().Completed > 0 })
	equal(t, "cost", cost(), "0.0055")
	w.requireSettled("acme")
}

// A call keeps the prices that it began with.
func TestReloadDuringACall(t *testing.T) {
	w, p, key := acme(t)
	open := w.up.hold()
	slow := make(chan reply, 1)
	go func() { slow <- p.send("POST", chatPath, key, chat("gpt-4o", "usage=100,50")) }()
	eventually(t, "the call is upstream", func() bool { return w.up.waiting.Load() == 1 })
	w.write("prices.yaml", strings.ReplaceAll(testPrices, "output: 30/1M", "output: 60/1M"))
	p.signal(syscall.SIGHUP)
	eventually(t, "the new prices are in force", func() bool {
		return p.post("/v1/quote", key, `{"model":"gpt-4o","usage":{"input":100,"output":50}}`).get("fee").String() == "0.004"
	})
	open()
	requireHeaders(t, (<-slow).header, "x-tollgate-cost", "0.0025")
	w.requireSettled("acme")
}
