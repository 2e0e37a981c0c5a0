package meter_test

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

func benchmarkBook(b *testing.B) *meter.Book {
	b.Helper()
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: prices.Files()})
	if err != nil {
		b.Fatal(err)
	}
	return book
}

func BenchmarkQuote(b *testing.B) {
	book := benchmarkBook(b)
	ceiling := meter.Quantities{meter.Input: 12_000, meter.Output: 4096}
	for _, model := range []string{"glm-4.6", "gpt-5", "gpt-4o-mini"} {
		b.Run(model, func(b *testing.B) {
			query := meter.PriceQuery{Model: model, Class: "chat", At: noon}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := book.Quote(query, &ceiling, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCharge(b *testing.B) {
	book := benchmarkBook(b)
	u := usage(meter.Quantities{meter.Input: 800, meter.CachedInput: 1200, meter.Output: 500, meter.Reasoning: 100})
	u.Attributes = meter.Attributes{"service_tier": "default"}
	for _, model := range []string{"glm-4.6", "gpt-5"} {
		b.Run(model, func(b *testing.B) {
			query := meter.PriceQuery{Model: model, Class: "chat", Upstream: "bigmodel", At: noon}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := book.Charge(query, u); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A name that only a pattern matches is remembered.
func BenchmarkQuoteByPattern(b *testing.B) {
	book := benchmarkBook(b)
	query := meter.PriceQuery{Model: "cogview-4-250304", Class: "images", At: noon}
	ceiling := meter.Quantities{meter.Image: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := book.Quote(query, &ceiling, nil); err != nil {
			b.Fatal(err)
		}
	}
}
