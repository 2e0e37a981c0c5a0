package meter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

func TestQuoteTakesTheDearestReachableTier(t *testing.T) {
	book := bigmodel(t)
	tests := []struct {
		what  string
		model string
		most  meter.Quantities
		want  string
		input string // rate of the input line
	}{
		{"199 output tokens", "glm-4.6", meter.Quantities{meter.Input: 1000, meter.Output: 199}, "0.003592", "2/1M"},
		{"200 output tokens", "glm-4.6", meter.Quantities{meter.Input: 1000, meter.Output: 200}, "0.0058", "3/1M"},
		{"31999 input tokens", "glm-4.6", meter.Quantities{meter.Input: 31999, meter.Output: 199}, "0.06559", "2/1M"},
		{"32000 input tokens", "glm-4.6", meter.Quantities{meter.Input: 32000, meter.Output: 199}, "0.131184", "4/1M"},
		{"no output", "glm-4.6", meter.Quantities{meter.Input: 10}, "0.00002", "2/1M"},
		{"free", "glm-4.5-flash", meter.Quantities{meter.Input: 10, meter.Output: 10}, "0", "0"},
	}
	for _, tt := range tests {
		c, err := book.Quote(meter.PriceQuery{Model: tt.model, Class: "chat", At: noon}, &tt.most, nil)
		wantFee(t, tt.what, c, err, tt.want)
		if err == nil && (c.Lines[0].Rate.String() != tt.input || c.Lines[0].Quantity != tt.most[meter.Input]) {
			t.Errorf("%s: input line %+v", tt.what, c.Lines[0])
		}
	}
}

// A smaller request can cost more than the greatest: the quote knows, and
// still holds the whole quantity.
func TestQuoteClipsATierAtItsEnd(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [m]
    tiers:
      - {input: "[0,1000)", rates: {input: 10/1M, output: 1/1M}}
      - {input: "[1000,)", rates: {input: 5/1M, output: 1/1M}}
  - models: [units]
    tiers:
      - {input: "[0,3)", rates: {input: 1, image: 7}}
      - {input: "[3,)", rates: {input: 1, image: 7}}
`)
	c, err := book.Quote(meter.PriceQuery{Model: "m", Class: "chat", At: noon}, &meter.Quantities{meter.Input: 1500}, nil)
	wantFee(t, "clipped", c, err, "0.00999")
	if c.Lines[0].Quantity != 1500 || c.Lines[0].Rate.String() != "10/1M" {
		t.Errorf("line %+v", c.Lines[0])
	}
	c, err = book.Quote(meter.PriceQuery{Model: "m", Class: "chat", At: noon}, &meter.Quantities{meter.Input: 2001}, nil)
	wantFee(t, "not clipped", c, err, "0.010005")
	unsplit := meter.Quantities{meter.Unsplit: 1500} // it goes by the input
	c, err = book.Quote(meter.PriceQuery{Model: "m", Class: "chat", At: noon}, &unsplit, nil)
	wantFee(t, "clipped, of a total", c, err, "0.00999")
	c, err = book.Quote(meter.PriceQuery{Model: "units", Class: "images", At: noon}, &meter.Quantities{meter.Image: 5}, nil)
	wantFee(t, "units are not clipped", c, err, "35")
}

func TestQuoteTakesTheDearestPart(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [m]
    rates: {input: 1/1M, cached_input: 0.1/1M, cache_write_5m: 1.25/1M, input_audio: 5/1M, input_image: 0.5/1M, output: 4/1M, output_audio: 8/1M}
`)
	query := meter.PriceQuery{Model: "m", Class: "chat", At: noon}
	c, err := book.Quote(query, &meter.Quantities{meter.Input: 1000, meter.Output: 100}, nil)
	wantFee(t, "text", c, err, "0.00165")
	if c.Lines[0].BilledAs != "cache_write_5m" || c.Lines[1].BilledAs != "" {
		t.Errorf("lines %+v", c.Lines)
	}
	c, err = book.Quote(query, &meter.Quantities{meter.Input: 1000, meter.InputAudio: 100, meter.InputImage: 10, meter.OutputAudio: 50}, nil)
	// 1000×1.25 + 100×5 + 10×1.25 (what was no image after all) + 50×8
	wantFee(t, "modalities", c, err, "0.0021625")
	if len(c.Lines) != 4 || c.Lines[1].Dimension != meter.InputImage || c.Lines[1].BilledAs != "cache_write_5m" || c.Lines[2].BilledAs != "" {
		t.Errorf("lines %+v", c.Lines)
	}
}

