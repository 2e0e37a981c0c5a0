package meter

import (
	"cmp"
	"slices"
)

const (
	maxTiers       = 64
	maxMultipliers = 8
)

// compile checks the row as a whole, puts its conditions in order and multiplies its
// rates out. The faults are returned all at once.
func (r *priceRow) compile() []error {
	slices.SortFunc(r.when, func(a, b priceCondition) int { return cmp.Compare(a.key, b.key) })
	r.byToken = slices.ContainsFunc(r.tiers, func(t priceTier) bool {
		for d, declared := range t.declared {
			if declared != nil && Dimension(d).IsToken() {
				return true
			}
		}
		return false
	})
	errs := r.checkTiers()
	if err := r.checkFallback(); err != nil {
		return append(errs, err)
	}
	told := make(map[pricePlace]bool)
	for _, mask := range r.reachableMasks() {
		variant, err := r.variant(mask)
		if err != nil {
			// Other sets fail by the same multiplier: once is enough.
			if place := (pricePlace{err.File, err.Line, err.Column}); !told[place] {
				told[place] = true
				errs = append(errs, err)
			}
			continue
		}
		r.variants = append(r.variants, variant)
	}
	return errs
}

// reachableMasks are the sets of multipliers that can apply together: their
// conditions agree with each other and with the row's, and whatever meets
// them meets no further multiplier. The empty set comes first if it is one.
func (r *priceRow) reachableMasks() []uint16 {
	var masks []uint16
	for mask := range uint16(1) << len(r.multipliers) {
		if r.isReachable(mask) {
			masks = append(masks, mask)
		}
	}
	return masks
}

func (r *priceRow) isReachable(mask uint16) bool {
	met := slices.Clone(r.when)
	for i, m := range r.multipliers {
		if mask&(1<<i) == 0 {
			continue
		}
		if contradict(met, m.when) {
			return false
		}
		met = append(met, m.when...)
	}
	for i, m := range r.multipliers {
		if mask&(1<<i) == 0 && implies(met, nil, m.when) {
			return false
		}
	}
	return true
}

func (r *priceRow) variant(mask uint16) (priceVariant, *PriceError) {
	v := priceVariant{mask: mask, tiers: make([]pricedTier, len(r.tiers))}
	for i := range r.tiers {
		declared := &r.tiers[i]
		priced := &v.tiers[i]
		priced.input, priced.output = declared.input, declared.output
		for d, t := range declared.declared {
			if t == nil {
				continue
			}
			product, place := *t, declared.place
			for j, m := range r.multipliers {
				if mask&(1<<j) != 0 {
					product, place = product.times(m.by), m.place
				}
			}
			rate, err := product.rate()
			if err != nil {
				return v, place.errorf("%s of %s times what applies with it: %v", Dimension(d), t, err)
			}
			priced.rates[d] = dimensionRate{Rate: rate, at: Dimension(d), priced: true}
		}
		r.resolve(priced)
	}
	return v, nil
}

// resolve fills in what dimensions without a rate are billed at.
func (r *priceRow) resolve(t *pricedTier) {
	own := t.rates
	for d := range t.rates {
		t.rates[d] = r.resolveOne(&own, Dimension(d))
	}
	if len(r.tools) > 0 {
		// A search is a call of a tool: either word prices the other.
		fillFrom(&t.rates[Search], own[ToolCall])
		fillFrom(&t.rates[ToolCall], own[Search])
	}
	if _, told := r.fallback[Unsplit]; !told {
		fillFrom(&t.rates[Unsplit], dearestRate(t.rates[Input], t.rates[Output]))
	}
	t.dearestInput = dearestOf(t, inputParts[:])
	t.dearestOutput = dearestOf(t, outputParts[:])
}

// resolveOne is the rate of d, or of what it falls back to. checkFallback has
// seen to it that there is no circle.
func (r *priceRow) resolveOne(own *[numDimensions]dimensionRate, d Dimension) dimensionRate {
	for more := true; more; d, more = r.fallsBack(d) {
		if own[d].priced {
			return own[d]
		}
	}
	return dimensionRate{}
}

