package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// tiered is a table whose row has so many tiers, its last one at that rate.
func tiered(t *testing.T, tiers int, last string) *meter.Book {
	t.Helper()
	var table strings.Builder
	table.WriteString("currency: CNY\nprices:\n  - models: [glm-4.6]\n    tiers:\n")
	for i := range tiers {
		end, rate := fmt.Sprint(1000*(i+1)), "1.000001/1M"
		if i == tiers-1 {
			end, rate = "", last
		}
		fmt.Fprintf(&table, "      - {input: \"[%d,%s)\", rates: {input: %s, cached_input: %s, output: %s, reasoning: %s, output_audio: %s, input_image: %s}}\n",
			1000*i, end, rate, rate, rate, rate, rate, rate)
	}
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "p.yaml", Data: []byte(table.String())}}})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// A task is remembered with its prices, unless they are longer than what can be remembered: then those of its end hold.
func TestTaskIsRememberedWithItsPrices(t *testing.T) {
	for tiers, want := range map[int]string{8: "0.3", 64: "0.6"} {
		c := forwardedChat(t)
		c.endpoint = meter.FindEndpoint("/async/chat/completions")
		c.request.Endpoint = c.endpoint
		now := *c.routing
		c.routing.book, now.book = tiered(t, tiers, "1/1M"), tiered(t, tiers, "2/1M")
		memory, err := c.remember()
		if err != nil || len(memory) > ledger.MaxTaskMemory {
			t.Fatalf("%d tiers: %d bytes, %v", tiers, len(memory), err)
		}
		made, err := c.proxy.recall(&ledger.FoundObject{Memory: memory}, "acme", &now)
		if err != nil {
			t.Fatal(err)
		}
		s := made.settlement(meter.Usage{Quantities: meter.Quantities{meter.Input: 100_000, meter.Output: 200_000}})
		if got := s.Charge.Fee.String(); got != want {
			t.Errorf("%d tiers: %s, want %s", tiers, got, want)
		}
		if s = made.settlement(meter.Usage{Quantities: meter.Quantities{meter.Output: 1 << 60}}); s.Charge.Fee != c.quote.Fee || c.quote.Fee == 0 {
			t.Errorf("%d tiers: what cannot be charged costs %s, want what is held, %s", tiers, s.Charge.Fee, c.quote.Fee)
		}
	}
}
