package meter

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// maxQuantity bounds every count: what a Lua number holds exactly.
const maxQuantity = 1<<53 - 1

// PriceQuery says which call is to be priced.
type PriceQuery struct {
	Model string // as the client asked for it
	Class string // of the endpoint: "chat", "images", …
	// Upstream is the name of the one that serves it; empty before the call,
	// while several may.
	Upstream   string
	Attributes Attributes // of the request
	// At is when the call came. A quote and the charge that follows it go by the same.
	At time.Time

	class classSet // of Class; each question to the Book begins by setting it
}

// Charge prices what a call used: each dimension at its rate, each line
// rounded once, half up, to a nano.
//
// The attributes of the answer go before those of the request: what the
// upstream says it served is what is billed. Where it does not say which
// service_tier that was, it is the dearer of the requested and the default one: a
// client cannot give itself a discount. A dimension without a rate, or
// all of them where no row matches, becomes a line that is Unpriced, at 0.
// Where rows exist, but all of them ask for an attribute that neither request
// nor answer says, the dearest of them is taken, and BilledAs tells under
// which conditions: a call is not free because something was left unsaid.
//
// Tokens of a row that bills another unit (an image, a call) are not billed
// and have no line, and neither has the number of images of a row that bills
// tokens: they are Carried, see priceRow.isCarried. Images, speech or a call of whose tokens the
// upstream said nothing are billed by the unit, if that has a price, else by estimated tokens.
//
// A charge beyond MaxCharge is ErrAmountRange, as is a quantity beyond 2^53.
func (b *Book) Charge(q PriceQuery, u *Usage) (Charge, error) {
	if err := checkQuantities(&u.Quantities, u.ToolCalls); err != nil {
		return Charge{}, err
	}
	q.class = classBit(q.Class)
	charge, err := b.chargeServiceTier(&q, u)
	byUnit := func(l Line) bool { return l.Dimension == u.unit && !l.Unpriced }
	if err != nil || u.inTokens == nil || slices.ContainsFunc(charge.Lines, byUnit) {
		return charge, err
	}
	tokens := *u
	tokens.Quantities = u.inTokens()
	other, err := b.chargeServiceTier(&q, &tokens)
	if err == nil && (other.Tokens() == 0 || slices.ContainsFunc(other.Lines, func(l Line) bool { return l.Unpriced })) {
		return charge, nil // tokens are not what is billed, or have no price
	}
	other.TokensEstimated = true
	return other, err
}

// chargeServiceTier prices what a call used, at the dearer of the requested service
// tier and the default one where the answer does not say which it was.
func (b *Book) chargeServiceTier(q *PriceQuery, u *Usage) (Charge, error) {
	charge, err := b.chargeAs(q, u, u.Attributes)
	if err != nil || q.Attributes[serviceTier] == "" || u.Attributes[serviceTier] != "" {
		return charge, err
	}
	usual := Attributes{}
	maps.Copy(usual, u.Attributes)
	usual[serviceTier] = defaultTier
	other, err := b.chargeAs(q, u, usual)
	if err == nil && other.Fee <= charge.Fee {
		return charge, nil
	}
	return other, err
}

// ChargeGiven prices a usage that somebody gives by hand, as a call with that
// usage would be charged. The attributes are the answer's, too. A search that
// the model's own row does not price is one of the hosted tool, as an answer
// would count it.
func (b *Book) ChargeGiven(q PriceQuery, used *Quantities) (Charge, error) {
	u := Usage{Quantities: *used, Source: Derived, Attributes: q.Attributes}
	charge, err := b.Charge(q, &u)
	if err != nil || !slices.ContainsFunc(charge.Lines, func(l Line) bool { return l.Unpriced && l.Dimension == Search }) {
		return charge, err
	}
	u.ToolCalls = []ToolUse{{Tool: webSearch, Dimension: Search, Count: u.Quantities[Search]}}
	u.Quantities[Search] = 0
	return b.Charge(q, &u)
}

