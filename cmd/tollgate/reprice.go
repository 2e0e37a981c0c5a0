package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

type repriceFlags struct {
	since, until, account, reason string
	prices                        []string
	dryRun                        bool
}

func (p *program) reprice() *cobra.Command {
	var f repriceFlags
	c := &cobra.Command{
		Use:   "reprice --since T --prices FILE",
		Short: "Price past charges anew",
		Long: `Price the charges of calls that came from a time on by other price tables, and
book those anew that come to another fee: the charge is taken back as if it had
never been (a refund), and booked again (a charge), in one step. Give the proxies
the right tables first (SIGHUP), and try it with --dry-run.

What the tables do not price stays as it is. Only cash changes: what packs paid
they have paid. What is less goes back to the wallets that paid, pro rata; what is
more is taken from the wallets by the account's split, below zero if need be. Where
nobody paid because there was no price, packs pay first, as ever. The difference is
on the bill of the month in which it is booked; for the limits of its key a charge
stays one of its own day.

Charges that were refunded, in part or whole, are left alone, and so are abandoned
calls; what else cannot be put right is listed. If that is because it is damaged, a
person must look, and the exit code is 1. Run twice, or again after it was broken
off, it books nothing twice: what has the right price stays. Run with the old
tables, it makes the fees what they were, but for calls that these do not price.`,
		Example: "  tollgate reprice --since 2026-11-01 --prices prices/bigmodel.yaml --dry-run\n  tollgate reprice --since 2026-11-01 --until 2026-11-15 --prices prices/bigmodel.yaml --account acme",
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case f.since == "":
				return usagef("--since is needed: want the first day, or time, of the calls to price anew")
			case len(f.prices) == 0:
				return usagef("--prices is needed: name the price table that is right")
			}
			if err := wrongArgument(ledger.CheckReason(f.reason)); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error { return p.bookRepricing(ctx, o, &f) })
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.since, "since", "", "calls that came from this date or RFC 3339 time on; needed")
	flags.StringVar(&f.until, "until", "", "up to the end of this date, or before this RFC 3339 time (default now)")
	flags.StringArrayVar(&f.prices, "prices", nil, "the price table that is right, `FILE`, repeated for more; needed")
	flags.StringVar(&f.account, "account", "", "of this account alone (default all)")
	flags.StringVar(&f.reason, "reason", "", "why, for the journal (default which prices)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be booked, and book nothing")
	return c
}

// repricedReport is what --json prints.
type repricedReport struct {
	Since        time.Time       `json:"since"`
	Until        *time.Time      `json:"until,omitempty"`
	PriceVersion string          `json:"price_version"`
	Currency     string          `json:"currency"`
	DryRun       bool            `json:"dry_run"`
	Charges      int64           `json:"charges"` // that were looked at
	Repriced     int64           `json:"repriced"`
	Before       meter.Nano      `json:"before"` // what the repriced came to, and what they come to
	After        meter.Nano      `json:"after"`
	Difference   meter.Nano      `json:"difference"`
	Models       []repricedModel `json:"models"`
	LeftAlone    []leftAlone     `json:"left_alone"`

	damaged bool // one of those that were left alone

	at map[[2]string]int // of each account and model, in Models
}

// repricedModel is the part of an account and model.
type repricedModel struct {
	Account  string     `json:"account"`
	Model    string     `json:"model"`
	Repriced int64      `json:"repriced"`
	Before   meter.Nano `json:"before"`
	After    meter.Nano `json:"after"`
}

// leftAlone is a charge that could not be put right.
type leftAlone struct {
	Account   string `json:"account"`
	RequestID string `json:"request_id"`
	Reason    string `json:"reason"`
	Damaged   bool   `json:"damaged,omitempty"` // a person must look
}

func (p *program) bookRepricing(ctx context.Context, o *operator, f *repriceFlags) error {
	book, err := repriceBook(o, f.prices)
	if err != nil {
		return err
	}
	for _, warning := range book.Warnings() {
		fmt.Fprintf(p.stderr, "tollgate: %s\n", warning)
	}
	q := ledger.Repricing{Account: f.account, DryRun: f.dryRun, Reason: cmp.Or(f.reason, "priced anew, by prices "+book.Version())}
	if q.Since, q.Until, err = spanOf(f.since, f.until, o.zone); err != nil {
		return err
	}
	report := &repricedReport{
		Since: q.Since, PriceVersion: book.Version(), Currency: o.Currency(), DryRun: q.DryRun, Models: []repricedModel{}, LeftAlone: []leftAlone{},
		at: make(map[[2]string]int),
	}
	if !q.Until.IsZero() {
		report.Until = &q.Until
	}
	interruptible, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	sum, err := o.Reprice(interruptible, q, priceBy(book), report.add)
	report.take(sum)
	done, human := plural(report.Repriced, "charge")+" priced anew", func() string { return repricedText(o, report) }
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	switch {
	case err != nil && report.Repriced > 0 && !q.DryRun:
		_ = p.print(report, human)
		return fmt.Errorf("%w: %s by then: run it again for the rest, which books nothing twice", err, done)
	case err != nil:
		return noAccount(err, f.account)
	case q.DryRun:
		return p.printFound(!report.damaged, report, human)
	}
	if err := p.printDone(done, report, human); err != nil || !report.damaged {
		return err
	}
	return errFailed
}

