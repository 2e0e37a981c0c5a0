package proxy

import (
	"math"
	"math/bits"
	"sort"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// affordableOutput is the largest output limit, in tokens a choice, with which the refused
// request would fit into what is free now; nil if the endpoint has no such limit, or the
// model is known to ignore it.
func (c *call) affordableOutput(r *ledger.Refusal) *int64 {
	if c.request == nil || c.request.Ceiling[meter.Output] == 0 || !c.request.CanLimitOutput() || c.mayExceedLimit() {
		return nil
	}
	asked := c.request.Ceiling[meter.Output] / max(c.request.Choices, 1)
	// The quote grows with the output, so the first that does not fit is found by halving. Where
	// an int has 32 bits, one more than the largest limit is none.
	most := int(min(asked+1, math.MaxInt))
	n := int64(sort.Search(most, func(output int) bool { return !c.fits(int64(output), r) }))
	n = max(n-1, 0)
	return &n
}

func (c *call) fits(output int64, r *ledger.Refusal) bool {
	ceiling := c.request.WithOutput(output)
	quote, err := c.quoteFor(&ceiling)
	if err != nil {
		return false
	}
	tokens := quote.Tokens()
	if r.KeyTokensLeft != nil && tokens > *r.KeyTokensLeft {
		return false
	}
	return cashBesidePacks(&quote, tokens, r.PackFree) <= r.Cash
}

// cashBesidePacks is what remains due when packs cover some of the tokens: of
// each line its share, as the ledger decides it (cover in pay.lua).
func cashBesidePacks(quote *meter.Charge, tokens, packFree int64) (cash meter.Nano) {
	covered := min(tokens, packFree)
	var sum, upto int64
	for i := range quote.Lines {
		line := &quote.Lines[i]
		if !line.Dimension.IsToken() || covered == 0 {
			cash += line.Amount
			continue
		}
		sum += line.Quantity
		before := upto
		hi, lo := bits.Mul64(uint64(covered), uint64(sum))
		share, _ := bits.Div64(hi, lo, uint64(tokens)) // sum ≤ tokens, so the quotient fits
		upto = int64(share)
		cash += cashForRest(line, line.Quantity-(upto-before))
	}
	return cash
}

// cashForRest is what is due in cash for that much of a line. Its amount is not always
// quantity × rate: packs first cover what its tier leaves out, and last what was added for
// rounding.
func cashForRest(line *meter.Line, rest int64) meter.Nano {
	if rest == 0 {
		return 0
	}
	whole, err := line.Rate.Amount(line.Quantity)
	if err != nil {
		whole = meter.MaxCharge
	}
	cash, err := line.Rate.Amount(rest)
	if err != nil {
		return line.Amount
	}
	return min(line.Amount, cash+max(0, line.Amount-whole))
}
