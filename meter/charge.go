package meter

import (
	"cmp"
	"slices"
)

// Line is one position of a charge or a quote.
type Line struct {
	Dimension Dimension `json:"dimension"`
	// Tool names the hosted tool of a per-call line.
	Tool     string `json:"tool,omitempty"`
	Quantity int64  `json:"quantity"`
	Rate     Rate   `json:"rate"`
	// Amount is Quantity × Rate, rounded once, half up: what it costs when no pack pays.
	Amount Nano `json:"amount"`
	// BilledAs is the dimension whose rate was taken, where it is not the line's own.
	BilledAs string `json:"billed_as,omitempty"`
	// Unpriced lines have no rate: met only after the call, booked at 0.
	Unpriced bool `json:"unpriced,omitempty"`
	// Attributes of a hosted tool's calls that chose its price, such as the engine.
	Attributes Attributes `json:"attributes,omitempty"`
}

// Charge is what a request costs: lines and their sum. A quote is a Charge
// too, of the most that the request can use.
type Charge struct {
	Lines []Line
	// Fee is the sum of the lines' amounts: what is due when no pack pays.
	Fee Nano
	// Carried is what was used and has no line, because another line pays for it:
	// the tokens of a call that is billed by the call, the images of one that is
	// billed by tokens. Nil: nothing; of a quote, always.
	Carried *Quantities
	// TokensEstimated says that the tokens on the lines are our estimate.
	TokensEstimated bool
	// PriceVersion names the content of the price tables that it was computed from.
	PriceVersion string
}

// Raise makes a quote cover another one as well. It keeps the lines of each
// unit that come to more, and units apart: a pack may pay for one unit alone,
// and what is then left has to be enough for either quote. Beyond MaxCharge, or
// 2^53-1 units in all, it is ErrAmountRange. Both are of one book.
func (c *Charge) Raise(other *Charge) error {
	if len(c.Lines) == 0 { // mostly, there is no other price
		c.Lines, c.Fee = append(c.Lines, other.Lines...), other.Fee
		return c.checkRange()
	}
	for i := range other.Lines {
		unit := other.Lines[i].Dimension.Unit()
		amount, _ := unitAmount(other.Lines, unit)
		had, found := unitAmount(c.Lines, unit)
		if found && had >= amount {
			continue
		}
		c.Fee += amount - had
		c.Lines = slices.DeleteFunc(c.Lines, func(l Line) bool { return l.Dimension.Unit() == unit })
		for _, line := range other.Lines[i:] {
			if line.Dimension.Unit() == unit {
				c.Lines = append(c.Lines, line)
			}
		}
		slices.SortStableFunc(c.Lines, func(a, b Line) int { return cmp.Compare(a.Dimension, b.Dimension) })
	}
	return c.checkRange()
}

// checkRange bounds what is summed up: here, and by the ledger.
func (c *Charge) checkRange() error {
	var units int64
	for i := range c.Lines {
		if units += c.Lines[i].Quantity; units > maxQuantity {
			return ErrAmountRange
		}
	}
	if c.Fee > MaxCharge {
		return ErrAmountRange
	}
	return nil
}

// unitAmount is what the lines of a unit come to, if there are any.
func unitAmount(lines []Line, unit string) (amount Nano, found bool) {
	for i := range lines {
		if lines[i].Dimension.Unit() == unit {
			amount += lines[i].Amount
			found = true
		}
	}
	return amount, found
}

// Tokens is the number of tokens on the lines.
func (c *Charge) Tokens() (n int64) {
	for i := range c.Lines {
		if c.Lines[i].Dimension.IsToken() {
			n += c.Lines[i].Quantity
		}
	}
	return n
}

// carry adds to what is Carried.
func (c *Charge) carry(d Dimension, n int64) {
	if c.Carried == nil {
		c.Carried = new(Quantities)
	}
	c.Carried[d] += n
}
