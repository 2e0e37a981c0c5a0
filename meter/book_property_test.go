package meter_test

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

var (
	inputDimensions  = []meter.Dimension{meter.Input, meter.CachedInput, meter.CacheWrite5m, meter.CacheWrite1h, meter.ToolInput, meter.InputImage, meter.InputAudio, meter.InputVideo}
	outputDimensions = []meter.Dimension{meter.Output, meter.Reasoning, meter.OutputAudio, meter.OutputImage}
	modalities       = []meter.Dimension{meter.InputImage, meter.InputAudio, meter.InputVideo, meter.OutputAudio, meter.OutputImage}
)

// drawRate draws a rate of up to four decimals a million, so that it is exact
// at all multipliers; most amounts need rounding.
func drawRate(t *rapid.T, label string) string {
	if rapid.Bool().Draw(t, label+" of the usual") {
		return rapid.SampledFrom([]string{"0", "1/1M", "0.5325/1M", "3.0002/1M"}).Draw(t, label)
	}
	return fmt.Sprintf("%d.%04d/1M", rapid.IntRange(0, 9).Draw(t, label+" whole"), rapid.IntRange(0, 9_999).Draw(t, label+" part"))
}

// drawRates draws `rates:` with input and output, and some of their parts.
func drawRates(t *rapid.T, images string) string {
	rates := []string{"input: " + drawRate(t, "input"), "output: " + drawRate(t, "output")}
	for _, d := range append(inputDimensions[1:], outputDimensions[1:]...) {
		if rapid.IntRange(0, 2).Draw(t, d.String()+" priced") == 0 {
			rates = append(rates, d.String()+": "+drawRate(t, d.String()))
		}
	}
	return "{" + strings.Join(append(rates, images), ", ") + "}"
}

// drawTable draws a price table of one model: a usual row, perhaps with tiers
// and multipliers, and rows for other service tiers, sizes and upstreams.
func drawTable(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("currency: CNY\nprices:\n")
	for _, scope := range []string{"", "when: {service_tier: flex}, ", "when: {size: big}, ", "when: {service_tier: flex, size: big}, ", "upstreams: [u], "} {
		if scope != "" && rapid.Bool().Draw(t, "row "+scope) && !strings.Contains(scope, ", size") {
			continue
		}
		b.WriteString("  - {models: [m], " + scope)
		if rapid.Bool().Draw(t, "multipliers") {
			b.WriteString("multipliers: [{when: {service_tier: priority}, by: 2}, {when: {batch: true}, by: 0.5}, {when: {size: big}, by: 1.5}], ")
		}
		input, output := rapid.IntRange(1, 40).Draw(t, "bound"), rapid.IntRange(1, 40).Draw(t, "bound")
		call := rapid.SampledFrom([]string{"", ", call: 0.07"}).Draw(t, "call") // in all tiers, or in none
		switch rapid.IntRange(0, 3).Draw(t, "tiers") {
		case 0:
			fmt.Fprintf(&b, "rates: %s}\n", drawRates(t, "image: 0.1, search: 1/1K"+call))
		case 1:
			fmt.Fprintf(&b, "tiers: [{input: \"[0,%d)\", rates: %s}, {input: \"[%d,)\", rates: %s}]}\n",
				input, drawRates(t, "image: 0.1"+call), input, drawRates(t, "image: 0.01"+call))
		case 2:
			fmt.Fprintf(&b, "tiers: [{input: \"[0,%d)\", output: \"[0,%d)\", rates: %s}, {input: \"[0,%d)\", output: \"[%d,)\", rates: %s}, {input: \"[%d,)\", rates: %s}]}\n",
				input, output, drawRates(t, "image: 0.1"+call), input, output, drawRates(t, "image: 0.2"+call), input, drawRates(t, "image: 0.3"+call))
		case 3:
			b.WriteString("rates: {image: 0.1, search: 1/1K, unsplit: 1/1M" + call + "}}\n")
		}
	}
	b.WriteString("  - {tools: [web_search], when: {engine: pro}, rates: {search: 0.03}}\n  - {tools: [web_search], rates: {search: 0.0100000005}}\n")
	return b.String()
}

