package main

import (
	"context"
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

--csv prints the lines alone, one a row, for spreadsheets: a model's name that one
would take for a formula has an apostrophe before it. --json has it as it is.`,
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
					return bill.WriteCSV(p.stdout)
				}
				return p.print(bill, func() string { return billText(bill) })
			})
		},
	}
	c.Flags().StringVar(&month, "month", "", "the `MONTH`, such as 2026-11 (default this one)")
	c.Flags().BoolVar(&asCSV, "csv", false, "print the lines as CSV")
	return c
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
		lines.add(l.Day, orDash(l.Key), orDash(l.Model), orDash(l.Endpoint), count(l.Requests), l.Fee.String(), count(l.PackQuantity), l.UsageText(" "))
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
