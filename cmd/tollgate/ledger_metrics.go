package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
)

// The ledger does not know Prometheus: what it tells of its archive, its
// settlement log and its tally becomes metrics here.

// archiveMetrics show how far the archive is.
type archiveMetrics struct {
	backlog, lag, last, forked prometheus.Gauge
	archived, failures         prometheus.Counter
}

// newArchiveMetrics registers the metrics.
func newArchiveMetrics(to prometheus.Registerer) *archiveMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tollgate", Subsystem: "archive", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tollgate", Subsystem: "archive", Name: name, Help: help})
	}
	m := &archiveMetrics{
		backlog:  gauge("backlog_entries", "Journal entries in Redis that are not archived yet."),
		lag:      gauge("lag_seconds", "How long the oldest of them has waited."),
		last:     gauge("last_success_timestamp_seconds", "When everything there was had last been archived."),
		forked:   gauge("forked_shards", "Shards whose archiving has stopped, because Redis and the archive disagree (ARCHIVE-PREFIX): a person must look."),
		archived: counter("archived_entries_total", "Journal entries that this process has archived."),
		failures: counter("failures_total", "Rounds of archiving that failed."),
	}
	to.MustRegister(m.backlog, m.lag, m.last, m.forked, m.archived, m.failures)
	return m
}

// observe is the ledger's ObserveArchive hook.
func (m *archiveMetrics) observe(s ledger.ArchiveState) {
	m.backlog.Set(float64(s.Backlog))
	m.lag.Set(s.Lag.Seconds())
	if !s.At.IsZero() {
		m.last.Set(float64(s.At.Unix()))
	}
	m.forked.Set(float64(len(s.Forked)))
	m.archived.Add(float64(s.Archived))
	if s.Err != nil {
		m.failures.Inc()
	}
}

// readyBound is how long a scrape waits for a ledger that does not answer.
const readyBound = 2 * time.Second

// watchReady shows what /readyz says. Refused calls tell the most of it, too, but not
// behind a load balancer that goes by /readyz: then there are no calls to refuse.
func watchReady(to prometheus.Registerer, l *ledger.Ledger) {
	to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "tollgate", Name: "ledger_ready", Help: "1 while /readyz finds nothing wrong but a shutdown, else 0.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), readyBound)
		defer cancel()
		if l.Ready(ctx) != nil {
			return 0
		}
		return 1
	}))
}

// watchLog shows the state of the settlement log as metrics.
func watchLog(to prometheus.Registerer, l *ledger.Ledger) {
	if _, logged := l.LogState(); !logged {
		return
	}
	gauge := func(name, help string, value func(ledger.LogState) float64) {
		to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tollgate", Subsystem: "log", Name: name, Help: help},
			func() float64 { state, _ := l.LogState(); return value(state) }))
	}
	gauge("bytes", "Size of the settlement log.", func(s ledger.LogState) float64 { return float64(s.Bytes) })
	gauge("bound_bytes", "Size at which the settlement log stops admission.", func(s ledger.LogState) float64 { return float64(s.Bound) })
	gauge("pending", "Calls that have ended and are not yet in the ledger.", func(s ledger.LogState) float64 { return float64(s.Pending) })
	gauge("doubts", "Records that replay could not book: see doubts.jsonl beside the log.", func(s ledger.LogState) float64 { return float64(s.Doubts) })
}

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
