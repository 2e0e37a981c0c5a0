package proxy

import (
	"math/bits"
	"sort"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// affordableOutput is the most output tokens a choice with which the refused
// request would fit into what is free now; nil where the endpoint has none.
func (c *call) affordableOutput(r *ledger.Refusal) *int64 {
	if c.request == nil || c.request.Ceiling[meter.Output] == 0 {
		return nil
	}
	asked := c.request.Ceiling[meter.Output] / max(c.request.Choices, 1)
	// The quote grows with the output, so the first that does not fit is found by halving.
	n := int64(sort.Search(int(asked)+1, func(output int) bool { return !c.fits(int64(output), r) }))
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

// cashBesidePacks is what remains due when packs cover some of the tokens,
// pro rata; rounded up, so that it never promises too much.
func cashBesidePacks(quote *meter.Charge, tokens, packFree int64) (cash meter.Nano) {
	left := tokens - min(tokens, packFree)
	for i := range quote.Lines {
		line := &quote.Lines[i]
		if !line.Dimension.IsToken() || tokens == 0 {
			cash += line.Amount
			continue
		}
		hi, lo := bits.Mul64(uint64(line.Amount), uint64(left))
		part, rest := bits.Div64(hi, lo, uint64(tokens)) // left ≤ tokens, so the quotient fits
		cash += meter.Nano(part)
		if rest > 0 {
			cash++
		}
	}
	return cash
}