// chargeAs prices what a call used if that is what the answer says.
func (b *Book) chargeAs(q *PriceQuery, u *Usage, answer Attributes) (Charge, error) {
	known := knowledge{answer: answer, request: q.Attributes}
	row, assumed := chooseRow(b.models.find(q.Model), q, &known, &u.Quantities)
	var tier *pricedTier
	if row != nil {
		tier = row.tierFor(&known, &u.Quantities)
	}
	charge := Charge{PriceVersion: b.version, Lines: make([]Line, 0, countLines(&u.Quantities)+len(u.ToolCalls))}
	if err := charge.addUsage(row, tier, &u.Quantities); err != nil {
		return Charge{}, err
	}
	for i := range charge.Lines {
		if assumed {
			markAssumed(&charge.Lines[i], row)
		}
	}
	for i := range u.ToolCalls {
		line, err := b.chargeTool(q, &known, tier, &u.ToolCalls[i])
		if err != nil {
			return Charge{}, err
		}
		if line.Quantity > 0 {
			charge.Lines = append(charge.Lines, line)
		}
	}
	err := charge.sum()
	return charge, err
}

// sum sets the fee. The lines are each within MaxCharge.
func (c *Charge) sum() error {
	c.Fee = 0
	for i := range c.Lines {
		if c.Fee += c.Lines[i].Amount; c.Fee > MaxCharge {
			return ErrAmountRange
		}
	}
	return nil
}

func checkQuantities(q *Quantities, tools []ToolUse) error {
	for _, n := range q {
		if n > maxQuantity {
			return ErrAmountRange
		}
	}
	for i := range tools {
		if tools[i].Count > maxQuantity {
			return ErrAmountRange
		}
	}
	return nil
}

func countLines(q *Quantities) (n int) {
	for _, quantity := range q {
		if quantity > 0 {
			n++
		}
	}
	return n
}

// chooseRow returns the first of the ranked rows whose conditions are met, or
// the dearest that could be where none is (assumed), or nil. An answer whose
// attributes match nothing is priced by what the request said alone.
func chooseRow(rows []*priceRow, q *PriceQuery, known *knowledge, used *Quantities) (row *priceRow, assumed bool) {
	for _, r := range rows {
		if r.isOpen(q) && known.hold(r.when) {
			return r, false
		}
	}
	for _, k := range [...]knowledge{*known, {own: known.own, request: known.request}} {
		if row = dearestPossible(rows, q, &k, used); row != nil {
			return row, true
		}
	}
	return nil, false
}

func dearestPossible(rows []*priceRow, q *PriceQuery, known *knowledge, used *Quantities) (dearest *priceRow) {
	var most Nano
	for _, r := range rows {
		if !r.isOpen(q) || !known.mayHold(r.when, nil) {
			continue
		}
		c := Charge{}
		_ = c.addUsage(r, r.tierFor(known, used), used)
		if c.sum() == nil && (dearest == nil || c.Fee > most) {
			dearest, most = r, c.Fee
		}
	}
	return dearest
}

// markAssumed tells under which conditions a line was priced, none of which
// the call said.
func markAssumed(line *Line, row *priceRow) {
	line.BilledAs = cmp.Or(line.BilledAs, line.Dimension.String()) + " when " + conditionsText(row.when)
}

// tierFor returns the rates for a call of that size, with the multipliers
// that apply. An unsplit total counts as input.
func (r *priceRow) tierFor(known *knowledge, used *Quantities) *pricedTier {
	mask := r.maskFor(known)
	v := &r.variants[0]
	for i := range r.variants {
		if r.variants[i].mask == mask {
			v = &r.variants[i]
		}
	}
	if len(v.tiers) == 1 {
		return &v.tiers[0]
	}
	input, output := positive(used[:Output])+max(used[Unsplit], 0), positive(used[Output:Call])
	for i := range v.tiers {
		if t := &v.tiers[i]; t.input.contains(input) && t.output.contains(output) {
			return t
		}
	}
	return &v.tiers[len(v.tiers)-1] // not reached: tiers cover every size
}

func positive(counts []int64) (n int64) {
	for _, c := range counts {
		n += max(c, 0)
	}
	return n
}

