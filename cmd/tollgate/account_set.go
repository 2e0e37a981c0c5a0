package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (p *program) accountSet() *cobra.Command {
	var split string
	var overdraft meter.Nano
	c := &cobra.Command{
		Use:   "set ID",
		Short: "Change an account's overdraft or split",
		Long: `Change how far below zero admission may go (--overdraft), or how a fee falls on the
two wallets (--split), from now on. Calls in flight settle by the new split. What
is so already is no change, and has no journal entry.

An overdraft below what the account owes now is taken: nothing is admitted then
until it is covered.`,
		Example: "  tollgate account set acme --overdraft 100\n  tollgate account set acme --overdraft 0 --split bonus_first",
		Args:    positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			var change ledger.AccountChange
			if c.Flags().Changed("split") {
				s := ledger.Split(split)
				change.Split = &s
			}
			if c.Flags().Changed("overdraft") {
				change.Overdraft = &overdraft
			}
			if change.Split == nil && change.Overdraft == nil {
				return usagef("nothing is to change: give --overdraft or --split")
			}
			if err := wrongArgument(change.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				a, err := o.SetAccount(ctx, args[0], change)
				if err != nil {
					return noAccount(err, args[0])
				}
				return p.print(a, func() string {
					return fmt.Sprintf("account %s: overdraft %s, split %s\n", a.ID, o.money(a.Overdraft), a.Split)
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&split, "split", "", "how a fee falls on the wallets: proportional, equal, bonus_first, recharge_first")
	f.Var(amountValue{&overdraft}, "overdraft", "how far below zero admission may go")
	return c
}
