package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (p *program) topup() *cobra.Command {
	var wallet, ref string
	c := &cobra.Command{
		Use:   "topup ACCOUNT AMOUNT",
		Short: "Put money into a wallet",
		Long: `Put money into an account's wallet: recharge (paid in, the default) or bonus (given).

With --ref, the reference of the payment, a repeat is booked once, and a repeat
with another amount or wallet is refused.`,
		Example: "  tollgate topup acme 50\n  tollgate topup acme 10 --wallet bonus --ref campaign-7",
		Args:    positional("ACCOUNT", "AMOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			t := ledger.Topup{Account: args[0], Wallet: ledger.Wallet(wallet), Ref: ref}
			var err error
			if t.Amount, err = positiveAmount(args[1]); err != nil {
				return err
			}
			if err = wrongArgument(t.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error { return p.bookTopup(ctx, o, t) })
		},
	}
	c.Flags().StringVar(&wallet, "wallet", string(ledger.Recharge), "recharge or bonus")
	c.Flags().StringVar(&ref, "ref", "", "reference of the payment; repeated, it is booked once")
	return c
}

func positiveAmount(s string) (meter.Nano, error) {
	amount, err := meter.ParseNano(s)
	switch {
	case err != nil:
		return 0, usageError{err}
	case amount < 0:
		return 0, usagef("%s is negative, and a topup only adds: to take money away is `tollgate adjust ACCOUNT %s --reason …`", s, s)
	case amount == 0:
		return 0, usagef("%s is nothing: want an amount such as 10 or 0.25", s)
	}
	return amount, nil
}

func (p *program) bookTopup(ctx context.Context, o *operator, t ledger.Topup) error {
	entry, err := o.TopUp(ctx, t)
	if err != nil {
		return hint(unsure(noAccount(err, t.Account), t.Account, t.Ref), ledger.ErrConflict, "use another --ref for another payment")
	}
	return p.printBooked(ctx, o, entry, func() string {
		return fmt.Sprintf("%s booked to the %s wallet of %s (journal entry %s)\n", o.money(t.Amount), t.Wallet, t.Account, entry.ID)
	})
}