// fallsBack is what d is billed at when it has no rate: what the row says, or
// its whole; false if neither is.
func (r *priceRow) fallsBack(d Dimension) (Dimension, bool) {
	if f, told := r.fallback[d]; told {
		return f.at, !f.none
	}
	return d.Whole()
}

func fillFrom(to *dimensionRate, from dimensionRate) {
	if !to.priced {
		*to = from
	}
}

// dearestRate is the dearer of two rates, the first if they are equal. One
// that is not priced is never the dearer.
func dearestRate(a, b dimensionRate) dimensionRate {
	if !a.priced || b.priced && b.dearer(a.Rate) {
		return b
	}
	return a
}

func dearestOf(t *pricedTier, parts []Dimension) (f familyRate) {
	for _, d := range parts {
		rate := t.rates[d]
		f.dimensionRate = dearestRate(f.dimensionRate, rate)
		if rate.priced && rate.rough() {
			f.rough++
		}
	}
	return f
}

// checkFallback refuses fallbacks that lead in a circle. A part goes on to
// its whole, so a whole that falls back to its own part is such a circle.
func (r *priceRow) checkFallback() error {
	for start := range r.fallback {
		steps := 0
		for d, more := start, true; more && !r.pricesInEveryTier(d); d, more = r.fallsBack(d) {
			if steps++; steps > numDimensions {
				return r.place.errorf("the fallbacks of %s lead in a circle; let one of them end at a dimension that has a rate", start)
			}
		}
	}
	return nil
}

func (r *priceRow) pricesInEveryTier(d Dimension) bool {
	for i := range r.tiers {
		if r.tiers[i].declared[d] == nil {
			return false
		}
	}
	return true
}

// checkTiers refuses tiers that leave a size of request without a price, or
// give it two, and tiers of which only some price a dimension.
func (r *priceRow) checkTiers() []error {
	if len(r.tiers) > maxTiers {
		return []error{r.tiers[maxTiers].place.errorf("more than %d tiers", maxTiers)}
	}
	var errs []error
	for i := range r.tiers {
		for d := range Dimension(numDimensions) {
			_, isPart := d.Whole()
			if isPart || d == Unsplit || r.tiers[i].declared[d] != nil {
				continue
			}
			for j := range r.tiers {
				if r.tiers[j].declared[d] != nil {
					errs = append(errs, r.tiers[i].place.errorf("this tier has no rate for %s, which another tier of the row prices; give it one (free is 0)", d))
					break
				}
			}
		}
	}
	return append(errs, r.checkCover()...)
}

// checkCover looks at one request of every size that the bounds of the tiers
// tell apart: each must lie in exactly one tier.
func (r *priceRow) checkCover() []error {
	inputs, outputs := []int64{0}, []int64{0}
	for i := range r.tiers {
		inputs = append(inputs, r.tiers[i].input.low, r.tiers[i].input.high)
		outputs = append(outputs, r.tiers[i].output.low, r.tiers[i].output.high)
	}
	slices.Sort(inputs)
	slices.Sort(outputs)
	inputs, outputs = slices.Compact(inputs), slices.Compact(outputs)
	for _, in := range inputs {
		for _, out := range outputs {
			if in == noEnd || out == noEnd {
				continue
			}
			var found []*priceTier
			for i := range r.tiers {
				if t := &r.tiers[i]; t.input.contains(in) && t.output.contains(out) {
					found = append(found, t)
				}
			}
			switch {
			case len(found) == 0:
				return []error{r.tiers[0].place.errorf(
					"the tiers leave %d input and %d output tokens without a price; they must cover all sizes, the last one open as in \"[32000,)\"", in, out)}
			case len(found) > 1:
				return []error{found[1].place.errorf(
					"%d input and %d output tokens lie in this tier and in the one at %s; ranges are half-open, so let one end where the next begins", in, out, found[0].place)}
			}
		}
	}
	return nil
}
