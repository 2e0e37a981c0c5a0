package meter

import (
	"errors"
	"fmt"
)

// Quote prices the most that a call can cost whose usage stays within the
// ceiling: its input tokens in all, its output tokens in all, every modality
// (InputImage, …, OutputImage) and every other dimension each within theirs,
// and the hosted tools within their counts. No Charge of such a usage is
// above it, whatever the answer says.
//
//   - Any answer is thought of: rows and multipliers whose conditions name
//     what the request does not say, or leaves to the upstream ("auto"), count
//     as possible; a service_tier that the request asks for can come out as
//     "default" too. What else the request says, the answer is taken to keep.
//   - With no upstream named, rows of any upstream are possible.
//   - A tier is reachable if its lower bounds are within the ceiling: the true
//     usage can be anything from nothing up. What a tier can cost is bounded
//     by its own upper ends.
//   - A token may turn out cached, written to a cache, reasoned, …: each side
//     is taken at the dearest of the rates of its parts. Modalities count
//     where the ceiling has them.
//   - Parts are rounded each by itself when charged, so that half a nano for
//     each part with a rate of less than whole nanos is added.
//   - A unit that only some of the possible rows and tiers price is held for
//     beside those of the others: see Charge.Raise.
//
// The lines of a unit are those of its dearest tier, with the whole ceiling as
// quantity and the dearest part named in BilledAs. Amount is quantity × rate,
// but less where the tier ends below the ceiling.
//
// ErrUnpriced is returned if a possible row lacks a rate for anything in the
// ceiling, or none matches; also for an image model that is priced by tokens
// if the ceiling bounds no output. ErrAmountRange is returned above MaxCharge,
// and for more than 2^53-1 units in all.
func (b *Book) Quote(q PriceQuery, ceiling *Quantities, tools []ToolUse) (Charge, error) {
	if err := checkQuantities(ceiling, tools); err != nil {
		return Charge{}, err
	}
	q.class = classBit(q.Class)
	one := ofOneCall(ceiling)
	quote := Charge{Lines: make([]Line, 0, countLines(ceiling)+len(tools)), PriceVersion: b.version}
	w := quoteWork{query: &q, known: knowledge{request: q.Attributes}, ceiling: &one, tools: tools, quote: &quote}
	var err error
	if w.toolLines, err = b.quoteTools(&q, tools); err != nil {
		return Charge{}, err
	}
	if err := w.considerRows(b.models.find(q.Model)); err != nil {
		return Charge{}, quoteError(&q, err)
	}
	if w.tier == nil {
		return Charge{}, unpricedError(&q, "no row of the price tables matches")
	}
	return quote, nil
}

// noRate is what lacks a rate, of a call that quoteError adds.
type noRate string

func (n noRate) Error() string { return string(n) }

func quoteError(q *PriceQuery, err error) error {
	var missing noRate
	if errors.As(err, &missing) {
		return unpricedError(q, "%s", string(missing))
	}
	return err
}

// quoteWork looks for the dearest of all that a call can come to.
type quoteWork struct {
	query   *PriceQuery
	known   knowledge
	ceiling *Quantities
	tools   []ToolUse
	// toolLines are the tools as their own rows price them: no Quantity where
	// there is no such row.
	toolLines []Line

	// The dearest so far: tier is nil before the first.
	tier *pricedTier
	fee  Nano
	// quote covers all so far; it is not kept of a tool's rows.
	quote *Charge
}

// considerRows goes down the ranked rows until one matches for certain: no
// answer can choose a row below it.
func (w *quoteWork) considerRows(rows []*priceRow) error {
	for _, r := range rows {
		if !r.mayBeOpen(w.query) || !w.known.mayHold(r.when, nil) {
			continue
		}
		if err := w.considerRow(r); err != nil {
			return err
		}
		if w.isCertain(r) {
			return nil
		}
	}
	return nil
}

