package meter

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

const (
	// maxAmountText bounds the digits of an amount, so that a price table
	// cannot make the arithmetic at load expensive.
	maxAmountText = 40
	// maxRateTime bounds the time of a rate, in milliseconds: about 30 years.
	maxRateTime = 1_000_000_000_000
	picoDigits  = 12
)

var errInexact = errors.New("is not exact to 1e-12")

// A Rate is the price of one dimension: AMOUNT per COUNT units, kept as whole
// pico (1e-12 of a currency unit) per Per units. The zero Rate is free.
type Rate struct {
	// Pico is 1e-12 of a currency unit, per Per units.
	Pico int64
	// Per is 1 but for times, where it is the milliseconds of the count.
	Per int64
	// text is what the price table says, for display: "2/1M".
	text string
}

// String prints the rate as a price table would: "2/1M".
func (r Rate) String() string {
	if r.text == "" && r.Pico == 0 {
		return "0"
	}
	return r.text
}

// MarshalText prints as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText: it reads a rate as a receipt
// or a journal shows it, of whatever dimension. One in ms may have any rate.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text), SessionMS)
	return err
}

// Amount is the price of quantity units, rounded once, half up, to a nano.
// ErrAmountRange is returned beyond MaxCharge.
func (r Rate) Amount(quantity int64) (Nano, error) { return r.atMost(quantity, 1) }

// ParseRate reads a rate of a price table: AMOUNT (per one unit of d) or
// AMOUNT/COUNT, where COUNT is an integer, with K or M if one likes ("2/1M",
// "2/10K"), or for the dimensions in milliseconds a time ("0.06/1min",
// "0.3/1h", also s and ms). Free is "0". Anything that is negative, not
// decimal, not exact to 1e-12 a unit or beyond what a Rate holds is refused;
// the error says what would be right.
func ParseRate(text string, d Dimension) (Rate, error) {
	t, err := parseTariff(text, d)
	if err != nil {
		return Rate{}, err
	}
	return t.rate()
}

// A tariff is a rate as a price table writes it: an amount for a count of
// units. It can still be multiplied without loss; a Rate cannot.
type tariff struct {
	amount decimal.Decimal
	count  int64 // units, or milliseconds where timed
	timed  bool
}

func parseTariff(text string, d Dimension) (tariff, error) {
	amountText, countText, divided := strings.Cut(text, "/")
	t := tariff{count: 1}
	var err error
	if t.amount, err = parseDecimal(amountText); err != nil {
		return tariff{}, fmt.Errorf("rate %q: %w", text, err)
	}
	if !divided {
		return t, nil
	}
	t.count, t.timed, err = parseRateCount(countText)
	switch {
	case err != nil:
		return tariff{}, fmt.Errorf("rate %q: %w", text, err)
	case t.timed && !d.isTime():
		return tariff{}, fmt.Errorf("rate %q: %s is not counted in time; want a number of units such as %s/1M", text, d, amountText)
	}
	return t, nil
}

