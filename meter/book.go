package meter

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrUnpriced is returned before a call for what no price table prices: a
// model at an endpoint, a hosted tool, or a dimension of the request.
var ErrUnpriced = errors.New("no price")

// BookOptions say what a Book is made of.
type BookOptions struct {
	// Currency is the ledger's, such as "CNY".
	Currency string
	// Exchange is what one unit of another currency is in Currency, as a
	// decimal string by code: {"USD": "7.1"}. A file's amounts are multiplied
	// by it at load.
	Exchange map[string]string
	// Timezone is that of bare dates and of windows that name none; nil is UTC.
	Timezone *time.Location
	Files    []PriceFile
}

// A Book is the price tables, ready to be asked. It does not change, and can
// be used by any number of goroutines.
type Book struct {
	currency string
	version  string
	models   *priceIndex
	tools    *priceIndex
	rows     []*priceRow // as they stand in the tables
	warnings []string
	// attributes are the names by which a price can be chosen.
	attributes []string
}

// NewBook reads price tables. All faults are returned at once, joined, each a
// *PriceError that says where it is and what would be right.
func NewBook(o BookOptions) (*Book, error) {
	load := priceLoad{currency: o.Currency, exchange: o.Exchange, zone: o.Timezone, attributes: attributeNames()}
	if load.zone == nil {
		load.zone = time.UTC
	}
	if o.Currency == "" {
		load.errs = append(load.errs, errors.New("the book has no currency; want one such as CNY"))
	}
	for _, f := range o.Files {
		switch err := checkJSON(f); {
		case err != nil:
			load.errs = append(load.errs, err)
		case isLiteLLM(f.Data):
			load.readLiteLLM(f)
		default:
			load.readYAML(f)
		}
	}
	models, tools := splitRows(load.rows)
	b := &Book{currency: o.Currency, version: contentVersion(&o), rows: load.rows, warnings: load.warnings, attributes: load.allAttributes()}
	var ofModels, ofTools []error
	b.models, ofModels = newPriceIndex(models)
	b.tools, ofTools = newPriceIndex(tools)
	if errs := slices.Concat(load.errs, ofModels, ofTools); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return b, nil
}

func splitRows(rows []*priceRow) (models, tools []*priceRow) {
	for _, r := range rows {
		if len(r.tools) > 0 {
			tools = append(tools, r)
		} else {
			models = append(models, r)
		}
	}
	return models, tools
}

// checkJSON says where a file named .json is not JSON: the YAML parser's message would not
// help.
func checkJSON(f PriceFile) error {
	if !strings.HasSuffix(f.Name, ".json") {
		return nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(f.Data, new(json.RawMessage)); !errors.As(err, &syntax) {
		return nil
	}
	before := f.Data[:min(syntax.Offset, int64(len(f.Data)))]
	place := pricePlace{f.Name, 1 + bytes.Count(before, []byte{'\n'}), max(len(before)-bytes.LastIndexByte(before, '\n')-1, 1)}
	return place.errorf("not JSON: %v", syntax)
}

// isLiteLLM tells LiteLLM's JSON from our own tables, which may be written as
// JSON too, with `prices`.
func isLiteLLM(data []byte) bool {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return false
	}
	var own struct {
		Prices []json.RawMessage `json:"prices"`
	}
	return json.Unmarshal(data, &own) != nil || own.Prices == nil
}