// drawWithin draws a usage that stays within a ceiling.
func drawWithin(t *rapid.T, ceiling *meter.Quantities) (q meter.Quantities) {
	side := func(dimensions []meter.Dimension, left int64) {
		for _, d := range dimensions {
			most := left
			for _, m := range modalities {
				if d == m {
					most = min(left, ceiling[m])
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "all of "+d.String()) == 0 {
				q[d] = most
			} else {
				q[d] = rapid.Int64Range(0, most).Draw(t, "used "+d.String())
			}
			left -= q[d]
		}
	}
	side(rapid.Permutation(inputDimensions).Draw(t, "order"), ceiling.TotalInput())
	side(rapid.Permutation(outputDimensions).Draw(t, "order"), ceiling.TotalOutput())
	for _, d := range []meter.Dimension{meter.Image, meter.Unsplit} {
		q[d] = rapid.Int64Range(0, ceiling[d]).Draw(t, "used "+d.String())
	}
	return q
}

// drawAttributes draws what a request says, and what an answer to it may say.
func drawAttributes(t *rapid.T) (request, answer meter.Attributes) {
	request, answer = meter.Attributes{}, meter.Attributes{}
	for _, v := range []struct {
		key   string
		among []string
	}{{"service_tier", []string{"", "auto", "default", "flex", "priority"}}, {"size", []string{"", "auto", "small", "big"}}, {"batch", []string{"", "true"}}} {
		asked := rapid.SampledFrom(v.among).Draw(t, v.key)
		request[v.key] = asked
		switch {
		case v.key == "batch": // no answer says so
		case asked == "" || asked == "auto":
			answer[v.key] = rapid.SampledFrom(v.among).Draw(t, v.key+" of the answer")
		case v.key == "service_tier":
			answer[v.key] = rapid.SampledFrom([]string{"", asked, "default"}).Draw(t, v.key+" of the answer")
		}
		if answer[v.key] == "" { // it does not say so
			delete(answer, v.key)
		}
	}
	return request, answer
}

// No charge of a usage within the ceiling is above the quote, whatever the
// answer says.
func TestQuoteCoversEveryCharge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t)
		book, err := meter.NewBook(options(table))
		if err != nil {
			t.Fatalf("%v in\n%s", err, table)
		}
		var ceiling meter.Quantities
		for _, d := range append(modalities, meter.Input, meter.Output, meter.Image, meter.Unsplit) {
			if rapid.Bool().Draw(t, d.String()+" at all") {
				ceiling[d] = rapid.Int64Range(0, 60).Draw(t, "ceiling of "+d.String())
			}
		}
		query := meter.PriceQuery{Model: "m", Class: "chat", At: noon, Upstream: rapid.SampledFrom([]string{"", "u", "v"}).Draw(t, "upstream")}
		u := &meter.Usage{Quantities: drawWithin(t, &ceiling)}
		query.Attributes, u.Attributes = drawAttributes(t)
		tools := []meter.ToolUse{{Tool: "web_search", Dimension: meter.Search, Count: rapid.Int64Range(0, 3).Draw(t, "searches")}}
		quote, err := book.Quote(query, &ceiling, tools)
		if errors.Is(err, meter.ErrUnpriced) {
			t.Skip("unpriced")
		}
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "engine") {
			tools[0].Attributes = meter.Attributes{"engine": "pro"}
		}
		tools[0].Count = rapid.Int64Range(0, tools[0].Count).Draw(t, "searched")
		u.ToolCalls = tools
		if query.Upstream == "" {
			query.Upstream = rapid.SampledFrom([]string{"u", "v"}).Draw(t, "upstream in the end")
		}
		charge, err := book.Charge(query, u)
		if err != nil {
			t.Fatal(err)
		}
		if charge.Fee > quote.Fee {
			t.Fatalf("charge %s is above quote %s\ncharge %+v\nquote %+v\nof %v by %s", charge.Fee, quote.Fee, charge.Lines, quote.Lines, u, table)
		}
		for _, c := range []meter.Charge{charge, quote} {
			var sum meter.Nano
			for _, l := range c.Lines {
				sum += l.Amount
			}
			if sum != c.Fee {
				t.Fatalf("lines add up to %s, the fee is %s", sum, c.Fee)
			}
		}
	})
}

// Every line is quantity × rate, rounded half up, as big.Rat has it.
func TestChargeIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rates := map[meter.Dimension]string{}
		var parts []string
		var u meter.Usage
		for _, d := range []meter.Dimension{meter.Input, meter.CachedInput, meter.Output, meter.Image, meter.Character, meter.AudioMS} {
			count := rapid.SampledFrom([]string{"", "/1K", "/10K", "/1M"}).Draw(t, "count")
			if d == meter.AudioMS {
				count = rapid.SampledFrom([]string{"/1s", "/1min", "/1h"}).Draw(t, "count")
			}
			rates[d] = fmt.Sprintf("%d.%05d", rapid.IntRange(0, 99).Draw(t, "whole"), rapid.IntRange(0, 99_999).Draw(t, "part")) + count
			parts = append(parts, d.String()+": "+rates[d])
			u.Quantities[d] = rapid.Int64Range(0, 10_000).Draw(t, "used")
		}
		book, err := meter.NewBook(options("currency: CNY\nprices: [{models: [m], rates: {" + strings.Join(parts, ", ") + "}}]"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := book.Charge(meter.PriceQuery{Model: "m", At: noon}, &u)
		if err != nil {
			t.Fatal(err)
		}
		var fee meter.Nano
		for _, l := range c.Lines {
			want := exactAmount(rates[l.Dimension], l.Quantity)
			if l.Amount != want {
				t.Fatalf("%d of %s at %s: %s, want %s", l.Quantity, l.Dimension, rates[l.Dimension], l.Amount, want)
			}
			fee += want
		}
		if c.Fee != fee {
			t.Fatalf("fee %s, want %s", c.Fee, fee)
		}
	})
}

// exactAmount reads a rate by itself and rounds with big.Rat.
func exactAmount(rate string, quantity int64) meter.Nano {
	amount, count, _ := strings.Cut(rate, "/")
	r, _ := new(big.Rat).SetString(amount)
	per := map[string]int64{"": 1, "1K": 1000, "10K": 10_000, "1M": 1_000_000, "1s": 1000, "1min": 60_000, "1h": 3_600_000}[count]
	r.Mul(r, big.NewRat(quantity, per))
	r.Mul(r, big.NewRat(int64(meter.NanoPerUnit), 1))
	r.Add(r, big.NewRat(1, 2))
	return meter.Nano(new(big.Int).Div(r.Num(), r.Denom()).Int64())
}