// maskFor tells which multipliers apply to a row that was chosen: its own
// conditions count as met.
func (r *priceRow) maskFor(known *knowledge) (mask uint16) {
	for i := range r.multipliers {
		if met := r.withOwn(known); met.hold(r.multipliers[i].when) {
			mask |= 1 << i
		}
	}
	return mask
}

// withOwn is what is known once the row has been chosen.
func (r *priceRow) withOwn(known *knowledge) knowledge {
	if known.hold(r.when) {
		return *known
	}
	own := attributesOf(r.when)
	for key, value := range known.own {
		if own[key] == "" {
			own[key] = value
		}
	}
	return knowledge{own, known.answer, known.request}
}

// isCarried reports whether d, which has no rate, is paid for by another
// dimension that has: a row bills a call by its tokens or by its units, and
// does not bill the same thing twice where the upstream counts both.
//
//   - Tokens are carried by any unit (an image, a call, a search) of a row
//     that prices no tokens.
//   - Units of work (an image, a call, a page, a second) are carried by the
//     tokens, or by another unit, that the row prices. Searches, tool calls
//     and storage come on top of the work, and are not.
func (r *priceRow) isCarried(d Dimension, t *pricedTier, q *Quantities) bool {
	if d.IsToken() {
		return !r.byToken && t.bills(q)
	}
	switch d {
	case Search, ToolCall, StorageMiBHour:
		return false
	}
	return t.bills(q)
}

// bills reports whether anything in q has a rate, but for storage, which pays for
// nothing beside itself.
func (t *pricedTier) bills(q *Quantities) bool {
	for d, n := range q {
		if n > 0 && t.rates[d].priced && Dimension(d) != StorageMiBHour {
			return true
		}
	}
	return false
}

// ofOneCall is what a call used, or may use, the call itself counted in: no
// provider reports that, and every answer is one.
func ofOneCall(q *Quantities) Quantities {
	one := *q
	if one[Call] == 0 && !one.IsZero() { // who used nothing is not billed for having called
		one[Call] = 1
	}
	return one
}

// addUsage prices quantities at a tier; without a row they are unpriced.
func (c *Charge) addUsage(r *priceRow, t *pricedTier, used *Quantities) error {
	if t != nil && t.rates[Call].priced {
		one := ofOneCall(used)
		used = &one
	}
	for d, n := range used.NonZero() {
		switch {
		case n < 0:
		case r != nil && t.rates[d].priced:
			line, err := t.rates[d].line(d, n)
			if err != nil {
				return err
			}
			c.Lines = append(c.Lines, line)
		case r != nil && r.isCarried(d, t, used):
			c.carry(d, n)
		default:
			c.Lines = append(c.Lines, Line{Dimension: d, Quantity: n, Unpriced: true})
		}
	}
	return nil
}

func (r *dimensionRate) line(d Dimension, n int64) (Line, error) { return r.quoteLine(d, n, n, 1) }

// chargeTool prices the calls of a hosted tool: at the rate of the model's own
// row if it has one for them, else by the rows of the tool, whatever the model.
func (b *Book) chargeTool(q *PriceQuery, known *knowledge, model *pricedTier, t *ToolUse) (Line, error) {
	own := knowledge{t.Attributes, known.answer, known.request}
	used := Quantities{}
	used[t.Dimension] = t.Count
	var row *priceRow
	rates, assumed := model, false
	if rates == nil || !rates.rates[t.Dimension].priced {
		if row, assumed = chooseRow(b.tools.find(t.Tool), q, &own, &used); row != nil {
			rates = row.tierFor(&own, &used)
		}
	}
	if rates == nil || !rates.rates[t.Dimension].priced {
		return Line{Dimension: t.Dimension, Tool: t.Tool, Quantity: t.Count, Unpriced: true, Attributes: t.Attributes}, nil
	}
	line, err := rates.rates[t.Dimension].line(t.Dimension, t.Count)
	line.Tool, line.Attributes = t.Tool, t.Attributes
	if assumed {
		markAssumed(&line, row)
	}
	return line, err
}
