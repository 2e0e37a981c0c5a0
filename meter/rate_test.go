package meter

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseRate(t *testing.T) {
	tests := []struct {
		text      string
		dimension Dimension
		pico, per int64
		canonical string
	}{
		{"2/1M", Input, 2_000_000, 1, "2/1M"},
		{"2.50/1000000", Input, 2_500_000, 1, "2.5/1M"},
		{"0.115/1M", CachedInput, 115_000, 1, "0.115/1M"},
		{"2/10K", Character, 200_000_000, 1, "2/10K"},
		{"2/10000", Character, 200_000_000, 1, "2/10K"},
		{"0.01/1K", Input, 10_000_000, 1, "0.01/1K"},
		{"0.06", Image, 60_000_000_000, 1, "0.06"},
		{"0.06/1", Image, 60_000_000_000, 1, "0.06"},
		{"0.04/1024", StorageMiBHour, 39_062_500, 1, "0.04/1024"},
		{"0", Input, 0, 1, "0"},
		{"0.00/1M", Input, 0, 1, "0"},
		{"0.06/1min", AudioMS, 60_000_000_000, 60_000, "0.06/1min"},
		{"0.06/60s", AudioMS, 60_000_000_000, 60_000, "0.06/1min"},
		{"0.3/1h", SessionMS, 300_000_000_000, 3_600_000, "0.3/1h"},
		{"0.000000000001/1h", SessionMS, 1, 3_600_000, "0.000000000001/1h"},
		{"0.02/90s", AudioMS, 20_000_000_000, 90_000, "0.02/90s"},
		{"0.02/90min", AudioMS, 20_000_000_000, 5_400_000, "0.02/90min"},
		{"0.001/250ms", VideoMS, 1_000_000_000, 250, "0.001/250ms"},
		{"0.06/1000", AudioMS, 60_000_000, 1, "0.06/1K"},
		{"0.000000000001", Image, 1, 1, "0.000000000001"},
		{"9223372.036854775807", Image, 9_223_372_036_854_775_807, 1, "9223372.036854775807"},
	}
	for _, tt := range tests {
		r, err := ParseRate(tt.text, tt.dimension)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if r.Pico != tt.pico || r.Per != tt.per || r.String() != tt.canonical {
			t.Errorf("%s: got %d pico per %d, %q; want %d per %d, %q", tt.text, r.Pico, r.Per, r, tt.pico, tt.per, tt.canonical)
		}
	}
}

func TestParseRateRefuses(t *testing.T) {
	tests := []struct {
		text      string
		dimension Dimension
		want      string // in the error
	}{
		{"", Input, "not a decimal number"},
		{"-2/1M", Input, "negative"},
		{"1e-6", Input, "not a decimal number"},
		{"+2", Input, "not a decimal number"},
		{" 2", Input, "not a decimal number"},
		{"2 / 1M", Input, "not a decimal number"},
		{".5", Input, "not a decimal number"},
		{"5.", Input, "not a decimal number"},
		{"1_000", Input, "not a decimal number"},
		{"0x10", Input, "not a decimal number"},
		{".inf", Input, "not a decimal number"},
		{"2/", Input, "not a count"},
		{"2/0", Input, "not a count"},
		{"2/-1", Input, "not a count"},
		{"2/+1", Input, "not a count"},
		{"2/1.5M", Input, "not a count"},
		{"2/M", Input, "not a count"},
		{"2/1m", Input, "not a count"},
		{"2/1M/2", Input, "not a count"},
		{"2/1min", Input, "not counted in time"},
		{"2/1h", Image, "not counted in time"},
		{"2/9300000000000M", Input, "too large"},
		{"2/300000h", AudioMS, "too large"},
		{"1/3", Input, "1e-12"},
		{"0.0000000000001", Input, "1e-12"},
		{"0.0000001/1M", Input, "1e-12"},
		{"0.0000000000001/1h", AudioMS, "1e-12"},
		{"9223372.036854775808", Image, "out of range"},
		{strings.Repeat("9", 41), Image, "digits"},
	}
	for _, tt := range tests {
		r, err := ParseRate(tt.text, tt.dimension)
		if err == nil {
			t.Errorf("%q of %s was taken as %d pico", tt.text, tt.dimension, r.Pico)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %q does not say %q", tt.text, err, tt.want)
		}
	}
	if _, err := ParseRate("10000000", Image); !errors.Is(err, ErrAmountRange) {
		t.Errorf("beyond a Rate: got %v, want ErrAmountRange", err)
	}
}

