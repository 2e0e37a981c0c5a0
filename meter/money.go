package meter

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"
)

// Nano is an amount of money: 1e-9 of one currency unit, as in
// google.type.Money. It prints and reads as a decimal string.
type Nano int64

const (
	// NanoPerUnit is one currency unit.
	NanoPerUnit Nano = 1_000_000_000
	// MaxCharge bounds one request's charge: what a Lua number holds exactly.
	MaxCharge Nano = 1<<53 - 1
	// MaxBalance bounds a wallet, at either sign.
	MaxBalance Nano = 9_000_000_000_000_000_000
)

// ErrAmountRange is returned for an amount beyond what can be booked.
var ErrAmountRange = errors.New("amount out of range")

// ParseNano reads a decimal string such as "10", "-0.25" or "0.000000001".
// Exponents, blanks and more than nine decimals are refused: nothing is
// rounded on its way into the books.
func ParseNano(s string) (Nano, error) {
	for i, c := range s {
		if !(c >= '0' && c <= '9' || c == '.' || c == '-' && i == 0) {
			return 0, fmt.Errorf("%q is not an amount: want a decimal number such as 10 or 0.25", s)
		}
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not an amount: want a decimal number such as 10 or 0.25", s)
	}
	n := d.Shift(9)
	if !n.IsInteger() {
		return 0, fmt.Errorf("%q is finer than 0.000000001, the smallest amount that can be booked", s)
	}
	if n.Abs().GreaterThan(decimal.NewFromInt(int64(MaxBalance))) {
		return 0, fmt.Errorf("%q: %w: at most 9 billion either way", s, ErrAmountRange)
	}
	return Nano(n.IntPart()), nil
}

// String prints the amount with as many decimals as it needs: "5", "0.0016".
func (n Nano) String() string {
	var space [24]byte
	return string(n.Append(space[:0]))
}

// Append appends what String prints.
func (n Nano) Append(b []byte) []byte {
	u := uint64(n)
	if n < 0 {
		b, u = append(b, '-'), -u
	}
	whole, frac := u/uint64(NanoPerUnit), u%uint64(NanoPerUnit)
	b = strconv.AppendUint(b, whole, 10)
	if frac == 0 {
		return b
	}
	point := len(b)
	b = strconv.AppendUint(b, frac+uint64(NanoPerUnit), 10) // with a 1 where the point is to stand
	b[point] = '.'
	return bytes.TrimRight(b, "0")
}

// MarshalText prints as String does, so that JSON carries a decimal string.
func (n Nano) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads as ParseNano does.
func (n *Nano) UnmarshalText(text []byte) (err error) {
	*n, err = ParseNano(string(text))
	return err
}
