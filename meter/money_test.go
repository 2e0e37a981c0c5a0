package meter

import (
	"errors"
	"math/big"
	"strings"
	"testing"
)

func TestNanoReadsAndPrintsDecimalStrings(t *testing.T) {
	for text, want := range map[string]Nano{
		"0": 0, "10": 10_000_000_000, "-0.25": -250_000_000, "0.000000001": 1, "-0.000000001": -1,
		"9000000000": MaxBalance, "-9000000000": -MaxBalance, "123456789.123456789": 123_456_789_123_456_789,
	} {
		got, err := ParseNano(text)
		if err != nil || got != want {
			t.Errorf("ParseNano(%q) = %d, %v, want %d", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("Nano(%d) prints %q, want %q", got, got, text)
		}
	}
	for text, want := range map[string]string{"1.50": "1.5", "007": "7", "-0": "0", ".5": "0.5", "5.": "5"} {
		if got, err := ParseNano(text); err != nil || got.String() != want {
			t.Errorf("ParseNano(%q) prints %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestNanoRefusesWhatCannotBeBooked(t *testing.T) {
	for text, want := range map[string]string{
		"": "not an amount", "ten": "not an amount", "1e3": "not an amount", " 1": "not an amount", "1 ": "not an amount",
		"+1": "not an amount", "0x10": "not an amount", "--1": "not an amount", "1.2.3": "not an amount", "-": "not an amount",
		"NaN": "not an amount", "1,5": "not an amount", "0.0000000001": "finer than", "9000000000.000000001": "out of range",
	} {
		if n, err := ParseNano(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseNano(%q) = %d, %v, want an error with %q", text, n, err, want)
		}
	}
}

// EXACT-FEE: against rationals, rounded half up.
func TestAmountIsExactAndRoundedOnceHalfUp(t *testing.T) {
	for _, tc := range []struct{ quantity, pico, per int64 }{
		{1, 1499, 1},
		{1, 1500, 1},
		{1, 499, 1},
		{1, 500, 1},
		{3, 500, 1},
		{1000, 2_000_000, 1},
		{1 << 52, 1500, 1},
		{9_007_199_254_740_991, 1000, 1},
		{7, 300_000_000_000, 3_600_000},
		{1_800_000, 300_000_000_000, 3_600_000},
		{9_007_199_254_740_991, 2048, 3_600_000}, // what half a nano adds goes beyond 64 bits
	} {
		got, err := Rate{Pico: tc.pico, Per: tc.per}.Amount(tc.quantity)
		exact := new(big.Rat).Mul(big.NewRat(tc.quantity, 1), big.NewRat(tc.pico, tc.per*1000))
		exact.Add(exact, big.NewRat(1, 2))
		want := new(big.Int).Div(exact.Num(), exact.Denom())
		if want.Cmp(big.NewInt(int64(MaxCharge))) > 0 {
			if !errors.Is(err, ErrAmountRange) {
				t.Errorf("%+v: %v, want ErrAmountRange", tc, err)
			}
			continue
		}
		if err != nil || int64(got) != want.Int64() {
			t.Errorf("%+v = %d, %v, want %s", tc, got, err, want)
		}
	}
}

func TestAmountBeyondTheBoundIsAnError(t *testing.T) {
	for _, tc := range []struct{ quantity, pico int64 }{{1 << 62, 1 << 62}, {9_007_199_254_740_992, 1000}, {1 << 62, 1 << 40}, {1000 << 32, 1 << 32}} {
		if n, err := (Rate{Pico: tc.pico, Per: 1}).Amount(tc.quantity); !errors.Is(err, ErrAmountRange) {
			t.Errorf("%+v = %d, %v, want ErrAmountRange", tc, n, err)
		}
	}
	if n, err := (Rate{Pico: 1}).Amount(-5); n != 0 || err != nil {
		t.Errorf("a negative quantity costs %d, %v, want nothing", n, err)
	}
}

func FuzzParseNano(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "9000000000", "0.000000001", "..", "1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseNano(text)
		if err != nil {
			return
		}
		again, err := ParseNano(n.String())
		if err != nil || again != n {
			t.Errorf("%q reads as %d, prints as %s, reads again as %d, %v", text, n, n, again, err)
		}
	})
}
