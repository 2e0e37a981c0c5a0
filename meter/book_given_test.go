package meter_test

import (
	"slices"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// A search that somebody asks the price of is charged as a call that searches is.
func TestGivenSearch(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [plain], endpoints: [chat], rates: {input: 2/1M, output: 8/1M}}
  - {models: [own], endpoints: [chat], rates: {input: 2/1M, output: 8/1M, search: 0.5}}
  - {models: [tiered], endpoints: [chat], rates: {input: 2/1M, output: 8/1M}, multipliers: [{when: {service_tier: flex}, by: 0.5}]}
  - {tools: [web_search], when: {engine: std}, rates: {search: 0.01}}
  - {tools: [web_search], when: {engine: pro}, rates: {search: 0.03}}
`)
	for _, tt := range []struct {
		what, model string
		when        meter.Attributes
		used        meter.Quantities
		fee, tool   string
	}{
		{"by the tool's row", "plain", meter.Attributes{"engine": "pro"}, meter.Quantities{meter.Input: 1000, meter.Output: 50, meter.Search: 1}, "0.0324", "web_search"},
		{"two of them", "plain", meter.Attributes{"engine": "std"}, meter.Quantities{meter.Search: 2}, "0.02", "web_search"},
		{"the dearest where no engine is said", "plain", nil, meter.Quantities{meter.Search: 1}, "0.03", "web_search"},
		{"by the model's own rate", "own", meter.Attributes{"engine": "pro"}, meter.Quantities{meter.Search: 1}, "0.5", ""},
		{"nothing but tokens", "plain", nil, meter.Quantities{meter.Input: 1000}, "0.002", ""},
		{"the tier is the answer's", "tiered", meter.Attributes{"service_tier": "flex"}, meter.Quantities{meter.Input: 1000}, "0.001", ""},
	} {
		charge, err := book.ChargeGiven(meter.PriceQuery{Model: tt.model, Class: "chat", Attributes: tt.when, At: noon}, &tt.used)
		wantFee(t, tt.what, charge, err, tt.fee)
		last := charge.Lines[len(charge.Lines)-1]
		if last.Tool != tt.tool || slices.ContainsFunc(charge.Lines, func(l meter.Line) bool { return l.Unpriced }) {
			t.Errorf("%s: the lines are %+v, want tool %q in the last", tt.what, charge.Lines, tt.tool)
		}
	}
}

// Where nothing prices a search, the line says so.
func TestGivenSearchWithoutAPrice(t *testing.T) {
	book := newBook(t, "currency: CNY\nprices:\n  - {models: [m], rates: {input: 2/1M}}\n")
	charge, err := book.ChargeGiven(meter.PriceQuery{Model: "m", Class: "chat", At: noon}, &meter.Quantities{meter.Input: 1000, meter.Search: 1})
	wantFee(t, "search", charge, err, "0.002")
	if line := charge.Lines[1]; !line.Unpriced || line.Quantity != 1 || line.Dimension != meter.Search {
		t.Errorf("the search's line is %+v", line)
	}
}