func TestQuoteThinksOfAnyAnswer(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - models: [m]
    rates: {image: 2}
    multipliers: [{when: {batch: true}, by: 0.5}, {when: {quality: hd}, by: 3}]
  - {models: [m], when: {service_tier: priority}, rates: {image: 5}}
  - {models: [m], when: {service_tier: flex}, rates: {image: 1}}
`)
	for _, tt := range []struct {
		request meter.Attributes
		want    string
	}{
		{nil, "6"},
		{meter.Attributes{"quality": "standard"}, "5"},
		{meter.Attributes{"quality": "auto"}, "6"},
		{meter.Attributes{"quality": "standard", "service_tier": "auto"}, "5"},
		{meter.Attributes{"quality": "standard", "service_tier": "default"}, "2"},
		{meter.Attributes{"quality": "standard", "service_tier": "flex"}, "2"}, // it may come out as default
		{meter.Attributes{"quality": "standard", "service_tier": "default", "batch": "true"}, "1"},
		{meter.Attributes{"quality": "hd", "service_tier": "default", "batch": "true"}, "3"},
	} {
		c, err := book.Quote(meter.PriceQuery{Model: "m", Class: "images", At: noon, Attributes: tt.request}, &meter.Quantities{meter.Image: 1}, nil)
		wantFee(t, "attributes", c, err, tt.want)
	}
}

func TestQuoteWithoutUpstreamThinksOfAll(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {image: 2}}
  - {models: [m], upstreams: [dear], rates: {image: 5}}
  - {models: [m], upstreams: [cheap], rates: {image: 1}}
  - {models: ["*"], rates: {image: 9}}
`)
	for upstream, want := range map[string]string{"": "5", "dear": "5", "cheap": "1", "other": "2"} {
		c, err := book.Quote(meter.PriceQuery{Model: "m", Upstream: upstream, At: noon}, &meter.Quantities{meter.Image: 1}, nil)
		wantFee(t, "upstream "+upstream, c, err, want)
	}
}

// What is priced by the call here and by the token there is held for by both: a pack may pay for one of them alone.
func TestQuoteKeepsUnitsApart(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [rows], upstreams: [a], rates: {call: 0.5}}
  - {models: [rows], upstreams: [b], rates: {input: 1/1K, output: 1/1K}}
  - {models: [rows], upstreams: [c], rates: {call: 0.1, input: 0, output: 0}}
  - {models: [free-tokens], upstreams: [a], rates: {call: 0.5}}
  - {models: [free-tokens], upstreams: [b], rates: {input: 0, output: 0}}
  - models: [tiers]
    tiers:
      - {input: "[0,200)", rates: {call: 0.5, input: 0, output: 0}}
      - {input: "[200,)", rates: {call: 0.1, input: 1/1M, output: 1/1M}}
`)
	ceiling := meter.Quantities{meter.Input: 1000, meter.Output: 500}
	for model, want := range map[string]string{
		"rows":        "input 1, output 0.5, call 0.5",
		"tiers":       "input 0.001, output 0.0005, call 0.5",
		"free-tokens": "input 0, output 0, call 0.5", // a key's limit of tokens counts them
	} {
		quote, err := book.Quote(meter.PriceQuery{Model: model, Class: "chat", At: noon}, &ceiling, nil)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		var fee meter.Nano
		for _, l := range quote.Lines {
			lines = append(lines, l.Dimension.String()+" "+l.Amount.String())
			fee += l.Amount
		}
		if got := strings.Join(lines, ", "); got != want || quote.Fee != fee {
			t.Errorf("%s: %s, fee %s; want %s", model, got, quote.Fee, want)
		}
	}
}

// The units of a request are bounded in all, whatever they cost, and so is what they cost: the ledger adds them up.
func TestQuoteIsBoundedInUnits(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [free], rates: {input: 0, output: 0}}
  - {models: [dear], upstreams: [a], rates: {call: 9000000}}
  - {models: [dear], upstreams: [b], rates: {input: 9000000}}
`)
	query := meter.PriceQuery{Model: "free", Class: "chat", At: noon}
	if _, err := book.Quote(query, &meter.Quantities{meter.Input: 1 << 52, meter.Output: 1<<52 - 1}, nil); err != nil {
		t.Errorf("2^53-1 units: %v", err)
	}
	if _, err := book.Quote(query, &meter.Quantities{meter.Input: 1 << 52, meter.Output: 1 << 52}, nil); !errors.Is(err, meter.ErrAmountRange) {
		t.Errorf("2^53 units: got %v, want ErrAmountRange", err)
	}
	if _, err := book.Quote(meter.PriceQuery{Model: "dear", Class: "chat", At: noon}, &meter.Quantities{meter.Input: 1}, nil); !errors.Is(err, meter.ErrAmountRange) {
		t.Errorf("by the call and by the token: got %v, want ErrAmountRange", err)
	}
}

