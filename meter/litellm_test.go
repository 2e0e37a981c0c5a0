package meter_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

func litellm(t testing.TB, currency string) *meter.Book {
	t.Helper()
	data, err := os.ReadFile("testdata/prices/litellm.json")
	if err != nil {
		t.Fatal(err)
	}
	book, err := meter.NewBook(meter.BookOptions{
		Currency: currency, Exchange: map[string]string{"USD": "7.1"},
		Files: []meter.PriceFile{{Name: "litellm.json", Data: data}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func TestLiteLLMPrices(t *testing.T) {
	book := litellm(t, "USD")
	const million = 1_000_000
	tests := []struct {
		what       string
		model      string
		class      string
		attributes meter.Attributes
		used       meter.Quantities
		want       string
	}{
		{"small", "chat-tiers", "chat", nil, meter.Quantities{meter.Input: 272_000, meter.CachedInput: 0}, "0.68"},
		{"above 272k is from 272001 on", "chat-tiers", "chat", nil, meter.Quantities{meter.Input: 272_001}, "1.360005"},
		{"cached and output", "chat-tiers", "chat", nil, meter.Quantities{meter.CachedInput: 1000, meter.Output: 1000}, "0.01525"},
		{"priority", "chat-tiers", "chat", meter.Attributes{"service_tier": "priority"}, meter.Quantities{meter.Input: 1000, meter.Output: 1000}, "0.035"},
		{"priority above: the dearer of the two that are known", "chat-tiers", "chat", meter.Attributes{"service_tier": "priority"}, meter.Quantities{meter.Input: million, meter.Output: million}, "35"},
		{"flex", "chat-tiers", "chat", meter.Attributes{"service_tier": "flex"}, meter.Quantities{meter.Input: 1000, meter.CachedInput: 1000}, "0.0015"},
		{"batch", "chat-tiers", "chat", meter.Attributes{"batch": "true"}, meter.Quantities{meter.Output: 1000}, "0.0075"},
		{"batch and flex", "chat-tiers", "chat", meter.Attributes{"batch": "true", "service_tier": "flex"}, meter.Quantities{meter.Output: 1000}, "0.0075"},
		{"a search, at the dearest context", "chat-tiers", "chat", nil, meter.Quantities{meter.Search: 1}, "0.03"},
		{"cache writes", "claude", "chat", nil, meter.Quantities{meter.CacheWrite5m: 1000, meter.CacheWrite1h: 1000, meter.CachedInput: 1000, meter.Input: 1000}, "0.01305"},
		{"a picture by the pixel", "dall-e-2", "images", meter.Attributes{"size": "256x256"}, meter.Quantities{meter.Image: 1}, "0.015999959"},
		{"a picture by the piece", "dall-e-3", "images", meter.Attributes{"size": "1024x1792", "quality": "hd"}, meter.Quantities{meter.Image: 1, meter.Input: 5}, "0.12"},
		{"a picture of less quality", "dall-e-3", "images", meter.Attributes{"size": "1024x1792", "quality": "standard"}, meter.Quantities{meter.Image: 1}, "0.08"},
		{"a picture by the token", "gpt-image-1", "images", meter.Attributes{"size": "1024x1536", "quality": "high"}, meter.Quantities{meter.Image: 1, meter.Input: 100, meter.InputImage: 100, meter.Output: 6240}, "0.2511"},
		{"a size in a list of tiers", "tiers-alone", "chat", nil, meter.Quantities{meter.Input: 256_000, meter.Output: 1000}, "0.1036"},
		{"the next of them", "tiers-alone", "chat", nil, meter.Quantities{meter.Input: 256_001, meter.Output: 1000}, "0.3108012"},
		{"beyond the last of them", "tiers-alone", "chat", nil, meter.Quantities{meter.Input: 2_000_000}, "2.4"},
		{"tiers beside a cost", "tiers-beside", "chat", nil, meter.Quantities{meter.Input: 500_000}, "0.6"},
		{"balanced", "chat-speeds", "chat", meter.Attributes{"service_tier": "balanced"}, meter.Quantities{meter.Input: 1000}, "0.0008"},
		{"fast", "chat-speeds", "chat", meter.Attributes{"service_tier": "fast"}, meter.Quantities{meter.Input: 1000}, "0.002"},
		{"ultrafast", "chat-speeds", "chat", meter.Attributes{"service_tier": "ultrafast"}, meter.Quantities{meter.Input: 1000}, "0.005"},
		{"a call and its tokens", "online", "chat", nil, meter.Quantities{meter.Input: 1000, meter.Output: 1000}, "0.00528"},
		{"a call alone", "online-by-the-call", "chat", nil, meter.Quantities{meter.Input: 1000, meter.Output: 1000}, "0.005"},
		{"speech in", "whisper-1", "transcriptions", nil, meter.Quantities{meter.AudioMS: 90_000}, "0.009"},
		{"speech out", "tts-1", "speech", nil, meter.Quantities{meter.Character: 1000}, "0.015"},
		{"moderation is free", "omni-moderation-latest", "moderations", nil, meter.Quantities{meter.Input: 1000}, "0"},
	}
	for _, tt := range tests {
		u := usage(tt.used)
		u.Attributes = tt.attributes
		c, err := book.Charge(meter.PriceQuery{Model: tt.model, Class: tt.class, At: noon}, u)
		wantFee(t, tt.what, c, err, tt.want)
		for _, l := range c.Lines {
			if l.Unpriced {
				t.Errorf("%s: %+v", tt.what, l)
			}
		}
	}
}

func TestLiteLLMLeavesOutWhatItCannotPrice(t *testing.T) {
	book := litellm(t, "USD")
	for _, model := range []string{"sample_spec", "too-fine", "nobody-knows", "no-costs", "256-x-256/dall-e-2", "tiers-unsaid", "long-alone"} {
		if book.Priced(model, "chat", noon) || book.Priced(model, "images", noon) {
			t.Errorf("%s is priced", model)
		}
	}
	want := []string{
		`litellm.json:55:5: model "too-fine" is left out: input_cost_per_token: rate 0.100000125/1M is not exact to 1e-12`,
		`litellm.json:86:5: model "tiers-unsaid" is left out: tiered_pricing: want a range in each, such as [0, 256000]`,
		`litellm.json:128:5: model "long-alone" is left out: this tier has no rate for input`,
		`litellm.json: models that cost 0 throughout are left out: 1, "nobody-knows" for one`,
	}
	w := book.Warnings()
	for i := range w {
		if i >= len(want) || !strings.HasPrefix(w[i], want[i]) {
			t.Errorf("warning %q", w[i])
		}
	}
	if len(w) != len(want) {
		t.Errorf("%d warnings, want %d", len(w), len(want))
	}
}

func TestLiteLLMIsInDollars(t *testing.T) {
	book := litellm(t, "CNY")
	c, err := book.Charge(meter.PriceQuery{Model: "claude", Class: "chat", At: noon}, usage(meter.Quantities{meter.Input: 1_000_000}))
	wantFee(t, "exchanged", c, err, "21.3")
	if got := c.Lines[0].Rate.String(); got != "21.3/1M" {
		t.Errorf("the rate prints %s", got)
	}
	_, err = meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "x.json", Data: []byte(`{"m":{}}`)}}})
	if err == nil || !strings.Contains(err.Error(), "LiteLLM's prices are in USD") {
		t.Errorf("without an exchange rate: %v", err)
	}
}

// Our own tables may be written as JSON too.
func TestOwnTablesInJSON(t *testing.T) {
	book := newBook(t, `{"currency": "CNY", "prices": [{"models": ["m"], "rates": {"image": "0.06"}}]}`)
	c, err := book.Charge(meter.PriceQuery{Model: "m", At: noon}, usage(meter.Quantities{meter.Image: 1}))
	wantFee(t, "JSON", c, err, "0.06")
	_, err = meter.NewBook(options(`{"currency": "CNY", "prices": [{"models": ["m"], "rates": {"image": 0.06e1}}]}`))
	wantErrors(t, "an exponent", err, []string{`1:69: rate "0.06e1"`})
}

func TestBrokenJSON(t *testing.T) {
	for data, want := range map[string]string{
		"{\"a\": 1,\n  \"b\" 2}": "x.json:2:7: not JSON",
		"":                       "x.json:1:1: not JSON",
	} {
		_, err := meter.NewBook(meter.BookOptions{Currency: "USD", Files: []meter.PriceFile{{Name: "x.json", Data: []byte(data)}}})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", data, err, want)
		}
	}
}