// repriceBook reads the tables as those who serve read theirs, whose time zone the
// ledger knows. None is taken for a file that is not there: money is booked by it.
func repriceBook(o *operator, paths []string) (*meter.Book, error) {
	options := meter.BookOptions{Currency: o.Currency(), Exchange: o.cfg.Pricing.Exchange, Timezone: o.zone}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, usagef("--prices: %w", err)
		}
		options.Files = append(options.Files, meter.PriceFile{Name: path, Data: data})
	}
	return meter.NewBook(options)
}

// priceBy prices a charge as its call was.
func priceBy(book *meter.Book) func(*ledger.Entry) (meter.Charge, error) {
	classes := make(map[string]string)
	for _, e := range meter.Endpoints() {
		classes[e.Name] = e.Class
	}
	return func(e *ledger.Entry) (meter.Charge, error) {
		class, known := classes[e.Endpoint]
		priced := book.Priced(e.Model, class, e.At)
		switch {
		case !known:
			return meter.Charge{}, fmt.Errorf("there is no endpoint %q", e.Endpoint)
		case priced && slices.Contains(e.Anomalies, meter.AnomalyOutOfRange):
			return meter.Charge{}, errors.New("it was charged what was held for it, since its usage cannot be")
		}
		q := meter.PriceQuery{Model: e.Model, Class: class, Upstream: e.Upstream, Attributes: e.Attributes, At: e.At}
		was := make([]meter.Line, len(e.Lines))
		for i := range e.Lines {
			was[i] = e.Lines[i].Line
		}
		charge, err := book.Reprice(q, e.AnswerAttributes, &e.Usage.Quantities, was)
		if i := slices.IndexFunc(charge.Lines, func(l meter.Line) bool { return l.Unpriced }); i >= 0 && charge.Fee == 0 && priced {
			err = fmt.Errorf("it stays free: these tables price the model, but not what it used (%s)", charge.Lines[i].Dimension)
		}
		return charge, err
	}
}

// add takes in one charge that comes to another fee.
func (r *repricedReport) add(one *ledger.Repriced) {
	e := one.Charge
	if one.Left != nil {
		r.LeftAlone = append(r.LeftAlone, leftAlone{e.Account, e.RequestID, one.Left.Error(), one.Damaged()})
		r.damaged = r.damaged || one.Damaged()
		return
	}
	i, known := r.at[[2]string{e.Account, e.Model}]
	if !known {
		i = len(r.Models)
		r.at[[2]string{e.Account, e.Model}] = i
		r.Models = append(r.Models, repricedModel{Account: e.Account, Model: e.Model})
	}
	m := &r.Models[i]
	m.Repriced, m.Before, m.After = m.Repriced+1, m.Before+e.FeeDue(), m.After+one.Fee
}

func (r *repricedReport) take(sum ledger.RepricedSum) {
	r.Charges, r.Repriced, r.Before, r.After, r.Difference = sum.Charges, sum.Repriced, sum.Before, sum.After, sum.After-sum.Before
	slices.SortStableFunc(r.Models, func(a, b repricedModel) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Model, b.Model))
	})
}

func repricedText(o *operator, r *repricedReport) string {
	var text strings.Builder
	if len(r.Models) > 0 {
		t := newTable("ACCOUNT", "MODEL", ">CHARGES", ">BEFORE", ">AFTER", ">DIFFERENCE")
		for _, m := range r.Models {
			t.add(m.Account, m.Model, count(m.Repriced), m.Before.String(), m.After.String(), (m.After - m.Before).String())
		}
		fmt.Fprintf(&text, "%s\n", t)
	}
	for _, l := range r.LeftAlone {
		if l.Damaged {
			text.WriteString("DAMAGED, ")
		}
		fmt.Fprintf(&text, "left as it is: request %s of %s: %s\n", l.RequestID, l.Account, l.Reason)
	}
	done := "priced anew"
	if r.DryRun {
		done = "would be priced anew (nothing was booked)"
	}
	fmt.Fprintf(&text, "%s of %s %s, by prices %s", count(r.Repriced), plural(r.Charges, "charge"), done, r.PriceVersion)
	if r.Repriced > 0 {
		fmt.Fprintf(&text, ": %s, %s before", o.money(r.After), o.money(r.Before))
	}
	return text.String() + "\n"
}
