package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
)

// watchTally shows as metrics what the ledger has met of the invariants that
// are checked while it runs. Each help text names its invariant.
func watchTally(to prometheus.Registerer, l *ledger.Ledger) {
	counter := func(name, help string, labels prometheus.Labels, value func(ledger.Tally) int64) {
		to.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "tollgate", Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(l.Tally())) }))
	}
	gauge := func(name, help string, value func(ledger.Tally) int64) {
		to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tollgate", Name: name, Help: help},
			func() float64 { return float64(value(l.Tally())) }))
	}
	counter("losses_total", "How often Redis turned out to lack what it had acknowledged (SAME-FATE).", nil,
		func(t ledger.Tally) int64 { return t.Losses })
	counter("put_back_entries_total", "Journal entries that Redis had lost and the archive gave back (ARCHIVE-PREFIX).", nil,
		func(t ledger.Tally) int64 { return t.PutBack })
	counter("replayed_total", "Charges that were booked from the settlement log (NO-LOST).", nil,
		func(t ledger.Tally) int64 { return t.Replayed })
	counter("conflicts_total", "Ends of a request that contradict the end that is on the books (STICKY, ONCE).", nil,
		func(t ledger.Tally) int64 { return t.Conflicts })
	swept := func(outcome string, value func(ledger.Tally) int64) {
		counter("swept_total", "Abandoned holds and expired packs that the sweeper ended (RESOLVE).", prometheus.Labels{"outcome": outcome}, value)
	}
	swept("charged", func(t ledger.Tally) int64 { return t.Abandoned })
	swept("released", func(t ledger.Tally) int64 { return t.Released })
	swept("expired", func(t ledger.Tally) int64 { return t.Expired })
	gauge("holds_open", "Holds that the last sweep left, of all proxies (HOLD-SUM).", func(t ledger.Tally) int64 { return t.Open })
	gauge("holds_kept", "Holds whose time is over, kept by policy.on_abandoned: hold (RESOLVE).", func(t ledger.Tally) int64 { return t.Kept })
}
