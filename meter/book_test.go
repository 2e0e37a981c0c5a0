package meter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

var noon = time.Date(2026, time.November, 4, 12, 0, 0, 0, time.UTC) // a Wednesday

// newBook loads one table in CNY, with USD at 7.1.
func newBook(t testing.TB, table string) *meter.Book {
	t.Helper()
	book, err := meter.NewBook(options(table))
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func options(tables ...string) meter.BookOptions {
	o := meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}}
	for i, table := range tables {
		o.Files = append(o.Files, meter.PriceFile{Name: string(rune('a'+i)) + ".yaml", Data: []byte(table)})
	}
	return o
}

func bigmodel(t testing.TB) *meter.Book {
	t.Helper()
	f, err := prices.Read("bigmodel.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{f}})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func usage(q meter.Quantities) *meter.Usage {
	return &meter.Usage{Quantities: q, Source: meter.FromUpstream}
}

func nano(t testing.TB, s string) meter.Nano {
	t.Helper()
	n, err := meter.ParseNano(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantFee(t *testing.T, what string, c meter.Charge, err error, want string) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if c.Fee != nano(t, want) {
		t.Errorf("%s: fee %s, want %s; lines %+v", what, c.Fee, want, c.Lines)
	}
	var sum meter.Nano
	for _, l := range c.Lines {
		sum += l.Amount
	}
	if sum != c.Fee {
		t.Errorf("%s: the lines add up to %s, the fee is %s", what, sum, c.Fee)
	}
}

// The vendor's own worked example: 2000 input tokens, 1200 of them cached at
// half price, 500 output, at 0.01 a thousand.
func TestOfficialCachedExample(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [example]
    rates: {input: 0.01/1K, output: 0.01/1K, cached_input: 0.005/1K}
`)
	c, err := book.Charge(meter.PriceQuery{Model: "example", Class: "chat", At: noon},
		usage(meter.Quantities{meter.Input: 800, meter.CachedInput: 1200, meter.Output: 500}))
	wantFee(t, "example", c, err, "0.019")
	for i, want := range []string{"0.008", "0.006", "0.005"} {
		if c.Lines[i].Amount != nano(t, want) {
			t.Errorf("line %d: %s, want %s", i, c.Lines[i].Amount, want)
		}
	}
	if c.PriceVersion != book.Version() || len(c.PriceVersion) != 12 {
		t.Errorf("price version %q of the charge, %q of the book", c.PriceVersion, book.Version())
	}
}

func TestTiersOfGLM46(t *testing.T) {
	book := bigmodel(t)
	query := meter.PriceQuery{Model: "glm-4.6", Class: "chat", At: noon}
	tests := []struct {
		what string
		used meter.Quantities
		want string
	}{
		{"199 output tokens", meter.Quantities{meter.Input: 1000, meter.Output: 199}, "0.003592"},              // 1000×2 + 199×8
		{"200 output tokens", meter.Quantities{meter.Input: 1000, meter.Output: 200}, "0.0058"},                // 1000×3 + 200×14
		{"31999 input tokens", meter.Quantities{meter.Input: 31999, meter.Output: 100}, "0.064798"},            // ×2 + 100×8
		{"32000 input tokens", meter.Quantities{meter.Input: 32000, meter.Output: 100}, "0.1296"},              // ×4 + 100×16
		{"cached count for the tier", meter.Quantities{meter.Input: 1, meter.CachedInput: 31999}, "0.0256032"}, // 1×4 + 31999×0.8
		{"reasoning counts for the tier", meter.Quantities{meter.Output: 100, meter.Reasoning: 100}, "0.0028"}, // 200×14
		{"an unsplit total is input, at the dearer", meter.Quantities{meter.Unsplit: 1000}, "0.008"},           // ×8
		{"an unsplit total counts for the tier", meter.Quantities{meter.Unsplit: 32000}, "0.512"},              // ×16
		{"nothing used", meter.Quantities{}, "0"},
	}
	for _, tt := range tests {
		c, err := book.Charge(query, usage(tt.used))
		wantFee(t, tt.what, c, err, tt.want)
	}
}

func TestPartsWithoutRateAreBilledAtTheWhole(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [m]
    rates: {input: 1/1M, output: 4/1M, cache_write_5m: 2/1M}
    fallback: {cache_write_1h: cache_write_5m, output_audio: none}
`)
	query := meter.PriceQuery{Model: "m", Class: "chat", At: noon}
	c, err := book.Charge(query, usage(meter.Quantities{
		meter.Input: 1, meter.CachedInput: 10, meter.CacheWrite1h: 100, meter.ToolInput: 1000, meter.Reasoning: 10_000, meter.OutputAudio: 7, meter.Page: 3, meter.Search: 2,
	}))
	wantFee(t, "all parts", c, err, "0.041211")
	want := []struct {
		dimension meter.Dimension
		rate, at  string
		unpriced  bool
	}{
		{meter.Input, "1/1M", "", false},
		{meter.CachedInput, "1/1M", "input", false},
		{meter.CacheWrite1h, "2/1M", "cache_write_5m", false},
		{meter.ToolInput, "1/1M", "input", false},
		{meter.Reasoning, "4/1M", "output", false},
		{meter.OutputAudio, "0", "", true},
		{meter.Search, "0", "", true},
	}
	if len(c.Lines) != len(want) {
		t.Fatalf("lines %+v", c.Lines)
	}
	for i, w := range want {
		l := c.Lines[i]
		if l.Dimension != w.dimension || l.Rate.String() != w.rate || l.BilledAs != w.at || l.Unpriced != w.unpriced {
			t.Errorf("line %d: %+v, want %+v", i, l, w)
		}
	}
}

func TestUnpricedIsRefusedBeforeAndFlaggedAfter(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [embed]
    endpoints: [embeddings]
    rates: {input: 0.5/1M}
  - models: [silent]
    rates: {input: 1/1M, output: 1/1M}
    fallback: {reasoning: none, input_audio: none}
  - models: [picture]
    rates: {image: 1}
`)
	tests := []struct {
		what    string
		query   meter.PriceQuery
		ceiling meter.Quantities
		want    string // in the error
	}{
		{"unknown model", meter.PriceQuery{Model: "other", Class: "chat"}, meter.Quantities{meter.Input: 1}, `"other"`},
		{"other endpoint", meter.PriceQuery{Model: "embed", Class: "chat"}, meter.Quantities{meter.Input: 1}, "at chat"},
		{"unknown endpoint", meter.PriceQuery{Model: "embed", Class: "nonsense"}, meter.Quantities{meter.Input: 1}, "at nonsense"},
		{"output", meter.PriceQuery{Model: "embed", Class: "embeddings"}, meter.Quantities{meter.Input: 1, meter.Output: 1}, "output has no rate"},
		{"a part that is not to be billed", meter.PriceQuery{Model: "silent", Class: "chat"}, meter.Quantities{meter.Reasoning: 1}, "reasoning has no rate"},
		{"a modality that is not to be billed", meter.PriceQuery{Model: "silent", Class: "chat"}, meter.Quantities{meter.Input: 1, meter.InputAudio: 1}, "input_audio has no rate"},
		{"tokens without the image that pays", meter.PriceQuery{Model: "picture", Class: "chat"}, meter.Quantities{meter.Input: 1}, "input has no rate"},
		{"a search", meter.PriceQuery{Model: "embed", Class: "embeddings"}, meter.Quantities{meter.Input: 1, meter.Search: 1}, "search has no rate"},
	}
	for _, tt := range tests {
		tt.query.At = noon
		if _, err := book.Quote(tt.query, &tt.ceiling, nil); !errors.Is(err, meter.ErrUnpriced) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: quote: %v, want ErrUnpriced with %q", tt.what, err, tt.want)
		}
		c, err := book.Charge(tt.query, usage(tt.ceiling))
		if err != nil || !c.Lines[len(c.Lines)-1].Unpriced || c.Lines[len(c.Lines)-1].Amount != 0 {
			t.Errorf("%s: charge: %v, %+v; want an unpriced line", tt.what, err, c.Lines)
		}
	}
	if _, err := book.Quote(meter.PriceQuery{Model: "embed", Class: "embeddings", At: noon}, &meter.Quantities{meter.Input: 9}, nil); err != nil {
		t.Errorf("embeddings need no rate for output: %v", err)
	}
}

func TestChargesAreBounded(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [dear]
    rates: {input: 9000000, output: 9000000, image: 0.000000001, page: 0.000000001, tool_call: 9000000}
  - tools: [gold]
    rates: {search: 9000000}
  - {models: [tiered], rates: {input: 9000000}}
  - {models: [tiered], when: {service_tier: flex}, rates: {input: 0}}
  - models: [free]
    rates: {input: 0, output: 0, tool_call: 0}
`)
	for what, q := range map[string]meter.Quantities{
		"dear, one line":         {meter.Input: 2},
		"dear, one of images":    {meter.InputImage: 2},
		"dear, one of a unit":    {meter.ToolCall: 2},
		"dear, the sum of lines": {meter.Image: 1<<53 - 1, meter.Page: 1},
		"free, the quantity":     {meter.Input: 1 << 53},
	} {
		model, _, _ := strings.Cut(what, ",")
		query := meter.PriceQuery{Model: model, Class: "chat", At: noon}
		if _, err := book.Charge(query, usage(q)); !errors.Is(err, meter.ErrAmountRange) {
			t.Errorf("charge, %s: got %v, want ErrAmountRange", what, err)
		}
		if _, err := book.Quote(query, &q, nil); !errors.Is(err, meter.ErrAmountRange) {
			t.Errorf("quote, %s: got %v, want ErrAmountRange", what, err)
		}
	}
	c, err := book.Charge(meter.PriceQuery{Model: "dear", Class: "chat", At: noon}, usage(meter.Quantities{meter.Image: 1<<53 - 1}))
	wantFee(t, "the most", c, err, "9007199.254740991")
	free := meter.PriceQuery{Model: "free", Class: "chat", At: noon}
	u := usage(meter.Quantities{})
	u.ToolCalls = []meter.ToolUse{{Tool: "code", Dimension: meter.ToolCall, Count: 1 << 53}}
	if _, err := book.Charge(free, u); !errors.Is(err, meter.ErrAmountRange) {
		t.Errorf("calls of a tool: got %v, want ErrAmountRange", err)
	}
	dear := meter.PriceQuery{Model: "dear", Class: "chat", At: noon}
	flex := meter.PriceQuery{Model: "tiered", Class: "chat", At: noon, Attributes: meter.Attributes{"service_tier": "flex"}} // the answer does not say that it was
	if c, err := book.Charge(flex, usage(meter.Quantities{meter.Input: 2})); !errors.Is(err, meter.ErrAmountRange) {
		t.Errorf("of the dearer tier: got %s, %v, want ErrAmountRange", c.Fee, err)
	}
	for _, use := range []meter.ToolUse{{Tool: "code", Dimension: meter.ToolCall, Count: 2}, {Tool: "gold", Dimension: meter.Search, Count: 2}} {
		u.ToolCalls = []meter.ToolUse{use}
		if c, err := book.Charge(dear, u); !errors.Is(err, meter.ErrAmountRange) {
			t.Errorf("dear calls of %s: got %s, %v, want ErrAmountRange", use.Tool, c.Fee, err)
		}
		if c, err := book.Quote(dear, &meter.Quantities{}, u.ToolCalls); !errors.Is(err, meter.ErrAmountRange) {
			t.Errorf("quote of dear calls of %s: got %s, %v, want ErrAmountRange", use.Tool, c.Fee, err)
		}
	}
	c, err = book.Charge(free, usage(meter.Quantities{meter.Input: 1<<53 - 1, meter.Output: -5}))
	wantFee(t, "free", c, err, "0")
	if len(c.Lines) != 1 || c.Lines[0].Rate.String() != "0" || c.Lines[0].Unpriced {
		t.Errorf("free and negative: %+v", c.Lines)
	}
}

