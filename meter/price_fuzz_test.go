package meter_test

import (
	"os"
	"testing"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

// A price file never panics, and one that loads can quote and charge.
func FuzzPriceFile(f *testing.F) {
	for _, table := range prices.Files() {
		f.Add(table.Data)
	}
	if data, err := os.ReadFile("testdata/prices/litellm.json"); err == nil {
		f.Add(data)
	}
	f.Add([]byte(ranked))
	f.Add([]byte("currency: USD\nprices:\n  - {models: [\"*a*\", \"a**\"], tiers: [{input: \"[0,1)\", rates: {input: 1/1M, unsplit: 0}}, {input: \"[1,)\", rates: {input: 2}}]}\n"))
	f.Add([]byte("currency: CNY\nprices:\n  - models: [m]\n    windows: [{days: [sun], from: \"23:59\", to: \"00:00\", timezone: Europe/Berlin}]\n    from: 2026-01-01\n    rates: {session_ms: 0.3/1h}\n    fallback: {audio_ms: session_ms, input: none}\n"))
	f.Add([]byte("{\"m\": {\"mode\": \"chat\", \"input_cost_per_token_above_128k_tokens\": 1e-9, \"input_cost_per_token\": 1e-9}}"))
	f.Add([]byte("a: &x [*x]\n<<: *x\n? [1]\n: !!float 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		book, err := meter.NewBook(meter.BookOptions{
			Currency: "CNY", Exchange: map[string]string{"USD": "7.1"},
			Files: []meter.PriceFile{{Name: "fuzz.yaml", Data: data}},
		})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		for _, model := range append(book.Models(), "m", "glm-4.6-flash") {
			tryModel(t, book, model)
		}
	})
}

func tryModel(t *testing.T, book *meter.Book, model string) {
	for _, class := range []string{"chat", "images", ""} {
		query := meter.PriceQuery{Model: model, Class: class, At: noon}
		for d := range meter.Unsplit + 1 {
			var ceiling meter.Quantities
			ceiling[d] = 1000
			quote, err := book.Quote(query, &ceiling, nil)
			charge, chargeErr := book.Charge(query, usage(ceiling))
			if err != nil || chargeErr != nil {
				continue
			}
			if charge.Fee > quote.Fee || quote.Fee < 0 {
				t.Fatalf("%s at %s: 1000 of %s are quoted %s and charged %s", model, class, d, quote.Fee, charge.Fee)
			}
		}
	}
	book.Rates(model, noon)
	book.Warnings()
}
