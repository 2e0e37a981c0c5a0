package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

// quoteFlags is what is to be priced.
type quoteFlags struct {
	model, endpoint, upstream, at string
	input, output                 int64
	usage                         map[string]int64
	when                          map[string]string
}

// quoted is the answer: the charge of exactly this usage.
type quoted struct {
	Fee          meter.Nano   `json:"fee"`
	Currency     string       `json:"currency"`
	Lines        []meter.Line `json:"lines"`
	PriceVersion string       `json:"price_version"`
	Model        string       `json:"model"`
	Endpoint     string       `json:"endpoint"` // class of the price table
}

func (p *program) quote() *cobra.Command {
	var q quoteFlags
	c := &cobra.Command{
		Use:   "quote MODEL",
		Short: "What does this usage cost?",
		Long: `Price exactly this usage, as a call that used it would be charged if no pack paid.

It needs only price tables: those of the configuration, else the ones that are
built in, in their own currency. --usage takes any other dimension, such as
cached_input=800,image=2; dimensions are disjoint, so what is cached is not in
--input again. --endpoint is an endpoint or a class of the price table (chat,
embeddings, images, …; by default the one that the model is priced at). --when
gives attributes that choose a row (size=1024x1024,service_tier=flex), also that
of a hosted search, --usage search=1 (engine=search_pro).`,
		Example: "  tollgate quote glm-4.5 --input 1000 --output 500\n  tollgate quote gpt-4o --input 200 --usage cached_input=800 --output 100\n  tollgate quote dall-e-3 --usage image=2 --when size=1024x1024,quality=hd",
		Args:    positional("MODEL"),
		RunE: func(_ *cobra.Command, args []string) error {
			q.model = args[0]
			return p.printQuote(&q)
		},
	}
	f := c.Flags()
	f.Int64Var(&q.input, "input", 0, "input tokens that are not cached")
	f.Int64Var(&q.output, "output", 0, "output tokens")
	f.StringToInt64Var(&q.usage, "usage", nil, "other dimensions, `dim=N,…`")
	f.StringVar(&q.endpoint, "endpoint", "", "endpoint or class of the price table")
	f.StringToStringVar(&q.when, "when", nil, "attributes of the request or the answer, `key=value,…`")
	for _, pairs := range []string{"usage", "when"} {
		f.Lookup(pairs).Value = onceValue{f.Lookup(pairs).Value, make(map[string]bool)}
	}
	f.StringVar(&q.upstream, "upstream", "", "the upstream that answers, where prices depend on it")
	f.StringVar(&q.at, "at", "", "when the call comes: a date (its end) or an RFC 3339 time (default now)")
	return c
}

func (p *program) printQuote(q *quoteFlags) error {
	used, err := q.quantities()
	if err != nil {
		return err
	}
	cfg, err := p.quoteConfig()
	if err != nil {
		return err
	}
	books, err := quoteBooks(cfg)
	if err != nil {
		return err
	}
	query, err := q.query(cfg.Policy.Timezone)
	if err != nil {
		return err
	}
	book, class, ok := pricedBy(books, &query)
	if !ok {
		return unpriced(books, &query)
	}
	query.Class = class
	if err := checkQuery(&query, cfg, book); err != nil {
		return err
	}
	charge, err := book.ChargeGiven(query, used)
	if errors.Is(err, meter.ErrAmountRange) {
		return usagef("it is too much for one charge: want %s", book.MostCharged())
	}
	if err != nil {
		return err
	}
	answer := quoted{charge.Fee, book.Currency(), charge.Lines, charge.PriceVersion, q.model, query.Class}
	// Else the fee is not what such a call would cost: it would be refused.
	priced := !slices.ContainsFunc(charge.Lines, func(l meter.Line) bool { return l.Unpriced })
	return p.printFound(priced, answer, func() string { return quoteText(&answer) })
}

// query is what is asked of a book.
func (q *quoteFlags) query(zone *time.Location) (query meter.PriceQuery, err error) {
	query = meter.PriceQuery{Model: q.model, Upstream: q.upstream, Attributes: q.when, At: time.Now()}
	if query.Class, err = className(q.endpoint); err != nil {
		return query, err
	}
	at, err := momentOf("at", q.at, zone, meter.ParseEnd)
	if !at.IsZero() {
		query.At = at
	}
	return query, err
}

// checkQuery refuses what the book that has a price cannot go by.
func checkQuery(query *meter.PriceQuery, cfg *config.Config, book *meter.Book) error {
	known := book.Attributes()
	for _, name := range slices.Sorted(maps.Keys(query.Attributes)) {
		if !slices.Contains(known, name) {
			return usagef("--when %s: no price goes by it; want %s", name, strings.Join(known, ", "))
		}
	}
	rows := book.Rates(query.Model, query.At)
	if err := checkUpstream(query.Upstream, cfg, rows); err != nil {
		return err
	}
	if query.Upstream == "" && !anybodys(rows, query.Class) {
		return usagef("--upstream: the price of %s depends on who answers: name an upstream", query.Model)
	}
	return nil
}