// parseDecimal reads a plain non-negative decimal number, and nothing cleverer.
func parseDecimal(s string) (decimal.Decimal, error) {
	whole, fraction, pointed := strings.Cut(s, ".")
	switch {
	case strings.HasPrefix(s, "-"):
		return decimal.Decimal{}, fmt.Errorf("%q is negative; a price is 0 or more", s)
	case !isDigits(whole) || pointed && !isDigits(fraction):
		return decimal.Decimal{}, fmt.Errorf("%q is not a decimal number; want one such as 2 or 0.06, without exponent or blanks", s)
	case len(s) > maxAmountText:
		return decimal.Decimal{}, fmt.Errorf("%q has more than %d digits", s[:maxAmountText]+"…", maxAmountText)
	}
	return decimal.NewFromString(s)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// countUnits are the endings of a count. Times are in milliseconds.
var countUnits = []struct {
	suffix string
	factor int64
	timed  bool
}{
	{"min", 60_000, true},
	{"ms", 1, true},
	{"s", 1000, true},
	{"h", 3_600_000, true},
	{"K", 1000, false},
	{"M", 1_000_000, false},
}

func parseRateCount(s string) (count int64, timed bool, err error) {
	digits, factor := s, int64(1)
	for _, u := range countUnits {
		if head, found := strings.CutSuffix(s, u.suffix); found {
			digits, factor, timed = head, u.factor, u.timed
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !isDigits(digits) || n == 0 {
		return 0, false, fmt.Errorf("%q is not a count; want a positive integer such as 1M or 10K, or a time such as 1min or 1h", s)
	}
	limit := int64(math.MaxInt64)
	if timed {
		limit = maxRateTime
	}
	if n > limit/factor {
		return 0, false, fmt.Errorf("count %q is too large", s)
	}
	return n * factor, timed, nil
}

func (t tariff) times(factor decimal.Decimal) tariff {
	t.amount = t.amount.Mul(factor)
	return t
}

// rate makes the tariff exact pico. A plain count is divided out, so that a
// Rate is per one unit; a time stays, because 0.3/1h has no exact price a
// millisecond.
func (t tariff) rate() (Rate, error) {
	if t.amount.IsZero() {
		return Rate{Per: 1}, nil
	}
	r := Rate{Per: 1, text: t.String()}
	pico := new(big.Rat).Mul(t.amount.Rat(), new(big.Rat).SetInt64(1_000_000_000_000))
	if t.timed {
		r.Per = t.count
	} else {
		pico.Quo(pico, new(big.Rat).SetInt64(t.count))
	}
	switch {
	case !pico.IsInt() && t.timed:
		return Rate{}, fmt.Errorf("rate %s %w; its amount can have %d decimals", t, errInexact, picoDigits)
	case !pico.IsInt():
		return Rate{}, fmt.Errorf("rate %s %w a unit; use fewer decimals or another count", t, errInexact)
	case !pico.Num().IsInt64():
		return Rate{}, fmt.Errorf("rate %s: %w: at most 9 million for the smallest unit", t, ErrAmountRange)
	}
	r.Pico = pico.Num().Int64()
	return r, nil
}

// String prints the canonical form, which parses back to the same tariff.
func (t tariff) String() string {
	amount := t.amount.String()
	switch {
	case t.amount.IsZero():
		return "0"
	case t.timed:
		return amount + "/" + timeText(t.count)
	case t.count == 1:
		return amount
	case t.count%1_000_000 == 0:
		return amount + "/" + strconv.FormatInt(t.count/1_000_000, 10) + "M"
	case t.count%1000 == 0:
		return amount + "/" + strconv.FormatInt(t.count/1000, 10) + "K"
	}
	return amount + "/" + strconv.FormatInt(t.count, 10)
}

func timeText(ms int64) string {
	switch {
	case ms%3_600_000 == 0:
		return strconv.FormatInt(ms/3_600_000, 10) + "h"
	case ms%60_000 == 0:
		return strconv.FormatInt(ms/60_000, 10) + "min"
	case ms%1000 == 0:
		return strconv.FormatInt(ms/1000, 10) + "s"
	}
	return strconv.FormatInt(ms, 10) + "ms"
}

// isTime reports whether d is counted in milliseconds.
func (d Dimension) isTime() bool { return d == AudioMS || d == SessionMS || d == VideoMS }

// rough reports whether the price of a quantity may need rounding to a nano.
func (r Rate) rough() bool { return r.Pico%1000 != 0 || r.Per > 1 }

// dearer reports whether a unit costs more at r than at o. Both are of
// dimensions that are counted alike.
func (r Rate) dearer(o Rate) bool {
	hi, lo := bits.Mul64(uint64(r.Pico), uint64(max(o.Per, 1)))
	otherHi, otherLo := bits.Mul64(uint64(o.Pico), uint64(max(r.Per, 1)))
	return hi > otherHi || hi == otherHi && lo > otherLo
}

// atMost is the most that quantity units can cost at r when they are billed
// in up to the given number of parts, each rounded half up by itself: every
// part can add half a nano.
func (r Rate) atMost(quantity, parts int64) (Nano, error) {
	if quantity <= 0 || r.Pico == 0 && parts <= 1 {
		return 0, nil
	}
	hi, lo := bits.Mul64(uint64(quantity), uint64(r.Pico))
	divisor := uint64(max(r.Per, 1)) * 1000
	lo, carry := bits.Add64(lo, divisor/2*uint64(parts), 0)
	hi += carry
	if hi >= divisor {
		return 0, ErrAmountRange
	}
	amount, _ := bits.Div64(hi, lo, divisor)
	if amount > uint64(MaxCharge) {
		return 0, ErrAmountRange
	}
	return Nano(amount), nil
}
