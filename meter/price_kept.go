package meter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// KeptPrices are the rows that may price a call, as they stood when it came. They
// are kept for a call whose end is told later, when the tables may have changed.
type KeptPrices struct {
	// Version is that of the book they come from.
	Version string `json:"v"`
	// The rows of the model and of hosted tools, each by one of its names, best rank first.
	Models []keptRow `json:"m,omitempty"`
	Tools  []keptRow `json:"t,omitempty"`
}

// A keptRow is a row without what has decided that it is one of the call's: endpoints,
// upstreams, times. Its rates are in the book's currency.
type keptRow struct {
	Name        string            `json:"name"`
	When        Attributes        `json:"when,omitempty"`
	Tiers       []ModelTier       `json:"tiers"`
	Fallback    map[string]string `json:"fallback,omitempty"`
	Multipliers []ModelMultiplier `json:"multipliers,omitempty"`
}

// Keep returns the rows that may price a call, whatever its answer will say of it.
func (b *Book) Keep(q PriceQuery) KeptPrices {
	q.class = classBit(q.Class)
	kept := func(name string, rows ...*priceRow) (list []keptRow) {
		for _, r := range rows {
			if r.isOpen(&q) {
				list = append(list, r.keep(name))
			}
		}
		return list
	}
	k := KeptPrices{Version: b.version, Models: kept(q.Model, b.models.find(q.Model)...)}
	for _, name := range slices.Sorted(maps.Keys(b.tools.exact)) {
		k.Tools = append(k.Tools, kept(name, b.tools.exact[name]...)...)
	}
	for _, m := range b.tools.patterns {
		k.Tools = append(k.Tools, kept(m.name, m.row)...)
	}
	return k
}

// Recall returns a book that prices the call for which the rows were kept, as the book
// did that they come from. If that is b, it is b itself.
func (b *Book) Recall(k *KeptPrices) (*Book, error) {
	if k.Version == b.version {
		return b, nil
	}
	models, ofModels := recallIndex(k.Models, false)
	tools, ofTools := recallIndex(k.Tools, true)
	if err := errors.Join(ofModels, ofTools); err != nil {
		return nil, fmt.Errorf("kept prices of version %s: %w", k.Version, err)
	}
	return &Book{currency: b.currency, version: k.Version, models: models, tools: tools}, nil
}

// recallIndex leaves the rows in their order: what they were ranked by is not kept.
func recallIndex(kept []keptRow, ofTools bool) (*priceIndex, error) {
	x := &priceIndex{exact: make(map[string][]*priceRow)}
	x.seen.Store(&map[string][]*priceRow{})
	for i := range kept {
		name := kept[i].Name
		row, err := kept[i].recall(ofTools)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%q: %w", name, err)
		case ofTools && isPattern(name):
			x.patterns = append(x.patterns, priceMatch{row, name})
		default: // a client's model may have a star
			x.exact[name] = append(x.exact[name], row)
		}
	}
	return x, nil
}

func (r *priceRow) keep(name string) keptRow {
	shown := r.modelPrice()
	k := keptRow{Name: name, When: shown.When, Tiers: shown.Tiers, Multipliers: shown.Multipliers}
	if len(r.fallback) > 0 {
		k.Fallback = make(map[string]string, len(r.fallback))
	}
	for d, f := range r.fallback {
		k.Fallback[d.String()] = f.String()
	}
	return k
}

// recall is the row that was kept.
func (k *keptRow) recall(ofTool bool) (*priceRow, error) {
	r := &priceRow{when: conditionsOf(k.When), fallback: make(map[Dimension]priceFallback, len(k.Fallback))}
	if ofTool {
		r.tools = []string{k.Name}
	} else {
		r.models = []string{k.Name}
	}
	for i := range k.Tiers {
		tier, err := k.Tiers[i].recall()
		if err != nil {
			return nil, err
		}
		r.tiers = append(r.tiers, tier)
	}
	for name, text := range k.Fallback {
		d, ofName := ParseDimension(name)
		f, ofText := parseFallback(text)
		if err := errors.Join(ofName, ofText); err != nil {
			return nil, err
		}
		r.fallback[d] = f
	}
	for _, m := range k.Multipliers {
		by, err := parseDecimal(m.By)
		if err != nil {
			return nil, err
		}
		r.multipliers = append(r.multipliers, priceMultiplier{when: conditionsOf(m.When), by: by})
	}
	return r, errors.Join(r.compile()...)
}

// recall is the tier that is shown so.
func (t *ModelTier) recall() (tier priceTier, err error) {
	if tier.input, err = recallSpan(t.Input); err != nil {
		return tier, err
	}
	if tier.output, err = recallSpan(t.Output); err != nil {
		return tier, err
	}
	for name, text := range t.Rates {
		d, err := ParseDimension(name)
		if err != nil {
			return tier, err
		}
		declared, err := parseTariff(text, d)
		if err != nil {
			return tier, err
		}
		tier.declared[d] = &declared
	}
	return tier, nil
}

func recallSpan(text string) (priceSpan, error) {
	if text == "" {
		return anySize, nil
	}
	span, ok := parseSpan(text)
	if !ok {
		return span, fmt.Errorf("%q is not a range of tokens", text)
	}
	return span, nil
}
