package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (p *program) adjust() *cobra.Command {
	var a ledger.Adjustment
	var wallet string
	c := &cobra.Command{
		Use:   "adjust ACCOUNT AMOUNT --reason R",
		Short: "Put a wallet right by hand, up or down",
		Long: `Add an amount to an account's wallet, or with a minus take it away.

No more can be taken than the wallet has, and than is free of the account's cash:
what is held for requests in flight stays covered. An account in debt can be
adjusted up.

With --ref, a repeat is booked once, and one with other content is refused.`,
		Example: "  tollgate adjust acme -0.25 --reason 'booked twice on invoice 81'\n  tollgate adjust acme 5 --wallet bonus --reason 'apology' --ref ticket-7",
		Args:    positional("ACCOUNT", "AMOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			a.Account, a.Wallet = args[0], ledger.Wallet(wallet)
			if a.Amount, err = meter.ParseNano(args[1]); err != nil {
				return usageError{err}
			}
			if a.Amount == 0 {
				return usagef("%s is nothing: want an amount such as 10 or -0.25", args[1])
			}
			if a.Wallet != ledger.Recharge && a.Wallet != ledger.Bonus {
				return usagef("--wallet %q: want recharge or bonus", wallet)
			}
			if err := needReason(a.Reason); err != nil {
				return err
			}
			if err := wrongArgument(a.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error { return p.bookAdjustment(ctx, o, a) })
		},
	}
	f := c.Flags()
	f.StringVar(&wallet, "wallet", string(ledger.Recharge), "recharge or bonus")
	f.StringVar(&a.Reason, "reason", "", "why, for the journal; needed")
	f.StringVar(&a.Ref, "ref", "", "reference; repeated, it is booked once")
	return c
}

func (p *program) bookAdjustment(ctx context.Context, o *operator, a ledger.Adjustment) error {
	entry, err := o.Adjust(ctx, a)
	if err != nil {
		return hint(unsure(noAccount(err, a.Account), a.Account, a.Ref), ledger.ErrConflict, "use another --ref for another adjustment")
	}
	return p.printBooked(ctx, o, entry, func() string {
		verb, preposition, amount := "added", "to", a.Amount
		if amount < 0 {
			verb, preposition, amount = "taken", "from", -amount
		}
		return fmt.Sprintf("%s %s %s the %s wallet of %s (journal entry %s)\n", o.money(amount), verb, preposition, a.Wallet, a.Account, entry.ID)
	})
}