func TestModelsPricedAndRates(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [b, "p*"]
    endpoints: [chat]
    tiers:
      - {input: "[0,10)", rates: {input: 1/1M}}
      - {input: "[10,)", rates: {input: 2/1M}}
    multipliers: [{when: {batch: true}, by: 0.5}]
  - models: [b]
    endpoints: [chat]
    rates: {input: 3/1M}
    from: 2026-11-01
    until: 2026-12-01
  - models: [b]
    endpoints: [chat]
    when: {size: big}
    rates: {image: 3}
  - models: [a]
    upstreams: [u]
    rates: {image: 0.06}
`)
	if got := strings.Join(book.Models(), " "); got != "a b" {
		t.Errorf("models %q", got)
	}
	for _, tt := range []struct {
		model, class string
		want         bool
	}{{"a", "images", true}, {"b", "chat", true}, {"b", "images", false}, {"pp", "chat", true}, {"c", "chat", false}} {
		if book.Priced(tt.model, tt.class, noon) != tt.want {
			t.Errorf("priced(%s, %s) is not %v", tt.model, tt.class, tt.want)
		}
	}
	rates := book.Rates("b", noon)
	if len(rates) != 2 || rates[0].When["size"] != "big" || rates[1].Tiers[0].Rates["input"] != "3/1M" || rates[1].Until == nil {
		t.Errorf("in November: %+v", rates)
	}
	rates = book.Rates("b", noon.AddDate(0, 1, 0))
	if len(rates) != 2 || len(rates[1].Tiers) != 2 || rates[1].Tiers[1].Input != "[10,)" || rates[1].Endpoints[0] != "chat" || rates[1].Multipliers[0].By != "0.5" {
		t.Errorf("in December: %+v", rates)
	}
	if rates := book.Rates("nobody", noon); len(rates) != 0 {
		t.Errorf("an unknown model has rates: %+v", rates)
	}
}

func TestVersionNamesTheContent(t *testing.T) {
	one := "currency: CNY\nprices: [{models: [m], rates: {input: 1/1M}}]"
	two := "currency: CNY\nprices: [{models: [m], rates: {input: 2/1M}}]"
	first, again, other := newBook(t, one), newBook(t, one), newBook(t, two)
	if first.Version() != again.Version() || first.Version() == other.Version() {
		t.Errorf("versions %s %s %s", first.Version(), again.Version(), other.Version())
	}
	o := options(one)
	o.Exchange["USD"] = "7.2"
	moved, err := meter.NewBook(o)
	if err != nil || moved.Version() == first.Version() {
		t.Errorf("another exchange rate has the same version %s (%v)", moved.Version(), err)
	}
}

// A row that prices the call itself bills every answer as one, alone or beside
// its tokens: no provider reports calls, and what has a price is not free.
func TestRowsThatPriceTheCall(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [flat], rates: {call: 0.3}}
  - {models: [free-tokens], rates: {call: 0.3, input: 0, output: 0}}
  - {models: [both], rates: {call: 0.3, input: 1/1M, output: 1/1M}}
`)
	used := meter.Quantities{meter.Input: 10, meter.Output: 9}
	for model, want := range map[string]struct {
		fee    string
		tokens int64 // on the lines
	}{"flat": {"0.3", 0}, "free-tokens": {"0.3", 19}, "both": {"0.300019", 19}} {
		q := meter.PriceQuery{Model: model, Class: "chat", At: noon}
		charge, err := book.Charge(q, usage(used))
		wantFee(t, model, charge, err, want.fee)
		if charge.Tokens() != want.tokens {
			t.Errorf("%s: %d tokens, want %d", model, charge.Tokens(), want.tokens)
		}
		quote, err := book.Quote(q, &used, nil)
		if err != nil || quote.Fee < charge.Fee {
			t.Errorf("%s: quote %s, %v, below the charge of %s", model, quote.Fee, err, charge.Fee)
		}
		nothing, err := book.Charge(q, usage(meter.Quantities{}))
		wantFee(t, model+" that used nothing", nothing, err, "0")
	}
}