// A time rate stays a fraction: 0.3 an hour has no exact price a millisecond.
func TestTimeRatesAreExact(t *testing.T) {
	r, err := ParseRate("0.3/1h", SessionMS)
	if err != nil {
		t.Fatal(err)
	}
	for quantity, want := range map[int64]Nano{3_600_000: 300_000_000, 1: 83, 6: 500, 12_000: 1_000_000} {
		if got, err := r.Amount(quantity); err != nil || got != want {
			t.Errorf("%d ms: got %v, %v; want %v", quantity, got, err, want)
		}
	}
}

func TestRateReadsBackFromJSON(t *testing.T) {
	for _, text := range []string{"2/1M", "0.3/1h", "0", "0.06"} {
		r, err := ParseRate(text, SessionMS)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(Line{Dimension: SessionMS, Quantity: 1, Rate: r})
		if err != nil {
			t.Fatal(err)
		}
		var back Line
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if back.Rate.Pico != r.Pico || back.Rate.String() != r.String() {
			t.Errorf("%s came back as %s", r, back.Rate)
		}
	}
}

func TestDearerComparesAcrossTimes(t *testing.T) {
	minute, _ := ParseRate("0.06/1min", AudioMS)
	hour, _ := ParseRate("3.5/1h", AudioMS)
	if !minute.dearer(hour) || hour.dearer(minute) || minute.dearer(minute) {
		t.Error("0.06/1min is 3.6/1h, so dearer than 3.5/1h")
	}
	if dear, _ := ParseRate("10000/1h", AudioMS); !dear.dearer(minute) || minute.dearer(dear) {
		t.Error("10000/1h is dearer than 0.06/1min")
	}
}

// rateRat is what a unit costs by the text of a rate, read independently.
func rateRat(text string) *big.Rat {
	amount, count, _ := strings.Cut(text, "/")
	r, _ := new(big.Rat).SetString(amount)
	per := map[string]int64{"1": 1, "1K": 1000, "10K": 10_000, "1M": 1_000_000, "1min": 60_000, "1h": 3_600_000}[count]
	return r.Quo(r, big.NewRat(per, 1))
}

// halfUp rounds an amount in currency units to nano; it may be more than any Nano.
func halfUp(r *big.Rat) *big.Int {
	n := new(big.Rat).Mul(r, big.NewRat(1_000_000_000, 1))
	n.Add(n, big.NewRat(1, 2))
	return new(big.Int).Div(n.Num(), n.Denom())
}

func TestAmountIsExactHalfUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{1,4}\.[0-9]{1,6}/(1|1K|10K|1M|1min|1h)`).Draw(t, "rate")
		quantity := rapid.Int64Range(0, 1<<40).Draw(t, "quantity")
		r, err := ParseRate(text, AudioMS)
		if err != nil {
			t.Fatal(err)
		}
		exact := halfUp(new(big.Rat).Mul(rateRat(text), new(big.Rat).SetInt64(quantity)))
		got, err := r.Amount(quantity)
		if exact.Cmp(big.NewInt(int64(MaxCharge))) > 0 {
			if err == nil {
				t.Fatalf("%d × %s = %s was not refused", quantity, text, got)
			}
			return
		}
		want := Nano(exact.Int64())
		if err != nil || got != want {
			t.Fatalf("%d × %s: got %s, %v; want %s", quantity, text, got, err, want)
		}
		if most, err := r.atMost(quantity, 1); err != nil || most != want {
			t.Fatalf("in one part: got %s, %v; want %s", most, err, want)
		}
	})
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"2/1M", "0.06/1min", "0.06", "0", "1/3", "-1", "9223372.036854775808", "1/1ms"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range []Dimension{Input, Image, AudioMS} {
			r, err := ParseRate(text, d)
			if err != nil {
				continue
			}
			if r.Pico < 0 || r.Per < 1 {
				t.Fatalf("%q: %d pico per %d", text, r.Pico, r.Per)
			}
			again, err := ParseRate(r.String(), d)
			if err != nil || again != r {
				t.Fatalf("%q prints as %q, which reads as %v, %v", text, r, again, err)
			}
		}
	})
}
