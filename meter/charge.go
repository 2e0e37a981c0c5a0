package meter

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
}

// Charge is what a request costs: lines and their sum. A quote is a Charge
// too, of the most that the request can use.
type Charge struct {
	Lines []Line
	// Fee is the sum of the lines' amounts: what is due when no pack pays.
	Fee Nano
	// TokensEstimated says that the tokens of images on the lines are our estimate.
	TokensEstimated bool
	// PriceVersion names the content of the price tables that it was computed from.
	PriceVersion string
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

// Quantities adds the lines up by dimension.
func (c *Charge) Quantities() (q Quantities) {
	for i := range c.Lines {
		q[c.Lines[i].Dimension] += c.Lines[i].Quantity
	}
	return q
}