// quantities puts the flags together; a dimension that is given twice is a slip.
func (q *quoteFlags) quantities() (*meter.Quantities, error) {
	used := &meter.Quantities{meter.Input: q.input, meter.Output: q.output}
	for _, name := range slices.Sorted(maps.Keys(q.usage)) {
		d, err := meter.ParseDimension(name)
		if err != nil {
			return nil, usagef("--usage: %w", err)
		}
		if used[d] != 0 {
			return nil, usagef("--usage: %s is given twice: want it in --%s or in --usage", name, name)
		}
		used[d] = q.usage[name]
	}
	for d, n := range used {
		if n < 0 {
			return nil, usagef("%s is negative: want a number of units", meter.Dimension(d))
		}
	}
	if used.IsZero() {
		return nil, usagef("there is nothing to price: give --input, --output or --usage, such as --input 1000 --output 500")
	}
	return used, nil
}

// quoteConfig is the configuration; the default one where there is none.
func (p *program) quoteConfig() (*config.Config, error) {
	cfg, err := config.Load(p.configPath, p.getenv)
	if errors.Is(err, config.ErrNone) {
		return config.Default(), nil
	}
	return cfg, err
}

// quoteBooks are the configuration's prices; where it names no tables, those
// that are built in, each in its own currency.
func quoteBooks(cfg *config.Config) ([]*meter.Book, error) {
	if len(cfg.Pricing.Files) > 0 {
		book, err := openBook(cfg)
		return []*meter.Book{book}, err
	}
	return embeddedBooks(cfg.Policy.Timezone)
}

// checkUpstream refuses a name that neither the configuration nor a price of
// the model has: it would be priced as if none had been said.
func checkUpstream(name string, cfg *config.Config, rows []meter.ModelPrice) error {
	known := cfg.UpstreamNames()
	for _, row := range rows {
		known = append(known, row.Upstreams...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	switch {
	case name == "" || slices.Contains(known, name):
		return nil
	case len(known) == 0:
		return usagef("--upstream: there is no upstream %q: name those there are with -c FILE, or leave it out", name)
	}
	return usagef("--upstream: there is no upstream %q: want one of %s", name, strings.Join(known, ", "))
}

// anybodys tells whether a price at that class is not that of certain upstreams.
func anybodys(rows []meter.ModelPrice, class string) bool {
	return slices.ContainsFunc(rows, func(row meter.ModelPrice) bool {
		return len(row.Upstreams) == 0 && (len(row.Endpoints) == 0 || slices.Contains(row.Endpoints, class))
	})
}

func embeddedBooks(zone *time.Location) ([]*meter.Book, error) {
	var books []*meter.Book
	for _, file := range prices.Files() {
		var head struct{ Currency string }
		if err := yaml.Unmarshal(file.Data, &head); err != nil {
			return nil, err
		}
		book, err := meter.NewBook(meter.BookOptions{Currency: head.Currency, Timezone: zone, Files: []meter.PriceFile{file}})
		if err != nil {
			return nil, err
		}
		books = append(books, book)
	}
	return books, nil
}

// className is the class of the price table that an endpoint's name stands for.
func className(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	classes := meter.PriceClasses()
	for _, e := range meter.Endpoints() {
		if e.Name == endpoint {
			return e.Class, nil
		}
	}
	if slices.Contains(classes, endpoint) {
		return endpoint, nil
	}
	return "", usagef("--endpoint: there is no endpoint %q: want one of %s", endpoint, strings.Join(classes, ", "))
}

// billedClasses are the classes that a model's price is looked for in: not the
// one that counts tokens, which is free also for models that nothing else prices.
func billedClasses() []string {
	return slices.DeleteFunc(meter.PriceClasses(), func(class string) bool { return class == "tokenizer" })
}

// pricedBy finds the book that prices the model, and where: at the class that
// was asked for, else at the first that has a price.
func pricedBy(books []*meter.Book, q *meter.PriceQuery) (book *meter.Book, class string, ok bool) {
	classes := []string{q.Class}
	if q.Class == "" {
		classes = billedClasses()
	}
	for _, book := range books {
		for _, class := range classes {
			if book.Priced(q.Model, class, q.At) {
				return book, class, true
			}
		}
	}
	return nil, "", false
}

// unpriced says where the model is priced, if not where it was asked for.
func unpriced(books []*meter.Book, q *meter.PriceQuery) error {
	for _, book := range books {
		if rates := book.Rates(q.Model, q.At); len(rates) > 0 && q.Class != "" {
			return fmt.Errorf("%w for model %q at %s: it is priced at %s", meter.ErrUnpriced, q.Model, q.Class, strings.Join(rates[0].Endpoints, ", "))
		}
	}
	return fmt.Errorf("%w for model %q at %s: calls to it are refused; add a row to a price table", meter.ErrUnpriced, q.Model, q.At.Format(time.DateOnly))
}

func quoteText(q *quoted) string {
	t := newTable("DIMENSION", ">QUANTITY", ">RATE", ">AMOUNT", "")
	for i := range q.Lines {
		line := &q.Lines[i]
		name, note := line.Dimension.String(), ""
		if line.Tool != "" {
			name = line.Tool
		}
		if line.BilledAs != "" {
			note = "billed as " + line.BilledAs
		}
		if line.Unpriced {
			note = "has no price: such a call would be refused"
		}
		t.add(name, count(line.Quantity), line.Rate.String(), line.Amount.String(), note)
	}
	return fmt.Sprintf("%s\nfee %s  (%s at %s, prices %s)\n", t, money(q.Fee, q.Currency), q.Model, q.Endpoint, q.PriceVersion)
}
