package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) audit() *cobra.Command {
	return &cobra.Command{
		Use:   "audit [ACCOUNT]",
		Short: "Replay the journal against the balances",
		Long: `Replay the journal and compare it with the balances, packs, keys and holds, of one
account or of all. Exit code 1 and the differences if the books do not balance.`,
		Example: "  tollgate audit\n  tollgate audit acme --json",
		Args:    positional("[ACCOUNT]"),
		RunE: func(c *cobra.Command, args []string) error {
			account := ""
			if len(args) == 1 {
				account = args[0]
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				report, err := o.Audit(ctx, account)
				if err != nil {
					return noAccount(err, account)
				}
				return p.printFound(report.OK, report, func() string { return auditText(report) })
			})
		},
	}
}

func auditText(r *ledger.AuditReport) string {
	scope := fmt.Sprintf("%s, %s", plural(int64(r.Accounts), "account"), plural(r.Entries, "journal entry"))
	if r.OK {
		return "the books balance: " + scope + "\n" + conservationText(r.Conservation)
	}
	t := newTable("ACCOUNT", ">SHARD", "LAW", "WHAT", "BY THE JOURNAL", "IN THE LEDGER")
	for _, d := range r.Differences {
		t.add(orDash(d.Account), strconv.Itoa(d.Shard), d.Law, d.What, orDash(d.Journal), orDash(d.Ledger))
	}
	return fmt.Sprintf("THE BOOKS DO NOT BALANCE: %s, %s\n\n%s", plural(int64(len(r.Differences)), "difference"), scope, t)
}

// conservationText is an account's balance sheet.
func conservationText(sheet []ledger.Conserved) string {
	if len(sheet) == 0 {
		return ""
	}
	t := newTable("", ">GRANTED", "=", ">FREE", "+", ">HELD", "+", ">CHARGED", "+", ">EXPIRED", "+", ">WITHDRAWN")
	for _, c := range sheet {
		t.add(c.What, c.Granted, "=", c.Free, "+", c.Held, "+", c.Charged, "+", c.Expired, "+", c.Withdrawn)
	}
	return "\n" + t.String()
}