func TestImagesByTheTokenOrByThePiece(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [tokens], rates: {input: 5/1M, input_image: 10/1M, output: 40/1M}}
  - {models: [pieces], rates: {image: 0.06}}
  - {models: [made], rates: {input: 5/1M, output_image: 40/1M}}
  - {models: [both], rates: {input: 5/1M, image: 0.06}}
  - {models: [calls], rates: {call: 0.3}}
`)
	counted := meter.Quantities{meter.Input: 10, meter.InputImage: 20, meter.OutputImage: 1000, meter.Image: 1}
	for _, tt := range []struct {
		model      string
		used       meter.Quantities
		want       string
		dimensions string
		carried    string
		unpriced   bool
	}{
		{"tokens", counted, "0.04025", "input input_image output_image", "image 1", false},
		{"pieces", counted, "0.06", "image", "input 10, input_image 20, output_image 1000", false},
		{"both", meter.Quantities{meter.Input: 10, meter.Image: 1}, "0.06005", "input image", "", false},
		{"calls", meter.Quantities{meter.Input: 10, meter.Output: 9, meter.Call: 1}, "0.3", "call", "input 10, output 9", false},
		// Nothing that the row prices came back: somebody must look at it.
		{"tokens", meter.Quantities{meter.Image: 1}, "0", "image", "", true},
		{"pieces", meter.Quantities{meter.Input: 1}, "0", "input", "", true},
		{"calls", meter.Quantities{meter.Call: 2, meter.Search: 1}, "0.6", "call search", "", true},
	} {
		c, err := book.Charge(meter.PriceQuery{Model: tt.model, Class: "images", At: noon}, usage(tt.used))
		wantFee(t, tt.model, c, err, tt.want)
		var dimensions []string
		for _, l := range c.Lines {
			dimensions = append(dimensions, l.Dimension.String())
		}
		if got := strings.Join(dimensions, " "); got != tt.dimensions || c.Lines[len(c.Lines)-1].Unpriced != tt.unpriced {
			t.Errorf("%s: lines %+v", tt.model, c.Lines)
		}
		if got := carried(&c); got != tt.carried {
			t.Errorf("%s: carries %q, want %q", tt.model, got, tt.carried)
		}
	}

	ceiling := meter.Quantities{meter.Input: 10, meter.Image: 2, meter.OutputImage: 2000}
	for model, want := range map[string]string{"tokens": "0.08005", "pieces": "0.12"} {
		c, err := book.Quote(meter.PriceQuery{Model: model, Class: "images", At: noon}, &ceiling, nil)
		wantFee(t, "quote of "+model, c, err, want)
	}
	ceiling[meter.OutputImage] = 0
	for _, model := range []string{"tokens", "made"} {
		if _, err := book.Quote(meter.PriceQuery{Model: model, Class: "images", At: noon}, &ceiling, nil); !errors.Is(err, meter.ErrUnpriced) {
			t.Errorf("output of %s without a ceiling: got %v, want ErrUnpriced", model, err)
		}
	}
}

// carried is what has no line, as "input 10, output 9".
func carried(c *meter.Charge) string {
	if c.Carried == nil {
		return ""
	}
	var list []string
	for d, n := range c.Carried.NonZero() {
		list = append(list, fmt.Sprint(d, " ", n))
	}
	return strings.Join(list, ", ")
}

func TestHostedTools(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {input: 1/1M, output: 1/1M}}
  - {models: [own], rates: {input: 1/1M, output: 1/1M, search: 25/1K}}
  - {tools: [web_search], when: {engine: std}, rates: {search: 0.01}}
  - {tools: [web_search], when: {engine: pro}, rates: {search: 0.03}}
  - {tools: ["file_*"], rates: {tool_call: 2.5/1K}}
`)
	search := func(engine string, n int64) meter.ToolUse {
		u := meter.ToolUse{Tool: "web_search", Dimension: meter.Search, Count: n}
		if engine != "" {
			u.Attributes = meter.Attributes{"engine": engine}
		}
		return u
	}
	for _, tt := range []struct {
		what, model   string
		tool          meter.ToolUse
		quote, charge string
	}{
		{"an engine", "m", search("std", 3), "0.03", "0.03"},
		{"another", "m", search("pro", 1), "0.03", "0.03"},
		{"none said", "m", search("", 1), "0.03", "0.03"},
		{"a model with a price of its own", "own", search("std", 2), "0.05", "0.05"},
		{"a search is a call", "m", meter.ToolUse{Tool: "file_search", Dimension: meter.Search, Count: 1}, "0.0025", "0.0025"},
		{"an engine without a price", "m", search("bing", 1), "", "0"},
		{"an unknown tool", "m", meter.ToolUse{Tool: "code", Dimension: meter.ToolCall, Count: 1}, "", "0"},
		{"no call", "m", meter.ToolUse{Tool: "code", Dimension: meter.ToolCall}, "0", "0"},
	} {
		query := meter.PriceQuery{Model: tt.model, Class: "chat", At: noon}
		tools := []meter.ToolUse{tt.tool}
		quote, err := book.Quote(query, &meter.Quantities{}, tools)
		if tt.quote == "" {
			if !errors.Is(err, meter.ErrUnpriced) || !strings.Contains(err.Error(), tt.tool.Tool) {
				t.Errorf("%s: got %v, want ErrUnpriced that names the tool", tt.what, err)
			}
		} else {
			wantFee(t, tt.what, quote, err, tt.quote)
			if tt.tool.Count > 0 && (len(quote.Lines) != 1 || quote.Lines[0].Tool != tt.tool.Tool) {
				t.Errorf("%s: quote %+v", tt.what, quote.Lines)
			}
		}
		u := usage(meter.Quantities{})
		u.ToolCalls = tools
		c, err := book.Charge(query, u)
		wantFee(t, tt.what, c, err, tt.charge)
		if tt.tool.Count == 0 && len(c.Lines) > 0 || tt.tool.Count > 0 && (c.Lines[0].Tool != tt.tool.Tool || c.Lines[0].Unpriced != (tt.quote == "")) {
			t.Errorf("%s: %+v", tt.what, c.Lines)
		}
	}
}

