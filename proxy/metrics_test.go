package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// Clients choose the names that a pattern serves and prices: they must not
// choose how many series there are.
func TestModelLabelsAreBounded(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "a.yaml", Data: []byte(`currency: CNY
prices:
  - {models: [glm-4.6], rates: {input: 1/1M}}
  - {models: ["*"], rates: {input: 1/1M}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	routing, err := newRouting(book, []Upstream{{Name: "sim", BaseURL: "http://upstream.example/v1", Models: []ModelRule{
		{Pattern: "glm-*"}, {Pattern: "glm-5*"}, {Pattern: "named-by-route"}, {Pattern: "fast", Rename: "glm-4.6"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	p := &Proxy{metrics: NewMetrics(registry)}
	p.routing.Store(routing)
	for _, model := range []string{"glm-4.6", "named-by-route", "fast", "glm-4-made-up-1", "glm-4-made-up-2", "glm-5-made-up", "elsewhere"} {
		c := &call{
			proxy: p, routing: routing, upstream: candidate{routing.upstreams[0], model}, endpoint: meter.FindEndpoint("/chat/completions"),
			request: &meter.Request{Model: model},
			receipt: &ledger.Receipt{Entry: ledger.Entry{Model: model, Lines: []ledger.ChargeLine{{Line: meter.Line{Dimension: meter.Input, Quantity: 1, Unpriced: true}}}, UsageSource: meter.Estimated}},
		}
		c.receipt.Usage.Quantities[meter.Input] = 1
		p.metrics.ended(c, 0)
	}
	want := "fast glm-* glm-4.6 glm-5* named-by-route other"
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, family := range families {
		var models []string
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "model" {
					models = append(models, label.GetValue())
				}
			}
		}
		if len(models) == 0 {
			continue
		}
		seen++
		slices.Sort(models)
		if got := strings.Join(models, " "); got != want {
			t.Errorf("%s: models %s, want %s", family.GetName(), got, want)
		}
	}
	if seen != 4 {
		t.Errorf("%d metrics have models, want 4", seen)
	}
}