// contentVersion names all that the prices follow from: the files' contents,
// not their names, and the exchange rates and zone that they are read with.
func contentVersion(o *BookOptions) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s\n", o.Currency, o.Timezone)
	for _, code := range slices.Sorted(maps.Keys(o.Exchange)) {
		fmt.Fprintf(h, "%s %s\n", code, o.Exchange[code])
	}
	for _, f := range o.Files {
		fmt.Fprintf(h, "%d\n", len(f.Data))
		h.Write(f.Data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Version names the content of the price tables: twelve hex digits.
func (b *Book) Version() string { return b.version }

// Currency is the currency of all amounts.
func (b *Book) Currency() string { return b.currency }

// MostCharged says how much one charge may be: what is more is ErrAmountRange.
func (b *Book) MostCharged() string {
	return fmt.Sprintf("quantities of %d units in all at most, which cost no more than %s %s", int64(MaxCharge), MaxCharge, b.currency)
}

// Warnings are about what loads but is probably a mistake: a multiplier that can never
// apply, a price for a single millisecond, a model of LiteLLM's that is left out. A row
// that is never chosen is not among them: it would have the same rank as another, and two
// such rows do not load.
func (b *Book) Warnings() []string { return slices.Clone(b.warnings) }

// Attributes are the names by which a price can be chosen, sorted: those that a request or an answer can say, and whatever
// else the tables name.
func (b *Book) Attributes() []string { return slices.Clone(b.attributes) }

// ForOthers warns of rows for upstreams that do not exist, once for each name: such rows
// are never chosen.
func (b *Book) ForOthers(upstreams []string) (warnings []string) {
	known := slices.Clone(upstreams)
	for _, r := range b.rows {
		for _, name := range r.upstreams {
			if !slices.Contains(known, name) {
				known = append(known, name)
				warnings = append(warnings, r.place.errorf("upstreams: there is no upstream %s, so its prices are never used", name).Error())
			}
		}
	}
	return warnings
}

// Models lists the models that are priced by their exact names, sorted.
func (b *Book) Models() []string { return slices.Sorted(maps.Keys(b.models.exact)) }

// Priced reports whether the model has a row for that class of endpoints at
// that time. Whether all that a request asks for has a rate, only Quote tells.
func (b *Book) Priced(model, class string, at time.Time) bool {
	q := PriceQuery{Model: model, Class: class, At: at, class: classBit(class)}
	return slices.ContainsFunc(b.models.find(model), func(r *priceRow) bool { return r.mayBeOpen(&q) })
}

// PricesAny reports whether a model of some name that fits the pattern has a row, at whichever
// endpoint and time.
func (b *Book) PricesAny(pattern string) bool {
	return slices.ContainsFunc(b.rows, func(r *priceRow) bool {
		return slices.ContainsFunc(r.models, func(name string) bool { _, common := commonName(pattern, name); return common })
	})
}

// Sells reports whether a call of the endpoint has a price at that time: one of the model's rows has
// a rate for all that any call there is sure to use. A row of input alone, which names no endpoints,
// sells embeddings, and no chat. With an upstream named, it is that one that must have the price; else any may.
// Whether all that a request asks for has a rate, only Quote tells.
func (b *Book) Sells(model string, e *Endpoint, upstream string, at time.Time) bool {
	q := PriceQuery{Model: model, Class: e.Class, Upstream: upstream, At: at, class: classBit(e.Class)}
	return slices.ContainsFunc(b.models.find(model), func(r *priceRow) bool {
		if !r.mayBeOpen(&q) {
			return false
		}
		least := e.leastCall(model)
		one := ofOneCall(&least)
		w := quoteWork{query: &q, ceiling: &one}
		return w.considerRow(r) == nil && w.tier != nil
	})
}

// ModelPrice is one row that prices a model, for display.
type ModelPrice struct {
	Endpoints   []string          `json:"endpoints,omitempty"` // classes; none: all
	Upstreams   []string          `json:"upstreams,omitempty"` // none: all
	When        Attributes        `json:"when,omitempty"`
	Tiers       []ModelTier       `json:"tiers"`
	Multipliers []ModelMultiplier `json:"multipliers,omitempty"`
	From        *time.Time        `json:"from,omitempty"`
	Until       *time.Time        `json:"until,omitempty"`
}

// For reports whether it is the price of an endpoint's calls.
func (p ModelPrice) For(e *Endpoint) bool {
	return len(p.Endpoints) == 0 || slices.Contains(p.Endpoints, e.Class)
}

// ModelTier is the rates for one size of request. Input and Output are ranges
// such as "[0,32000)", empty where any size will do.
type ModelTier struct {
	Input  string            `json:"input,omitempty"`
	Output string            `json:"output,omitempty"`
	Rates  map[string]string `json:"rates"`
}

// ModelMultiplier is what all of a row's rates are multiplied by when its
// conditions hold.
type ModelMultiplier struct {
	When Attributes `json:"when"`
	By   string     `json:"by"`
}

// Rates lists the rows that price a model at a time, in the order of preference. Rows that
// another one always precedes are left out.
func (b *Book) Rates(model string, at time.Time) []ModelPrice {
	var shown []*priceRow
	var prices []ModelPrice
	for _, r := range b.models.find(model) {
		if !r.validAt(at) || slices.ContainsFunc(shown, func(o *priceRow) bool { return outranksNow(o, r) }) {
			continue
		}
		shown = append(shown, r)
		prices = append(prices, r.modelPrice())
	}
	return prices
}

// outranksNow is covers with the time left out: both rows are valid now.
func outranksNow(o, r *priceRow) bool {
	wide := priceRow{classes: o.classes, upstreams: o.upstreams}
	return covers(&wide, r) && implies(r.when, nil, o.when)
}

func (r *priceRow) modelPrice() ModelPrice {
	p := ModelPrice{Endpoints: r.classes.names(), Upstreams: slices.Clone(r.upstreams), When: attributesOf(r.when)}
	if from := r.from; !from.IsZero() {
		p.From = &from
	}
	if until := r.until; !until.IsZero() {
		p.Until = &until
	}
	for i := range r.tiers {
		t := &r.tiers[i]
		shown := ModelTier{Rates: make(map[string]string)}
		if t.input != anySize {
			shown.Input = t.input.String()
		}
		if t.output != anySize {
			shown.Output = t.output.String()
		}
		for d, declared := range t.declared {
			if declared != nil {
				shown.Rates[Dimension(d).String()] = declared.String()
			}
		}
		p.Tiers = append(p.Tiers, shown)
	}
	for _, m := range r.multipliers {
		p.Multipliers = append(p.Multipliers, ModelMultiplier{attributesOf(m.when), m.by.String()})
	}
	return p
}

func attributesOf(when []priceCondition) Attributes {
	if len(when) == 0 {
		return nil
	}
	a := make(Attributes, len(when))
	for _, c := range when {
		a[c.key] = c.value
	}
	return a
}

// conditionsOf is the inverse of attributesOf.
func conditionsOf(a Attributes) (when []priceCondition) {
	for key, value := range a {
		when = append(when, priceCondition{key, value})
	}
	return when
}

// unpricedError says what has no price and where one would be put.
func unpricedError(q *PriceQuery, format string, args ...any) error {
	of := []string{fmt.Sprintf("model %q", q.Model)}
	if q.Class != "" {
		of = append(of, "at "+q.Class)
	}
	if q.Upstream != "" {
		of = append(of, "by "+q.Upstream)
	}
	return fmt.Errorf("%w for %s: %s", ErrUnpriced, strings.Join(of, " "), fmt.Sprintf(format, args...))
}