func (w *quoteWork) isCertain(r *priceRow) bool {
	return w.known.mustHold(r.when, nil) && (len(r.upstreams) == 0 || w.query.Upstream != "")
}

func (w *quoteWork) considerRow(r *priceRow) error {
	input := w.ceiling.TotalInput() + w.ceiling[Unsplit]
	output := w.ceiling.TotalOutput()
	for i := range r.variants {
		if !r.isPossible(r.variants[i].mask, &w.known) {
			continue
		}
		tiers := r.variants[i].tiers
		for j := range tiers {
			if t := &tiers[j]; t.input.low <= input && t.output.low <= output {
				if err := w.considerTier(r, t); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// isPossible reports whether just these multipliers can come to apply to the
// row, once it is chosen.
func (r *priceRow) isPossible(mask uint16, known *knowledge) bool {
	for i := range r.multipliers {
		when, applies := r.multipliers[i].when, mask&(1<<i) != 0
		if applies && (contradict(r.when, when) || !known.mayHold(when, r.when)) {
			return false
		}
		if !applies && known.mustHold(when, r.when) {
			return false
		}
	}
	return true
}

// considerTier prices the ceiling at one tier, keeps it if it is the dearest
// so far, and lets the quote cover it.
func (w *quoteWork) considerTier(r *priceRow, t *pricedTier) error {
	var space [8]Line
	lines, err := w.price(space[:0], r, t)
	if err != nil {
		return err
	}
	one := Charge{Lines: lines}
	if err := one.sum(); err != nil {
		return err
	}
	if w.tier == nil || one.Fee > w.fee {
		w.tier, w.fee = t, one.Fee
	}
	if w.quote == nil {
		return nil
	}
	return w.quote.Raise(&one)
}

// price appends the lines of the ceiling at one tier.
func (w *quoteWork) price(lines []Line, r *priceRow, t *pricedTier) ([]Line, error) {
	lines, err := w.addTokens(lines, r, t)
	if err != nil {
		return nil, err
	}
	if lines, err = w.addUnits(lines, r, t); err != nil {
		return nil, err
	}
	return w.addTools(lines, t)
}

func (w *quoteWork) addTokens(lines []Line, r *priceRow, t *pricedTier) ([]Line, error) {
	if !r.byToken && t.bills(w.ceiling) {
		return lines, nil // the units pay
	}
	output := w.ceiling.TotalOutput()
	if w.ceiling[Image] > 0 && !t.rates[Image].priced && output == 0 && (t.dearestOutput.priced || t.rates[OutputImage].priced) {
		return nil, noRate("image has no rate, and its output tokens, which have one, have no ceiling")
	}
	in := tokenFamily{Input, inputParts[:], inputModes[:], &t.dearestInput, t.input, w.ceiling.TotalInput()}
	lines, err := w.addFamily(lines, t, &in)
	if err != nil {
		return nil, err
	}
	out := tokenFamily{Output, outputParts[:], outputModes[:], &t.dearestOutput, t.output, output}
	return w.addFamily(lines, t, &out)
}

// A tokenFamily is one side of a request: its tokens in all, and what they
// can turn out to be.
type tokenFamily struct {
	whole        Dimension
	parts, modes []Dimension
	dearest      *familyRate
	span         priceSpan
	total        int64
}

// addFamily adds a line for the plain tokens of one side, at the dearest rate
// of their parts, and one for each modality, at its own rate or at that one,
// if that is dearer: what was thought to be audio may come out as text.
func (w *quoteWork) addFamily(lines []Line, t *pricedTier, f *tokenFamily) ([]Line, error) {
	if f.total == 0 {
		return lines, nil
	}
	plain, rough := f.total, f.dearest.rough > 0
	for _, d := range f.modes {
		plain -= w.ceiling[d]
		rough = rough || w.ceiling[d] > 0 && t.rates[d].rough()
	}
	for _, d := range f.parts {
		if w.ceiling[d] > 0 && !t.rates[d].priced {
			return nil, noRate(d.String() + " has no rate")
		}
	}
	parts := f.dearest.rough
	if plain > 0 {
		line, err := f.dearest.quoteLine(f.whole, plain, f.span.clip(plain), parts)
		if err != nil {
			return nil, err
		}
		lines, parts = append(lines, line), 0
	}
	for _, d := range f.modes {
		if w.ceiling[d] <= 0 {
			continue
		}
		if !t.rates[d].priced {
			return nil, noRate(d.String() + " has no rate")
		}
		if rough {
			// Its own half nano, and one nano for what the lines lose by
			// being rounded down apart.
			parts += 3
		}
		rate := dearestRate(t.rates[d], f.dearest.dimensionRate)
		if d == InputVideo { // it has sound, and may be a document of pictures
			rate = dearestRate(dearestRate(rate, t.rates[InputAudio]), t.rates[InputImage])
		}
		line, err := rate.quoteLine(d, w.ceiling[d], f.span.clip(w.ceiling[d]), parts)
		if err != nil {
			return nil, err
		}
		lines, parts = append(lines, line), 0
	}
	return lines, nil
}

// quoteLine is a line of which only the billed quantity can cost something,
// in up to so many parts.
func (r *dimensionRate) quoteLine(d Dimension, quantity, billed, parts int64) (Line, error) {
	amount, err := r.atMost(billed, max(parts, 1))
	line := Line{Dimension: d, Quantity: quantity, Rate: r.Rate, Amount: amount}
	if r.at != d {
		line.BilledAs = r.at.String()
	}
	return line, err
}

// addUnits adds the dimensions that are no tokens, and the unsplit total.
func (w *quoteWork) addUnits(lines []Line, r *priceRow, t *pricedTier) ([]Line, error) {
	for d := Call; d < numDimensions; d++ {
		n := w.ceiling[d]
		if n <= 0 {
			continue
		}
		if !t.rates[d].priced {
			if r.isCarried(d, t, w.ceiling) {
				continue
			}
			return nil, noRate(d.String() + " has no rate")
		}
		billed := n
		if d == Unsplit {
			billed = t.input.clip(n)
		}
		line, err := t.rates[d].quoteLine(d, n, billed, 1)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// addTools adds the hosted tools: at the rate of the model's own row if it
// has one, else as their own rows price them.
func (w *quoteWork) addTools(lines []Line, t *pricedTier) ([]Line, error) {
	for i := range w.tools {
		use := &w.tools[i]
		switch {
		case use.Count <= 0:
		case t.rates[use.Dimension].priced:
			line, err := t.rates[use.Dimension].line(use.Dimension, use.Count)
			if err != nil {
				return nil, err
			}
			line.Tool = use.Tool
			lines = append(lines, line)
		case w.toolLines[i].Quantity > 0:
			lines = append(lines, w.toolLines[i])
		default:
			return nil, noRate(fmt.Sprintf("the tool %q has no row, and the model's has no rate for %s", use.Tool, use.Dimension))
		}
	}
	return lines, nil
}

// quoteTools returns a line for each tool: at the dearest of its own rows
// that can come to apply, or empty if it has none.
func (b *Book) quoteTools(q *PriceQuery, tools []ToolUse) ([]Line, error) {
	lines := make([]Line, len(tools))
	for i := range tools {
		use := &tools[i]
		var used Quantities
		used[use.Dimension] = use.Count
		w := quoteWork{query: q, known: knowledge{own: use.Attributes, request: q.Attributes}, ceiling: &used}
		if err := w.considerRows(b.tools.find(use.Tool)); err != nil {
			return nil, fmt.Errorf("tool %q: %w", use.Tool, quoteError(q, err))
		}
		if w.tier == nil {
			continue
		}
		line, err := w.tier.rates[use.Dimension].line(use.Dimension, use.Count)
		if err != nil {
			return nil, err
		}
		line.Tool = use.Tool
		lines[i] = line
	}
	return lines, nil
}
