package proxy

import (
	"math"
	"testing"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// What is due beside packs is what the ledger finds due: whoever is told that he
// can afford so much output is not refused again.
func TestCashBesidePacks(t *testing.T) {
	line := func(d meter.Dimension, quantity int64, amount meter.Nano) meter.Line {
		rate, err := meter.ParseRate("10/1M", meter.Input)
		if err != nil {
			t.Fatal(err)
		}
		return meter.Line{Dimension: d, Quantity: quantity, Rate: rate, Amount: amount}
	}
	plain, call := line(meter.Input, 1000, 10_000_000), line(meter.Call, 1, 10_000)
	clipped, rough := line(meter.Input, 1500, 9_990_000), line(meter.Output, 1000, 10_000_002)
	for _, c := range []struct {
		what  string
		lines []meter.Line
		pack  int64
		want  meter.Nano
	}{
		{"no pack", []meter.Line{plain, call}, 0, 10_010_000},
		{"a pack for half of it", []meter.Line{plain}, 500, 5_000_000},
		{"a pack for half of two lines", []meter.Line{plain, rough}, 1000, 10_000_002},
		{"a pack for all tokens", []meter.Line{plain, rough, call}, 5000, 10_000},
		{"what the tier leaves out is covered first", []meter.Line{clipped}, 100, 9_990_000},
		{"and then what it prices", []meter.Line{clipped}, 1000, 5_000_000},
		{"what roundings may add is covered last", []meter.Line{rough}, 999, 10_002},
	} {
		quote := meter.Charge{Lines: c.lines}
		if got := cashBesidePacks(&quote, quote.Tokens(), c.pack); got != c.want {
			t.Errorf("%s: %s is due, want %s", c.what, got, c.want)
		}
	}
}

// What would fit is told to the token: with as much money as so many tokens of output cost it is those, with a nano less one less.
func TestAffordableOutputIsExact(t *testing.T) {
	c := forwardedChat(t) // of 5 tokens at most
	for n := range int64(6) {
		ceiling := c.request.WithOutput(n)
		quote, err := c.quoteFor(&ceiling)
		if err != nil {
			t.Fatal(err)
		}
		enough := c.affordableOutput(&ledger.Refusal{Cash: quote.Fee})
		less := c.affordableOutput(&ledger.Refusal{Cash: quote.Fee - 1})
		left := quote.Tokens()
		ofTheKey := c.affordableOutput(&ledger.Refusal{Cash: meter.MaxCharge, KeyTokensLeft: &left})
		if *enough != n || *less != max(n-1, 0) || *ofTheKey != n {
			t.Errorf("with the price of %d tokens: %d, with a nano less: %d, with a key's rest of so many: %d", n, *enough, *less, *ofTheKey)
		}
	}
}

// So it is with the largest limit that a request may have, where an int has 32 bits, too.
func TestAffordableOutputOfTheLargestLimit(t *testing.T) {
	c := forwardedChat(t)
	c.request.Ceiling[meter.Output] = math.MaxInt32
	ceiling := c.request.WithOutput(7)
	quote, err := c.quoteFor(&ceiling)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.affordableOutput(&ledger.Refusal{Cash: quote.Fee}); *got != 7 {
		t.Errorf("with the price of 7 tokens: %d", *got)
	}
}
