package proxy

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// What another unit pays for is used, and counted as the receipt says it: the
// tokens of a call that is billed by the call are on no line.
func TestUsageThatIsOnNoLineIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	r := &ledger.Receipt{Entry: ledger.Entry{Lines: []ledger.ChargeLine{{Line: meter.Line{Dimension: meter.Call, Quantity: 1}}}}}
	r.Usage.Quantities = meter.Quantities{meter.Call: 1, meter.Input: 100, meter.Output: 50}
	m.charged(r, "by-call")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "tollgate_usage_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "dimension" {
					counted[label.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	if len(counted) != 3 || counted["call"] != 1 || counted["input"] != 100 || counted["output"] != 50 {
		t.Errorf("counted %v", counted)
	}
}