// Every line of a charge is rounded by itself, and each can gain by it: whatever the tokens of a small
// call turn out to be, the quote covers them.
func TestQuoteCoversEveryRounding(t *testing.T) {
	for _, side := range [][4]meter.Dimension{
		{meter.Input, meter.CachedInput, meter.InputImage, meter.InputAudio},
		{meter.Output, meter.Reasoning, meter.OutputImage, meter.OutputAudio},
	} {
		texts := []string{"0.0005/1M", "0.0016/1M", "0.002/1M"} // 0.5, 1.6 and 2 nano
		for n := range 81 {
			rates := [4]string{texts[n%3], texts[n/3%3], texts[n/9%3], texts[n/27]}
			book := newBook(t, fmt.Sprintf("currency: CNY\nprices: [{models: [m], rates: {%s: %s, %s: %s, %s: %s, %s: %s}}]",
				side[0], rates[0], side[1], rates[1], side[2], rates[2], side[3], rates[3]))
			for plain := range int64(4) {
				for images := range int64(3) {
					for sound := range int64(2) {
						checkSplits(t, book, side, rates, [3]int64{plain, images, sound})
					}
				}
			}
		}
	}
}

// checkSplits charges all that can become of so many plain tokens, those of images, and of sound.
func checkSplits(t *testing.T, book *meter.Book, side [4]meter.Dimension, rates [4]string, most [3]int64) {
	t.Helper()
	quantities := func(plain, part, images, sound int64) (q meter.Quantities) {
		q[side[0]], q[side[1]], q[side[2]], q[side[3]] = plain, part, images, sound
		return q
	}
	query := meter.PriceQuery{Model: "m", Class: "chat", At: noon}
	ceiling := quantities(most[0], 0, most[1], most[2])
	quote, err := book.Quote(query, &ceiling, nil)
	if err != nil {
		t.Fatal(err)
	}
	for images := range most[1] + 1 {
		for sound := range most[2] + 1 {
			left := most[0] + most[1] + most[2] - images - sound
			for part := range left + 1 {
				used := quantities(left-part, part, images, sound)
				if c, err := book.Charge(query, usage(used)); err != nil || c.Fee > quote.Fee {
					t.Fatalf("at %v %v costs %s, %v; of %v %s was held", rates, used.Map(), c.Fee, err, ceiling.Map(), quote.Fee)
				}
			}
		}
	}
}
