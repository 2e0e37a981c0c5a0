package meter_test

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// reprice prices a charge anew from what a journal keeps of it.
func reprice(b *meter.Book, q meter.PriceQuery, answer meter.Attributes, was *meter.Charge) (meter.Charge, error) {
	var used meter.Quantities
	if was.Carried != nil {
		used = *was.Carried
	}
	for i := range was.Lines {
		used[was.Lines[i].Dimension] += was.Lines[i].Quantity
	}
	return b.Reprice(q, answer, &used, was.Lines)
}

// By the tables that priced it, a call comes to the same, whatever they are: what the journal keeps is enough.
func TestTheSameTablesRepriceNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t)
		book, err := meter.NewBook(options(table))
		if err != nil {
			t.Fatalf("%v in\n%s", err, table)
		}
		query := meter.PriceQuery{Model: rapid.SampledFrom([]string{"m", "unknown"}).Draw(t, "model"), Class: "chat", At: noon, Upstream: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "upstream")}
		var most meter.Quantities
		for _, d := range append(modalities, meter.Input, meter.Output, meter.Image, meter.Unsplit) {
			most[d] = rapid.Int64Range(0, 60).Draw(t, "most of "+d.String())
		}
		u := &meter.Usage{Quantities: drawWithin(t, &most)}
		u.Quantities[meter.Search] = rapid.Int64Range(0, 2).Draw(t, "searches of the model's own")
		query.Attributes, u.Attributes = drawAttributes(t)
		for _, engine := range []meter.Attributes{nil, {"engine": "pro"}} {
			if n := rapid.Int64Range(0, 3).Draw(t, "searches"); n > 0 {
				u.ToolCalls = append(u.ToolCalls, meter.ToolUse{Tool: "web_search", Dimension: meter.Search, Count: n, Attributes: engine})
			}
		}
		charge, err := book.Charge(query, u)
		if err != nil {
			t.Fatal(err)
		}
		again, err := reprice(book, query, u.Attributes, &charge)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, charge) {
			t.Fatalf("%+v became %+v\nof %v by %s", charge, again, u, table)
		}
	})
}

// What other tables price is priced by them, and the rest stays as it was.
func TestReprice(t *testing.T) {
	const was = `
  - {models: [m], rates: {input: 1/1M, output: 2/1M, reasoning: 3/1M}}
  - {models: [image], rates: {image: 0.5}}
  - {models: [call], rates: {call: 0.25}}
  - {tools: [web_search], when: {engine: pro}, rates: {search: 0.03}}
  - {tools: [web_search], rates: {search: 0.01}}`
	search := []meter.ToolUse{
		{Tool: "web_search", Dimension: meter.Search, Count: 2, Attributes: meter.Attributes{"engine": "pro"}},
		{Tool: "web_search", Dimension: meter.Search, Count: 1},
	}
	tokens := meter.Quantities{meter.Input: 1_000_000, meter.Output: 1_000_000, meter.Reasoning: 1_000_000}
	for name, c := range map[string]struct {
		model   string
		used    meter.Usage
		prices  string
		fee     string
		carried meter.Quantities
	}{
		"another rate":                   {"m", meter.Usage{Quantities: tokens}, "{models: [m], rates: {input: 4/1M, output: 5/1M}}", "14", meter.Quantities{}},
		"a part without a rate":          {"m", meter.Usage{Quantities: tokens}, "{models: [m], rates: {input: 4/1M, output: 5/1M}, fallback: {reasoning: none}}", "12", meter.Quantities{}},
		"another model":                  {"m", meter.Usage{Quantities: tokens}, "{models: [n], rates: {input: 4/1M, output: 5/1M}}", "6", meter.Quantities{}},
		"a tool alone":                   {"m", meter.Usage{Quantities: tokens, ToolCalls: search}, "{tools: [web_search], when: {engine: pro}, rates: {search: 0.05}}", "6.15", meter.Quantities{}},
		"a model, not its tools":         {"m", meter.Usage{Quantities: tokens, ToolCalls: search}, "{models: [m], rates: {input: 0, output: 0}}", "0.07", meter.Quantities{}},
		"by the image, tokens carried":   {"image", meter.Usage{Quantities: meter.Quantities{meter.Image: 2, meter.Input: 9}}, "{models: [image], rates: {image: 0.75}}", "1.5", meter.Quantities{meter.Input: 9}},
		"then by tokens":                 {"image", meter.Usage{Quantities: meter.Quantities{meter.Image: 2, meter.Input: 1000}}, "{models: [image], rates: {input: 1/1K}}", "1", meter.Quantities{meter.Image: 2}},
		"no price for what was carried":  {"image", meter.Usage{Quantities: meter.Quantities{meter.Image: 2, meter.Input: 9}}, "{models: [other], rates: {image: 0.75}}", "1", meter.Quantities{meter.Input: 9}},
		"by the call":                    {"call", meter.Usage{Quantities: meter.Quantities{meter.Input: 9}}, "{models: [call], rates: {call: 0.3}}", "0.3", meter.Quantities{meter.Input: 9}},
		"by the call no more":            {"call", meter.Usage{Quantities: meter.Quantities{meter.Input: 1000}}, "{models: [call], rates: {input: 1/1K}}", "1", meter.Quantities{}},
		"no other price for the call":    {"call", meter.Usage{Quantities: meter.Quantities{meter.Input: 1000}}, "{models: [other], rates: {input: 1/1K}}", "0.25", meter.Quantities{meter.Input: 1000}},
		"a price where there was none":   {"free", meter.Usage{Quantities: tokens}, "{models: [free], rates: {input: 4/1M, output: 5/1M}}", "14", meter.Quantities{}},
		"at the dearest, as nobody said": {"m", meter.Usage{Quantities: tokens}, "{models: [m], when: {size: big}, rates: {input: 7/1M, output: 7/1M}}", "21", meter.Quantities{}},
	} {
		t.Run(name, func(t *testing.T) {
			q := meter.PriceQuery{Model: c.model, Class: "chat", At: noon}
			charge, err := newBook(t, "currency: CNY\nprices:"+was).Charge(q, &c.used)
			if err != nil {
				t.Fatal(err)
			}
			book := newBook(t, "currency: CNY\nprices:\n  - "+c.prices)
			again, err := reprice(book, q, nil, &charge)
			wantFee(t, name, again, err, c.fee)
			var carried meter.Quantities
			if again.Carried != nil {
				carried = *again.Carried
			}
			if carried != c.carried || again.PriceVersion != book.Version() {
				t.Errorf("carried %v, want %v; %s", carried.Map(), c.carried.Map(), again.PriceVersion)
			}
		})
	}
}
