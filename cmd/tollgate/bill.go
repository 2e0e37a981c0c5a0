package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) bill() *cobra.Command {
	var month string
	var asCSV bool
	c := &cobra.Command{
		Use:   "bill ACCOUNT",
		Short: "Print an account's bill of a month",
		Long: `Print what an account used in a month: the fee in cash and the units from packs
apart, by day, key, model and endpoint. Days and months are those of
policy.timezone, by the time of booking. Refunds are taken off in the month in
which they were made, so the bill of a month that is over does not change.

--csv prints the lines alone, one a row.`,
		Example: "  tollgate bill acme --month 2026-11\n  tollgate bill acme --month 2026-11 --csv > acme-2026-11.csv",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			if asCSV && p.asJSON {
				return usagef("--csv and --json: want one of them")
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				of := time.Now()
				if month != "" {
					var err error
					if of, err = ledger.ParseMonth(month, o.zone); err != nil {
						return usageError{err}
					}
				}
				bill, err := o.Bill(ctx, args[0], of)
				if err != nil {
					return noAccount(err, args[0])
				}
				if asCSV {
					return billCSV(p.stdout, bill)
				}
				return p.print(bill, func() string { return billText(bill) })
			})
		},
	}
	c.Flags().StringVar(&month, "month", "", "the `MONTH`, such as 2026-11 (default this one)")
	c.Flags().BoolVar(&asCSV, "csv", false, "print the lines as CSV")
	return c
}

// billCSV writes a row a line. Usage is one column, "input=900;output=120":
// which dimensions there are depends on the models.
func billCSV(to io.Writer, b *ledger.Bill) error {
	w := csv.NewWriter(to)
	rows := [][]string{{"account", "month", "day", "key", "model", "endpoint", "requests", "usage", "fee", "currency", "pack_quantity"}}
	for i := range b.Lines {
		l := &b.Lines[i]
		rows = append(rows, []string{
			b.Account, b.Month, l.Day, l.Key, l.Model, l.Endpoint, strconv.FormatInt(l.Requests, 10), billUsage(l.Usage, ";"),
			l.Fee.String(), b.Currency, strconv.FormatInt(l.PackQuantity, 10),
		})
	}
	return w.WriteAll(rows)
}

func billUsage(usage map[string]int64, separator string) string {
	parts := make([]string, 0, len(usage))
	for dimension, n := range usage {
		parts = append(parts, fmt.Sprintf("%s=%d", dimension, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, separator)
}

func billText(b *ledger.Bill) string {
	text := facts(
		"account", b.Account,
		"month", b.Month+" ("+b.Timezone+")",
		"fee", money(b.Fee, b.Currency),
		"paid by recharge", money(b.Paid.Recharge, b.Currency),
		"paid by bonus", money(b.Paid.Bonus, b.Currency),
	)
	packs := newTable("PACK", "UNIT", ">USED")
	for _, pack := range b.Packs {
		packs.add(pack.ID, pack.Unit, count(pack.Quantity))
	}
	lines := newTable("DAY", "KEY", "MODEL", "ENDPOINT", ">REQUESTS", ">FEE", ">FROM PACKS", "USAGE")
	for i := range b.Lines {
		l := &b.Lines[i]
		lines.add(l.Day, orDash(l.Key), orDash(l.Model), orDash(l.Endpoint), count(l.Requests), l.Fee.String(), count(l.PackQuantity), billUsage(l.Usage, " "))
	}
	for _, t := range []*table{packs, lines} {
		if s := t.String(); s != "" {
			text += "\n" + s
		}
	}
	if len(b.Lines) == 0 {
		text += "\nnothing was used\n"
	}
	return text
}
