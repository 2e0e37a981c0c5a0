package meter

import (
	"maps"
	"slices"
)

// Reprice prices a past call anew, from what was kept of it: q as the call was,
// the attributes of its answer, all that it used, and its lines.
//
// What these tables do not price stays as it was: all of the model if no row is
// for it, a dimension that its row gives no rate, a hosted tool. By the tables
// that priced the call, the charge is the same again.
//
// A charge beyond MaxCharge is ErrAmountRange.
func (b *Book) Reprice(q PriceQuery, answer Attributes, used *Quantities, was []Line) (Charge, error) {
	u := Usage{Quantities: *used, Attributes: answer}
	u.Quantities[Call] = 0 // it is counted in by the row that prices it
	for i := range was {
		if line := &was[i]; line.Tool != "" {
			u.Quantities[line.Dimension] -= line.Quantity
			u.ToolCalls = append(u.ToolCalls, ToolUse{line.Tool, line.Dimension, line.Quantity, line.Attributes})
		}
	}
	charge, err := b.Charge(q, &u)
	if err != nil {
		return Charge{}, err
	}
	if err := charge.keepUnpriced(was); err != nil {
		return Charge{}, err
	}
	charge.carryRest(used)
	if err := charge.sum(); err != nil {
		return Charge{}, err
	}
	return charge, nil
}

// keepUnpriced puts the lines as they were in place of those that have no price now.
func (c *Charge) keepUnpriced(was []Line) error {
	lines := make([]Line, 0, len(c.Lines))
	if !slices.ContainsFunc(c.Lines, func(l Line) bool { return l.Tool == "" && !l.Unpriced }) {
		// No row is for the model: what was billed, and in what units, stands.
		c.Lines = slices.DeleteFunc(c.Lines, func(l Line) bool { return l.Tool == "" })
		for i := range was {
			if was[i].Tool == "" {
				lines = append(lines, was[i])
			}
		}
	}
	for _, line := range c.Lines {
		if i := slices.IndexFunc(was, line.IsOf); line.Unpriced && i >= 0 {
			line = was[i]
		}
		lines = append(lines, line)
	}
	for i := range lines { // those that stay have the amount that the wallets paid
		var err error
		if lines[i].Amount, err = lines[i].Rate.Amount(lines[i].Quantity); err != nil {
			return err
		}
	}
	c.Lines = lines
	return nil
}

// IsOf reports whether both lines are of the same thing.
func (l *Line) IsOf(o Line) bool {
	return l.Dimension == o.Dimension && l.Tool == o.Tool && maps.Equal(l.Attributes, o.Attributes)
}

// carryRest carries what was used and is on no line.
func (c *Charge) carryRest(used *Quantities) {
	rest := *used
	rest[Call] = 0
	for i := range c.Lines {
		rest[c.Lines[i].Dimension] -= c.Lines[i].Quantity
	}
	c.Carried = nil
	for d, n := range rest.NonZero() {
		if n > 0 {
			c.carry(d, n)
		}
	}
}
