package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
)

// ArchiveMetrics show how far the archive is.
type ArchiveMetrics struct {
	backlog, lag, last, forked prometheus.Gauge
	archived, failures         prometheus.Counter
}

// NewArchiveMetrics registers the metrics; a nil registerer keeps them unregistered.
func NewArchiveMetrics(to prometheus.Registerer) *ArchiveMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tollgate", Subsystem: "archive", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tollgate", Subsystem: "archive", Name: name, Help: help})
	}
	m := &ArchiveMetrics{
		backlog:  gauge("backlog_entries", "Journal entries in Redis that are not archived yet."),
		lag:      gauge("lag_seconds", "How long the oldest of them has waited."),
		last:     gauge("last_success_timestamp_seconds", "When everything there was had last been archived."),
		forked:   gauge("forked_shards", "Shards whose archiving has stopped, because Redis and the archive disagree (ARCHIVE-PREFIX): a person must look."),
		archived: counter("archived_entries_total", "Journal entries that this process has archived."),
		failures: counter("failures_total", "Rounds of archiving that failed."),
	}
	if to != nil {
		to.MustRegister(m.backlog, m.lag, m.last, m.forked, m.archived, m.failures)
	}
	return m
}

// Observe is the ledger's ObserveArchive hook.
func (m *ArchiveMetrics) Observe(s ledger.ArchiveState) {
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
