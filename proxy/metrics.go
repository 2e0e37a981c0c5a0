package proxy

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// Metrics are what an operator watches. They are drawn from receipts and
// refusals, so that they cannot disagree with the journal. Labels are names
// from the configuration and the price tables: their number is bounded. A model
// that only a pattern knows counts under the pattern.
type Metrics struct {
	requests  *prometheus.CounterVec // endpoint, outcome
	charges   *prometheus.CounterVec // model; currency units
	tokens    *prometheus.CounterVec // model, dimension
	estimated *prometheus.CounterVec // model
	unpriced  *prometheus.CounterVec // model, dimension
	overruns  prometheus.Counter
	attempts  *prometheus.CounterVec   // upstream, outcome
	firstByte *prometheus.HistogramVec // upstream; seconds
	duration  *prometheus.HistogramVec // endpoint; seconds
	ledger    *prometheus.HistogramVec // op, outcome; seconds
	held      prometheus.Gauge
	holdAge   prometheus.Histogram // seconds
	unbooked  prometheus.Counter
	pending   prometheus.Counter
}

// NewMetrics registers the metrics; a nil registerer keeps them unregistered.
func NewMetrics(to prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests:  counters("requests_total", "Requests by endpoint and outcome: charged, or the code of the refusal.", "endpoint", "outcome"),
		charges:   counters("charged_total", "Cash charged, in currency units (for display: the journal is exact).", "model"),
		tokens:    counters("usage_total", "Units used, by dimension.", "model", "dimension"),
		estimated: counters("estimated_total", "Charges whose usage was estimated, because the upstream reported none.", "model"),
		unpriced:  counters("unpriced_total", "Units booked at 0 because they have no price, by dimension.", "model", "dimension"),
		overruns:  prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tollgate", Name: "overruns_total", Help: "Charges above their hold."}),
		attempts:  counters("upstream_attempts_total", "Attempts on upstreams, by outcome.", "upstream", "outcome"),
		firstByte: histograms("upstream_first_byte_seconds", "From the arrival of a request to the head of the upstream's answer.", prometheus.ExponentialBuckets(0.005, 2, 14), "upstream"),
		duration:  histograms("request_seconds", "From the arrival of a request to its end.", prometheus.ExponentialBuckets(0.005, 2, 16), "endpoint"),
		ledger:    histograms("ledger_seconds", "Questions to the ledger.", prometheus.ExponentialBuckets(0.0001, 2, 15), "op", "outcome"),
		held:      prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tollgate", Name: "calls_in_flight", Help: "Calls of this process that hold money."}),
		holdAge:   prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "tollgate", Name: "hold_age_seconds", Help: "How long a hold lasted until it was settled or released.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 16)}),
		unbooked:  prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tollgate", Name: "unbooked_total", Help: "Charges that neither the ledger nor the settlement log could take: the end of their answers was withheld."}),
		pending:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tollgate", Name: "pending_total", Help: "Charges that went to the settlement log because the ledger was away, to be booked later."}),
	}
	if to != nil {
		to.MustRegister(m.requests, m.charges, m.tokens, m.estimated, m.unpriced, m.overruns, m.attempts,
			m.firstByte, m.duration, m.ledger, m.held, m.holdAge, m.unbooked, m.pending)
	}
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tollgate", Name: name, Help: help}, labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "tollgate", Name: name, Help: help, Buckets: buckets}, labels)
}

// ObserveLedger is the ledger's Observe hook.
func (m *Metrics) ObserveLedger(op string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "error"
	}
	m.ledger.WithLabelValues(op, outcome).Observe(took.Seconds())
}

func (m *Metrics) attempt(upstream, outcome string) {
	m.attempts.WithLabelValues(upstream, outcome).Inc()
}

// refused counts a request that never became a call.
func (m *Metrics) refused(code string) { m.requests.WithLabelValues("none", code).Inc() }

// ended counts a call: its receipt, or why there is none.
func (m *Metrics) ended(c *call, took time.Duration) {
	m.duration.WithLabelValues(c.endpoint.Name).Observe(took.Seconds())
	if c.firstByte > 0 {
		m.firstByte.WithLabelValues(c.upstream.Name).Observe(c.firstByte.Seconds())
	}
	m.requests.WithLabelValues(c.endpoint.Name, c.outcome()).Inc()
	switch {
	case c.receipt == nil:
	case c.receipt.Pending:
		m.pending.Inc() // what it comes to is known when it is booked
	default:
		m.charged(c.receipt, c.routing.label(c.request.Model, c.upstream.upstream))
	}
}

func (m *Metrics) charged(r *ledger.Receipt, model string) {
	m.charges.WithLabelValues(model).Add(units(r.FeeDue()))
	for d, n := range r.Usage.NonZero() {
		m.tokens.WithLabelValues(model, d.String()).Add(float64(n))
	}
	for i := range r.Lines {
		if line := &r.Lines[i]; line.Unpriced {
			m.unpriced.WithLabelValues(model, line.Dimension.String()).Add(float64(line.Quantity))
		}
	}
	if r.UsageSource == meter.Estimated {
		m.estimated.WithLabelValues(model).Inc()
	}
	if r.Overrun > 0 {
		m.overruns.Inc()
	}
}

// units is an amount as a metric shows it. No money is computed from it.
func units(n meter.Nano) float64 { return float64(n) / float64(meter.NanoPerUnit) }

func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }
