package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func (p *program) refund() *cobra.Command {
	var r ledger.Refund
	var amount meter.Nano
	c := &cobra.Command{
		Use:   "refund ACCOUNT REQUEST_ID --reason R",
		Short: "Give a charge back, whole or in part",
		Long: `Give all that is left of a charge back, to the very packs and wallets that paid.

With --amount it is that much cash, pro rata to the wallets that paid; never more
than was paid in cash, less what has been given back. What goes back to a pack
that is revoked or expired is withdrawn, or expires, at once.

With --ref, a repeat is booked once, and one with another amount or reason is
refused. Without it, a repeat of a whole refund finds nothing left.`,
		Example: "  tollgate refund acme req_01m84zpx71gxv0yt3e0qjf34vr --reason 'the answer was cut'\n  tollgate refund acme req_01m84zpx71gxv0yt3e0qjf34vr --amount 0.05 --reason goodwill --ref ticket-8",
		Args:    positional("ACCOUNT", "REQUEST_ID"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Account, r.RequestID = args[0], args[1]
			if c.Flags().Changed("amount") {
				if amount == 0 {
					return usagef("--amount 0 is nothing: want an amount such as 10 or 0.25, or leave it out to give all back")
				}
				r.Amount = &amount
			}
			if err := needReason(r.Reason); err != nil {
				return err
			}
			if err := wrongArgument(r.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error { return p.bookRefund(ctx, o, r) })
		},
	}
	f := c.Flags()
	f.Var(amountValue{&amount}, "amount", "how much cash to give back (default all that is left, packs too)")
	f.StringVar(&r.Reason, "reason", "", "why, for the journal; needed")
	f.StringVar(&r.Ref, "ref", "", "reference; repeated, it is booked once")
	return c
}

func (p *program) bookRefund(ctx context.Context, o *operator, r ledger.Refund) error {
	entry, err := o.Refund(ctx, r)
	if errors.Is(err, ledger.ErrNotFound) { // the request, or already the account?
		if _, missing := o.Account(ctx, r.Account); errors.Is(missing, ledger.ErrNotFound) {
			return noAccount(missing, r.Account)
		}
	}
	if err != nil {
		err = unsure(err, r.Account, r.Ref)
		err = hint(err, ledger.ErrNotFound, "see `tollgate journal %s --type charge`", r.Account)
		return hint(err, ledger.ErrConflict, "if the --ref was used before, use another; `tollgate journal %s` shows what was booked", r.Account)
	}
	return p.printBooked(ctx, o, entry, func() string {
		return fmt.Sprintf("%s of request %s refunded, to %s (journal entry %s)\n",
			o.money(entry.FeeDue()), r.RequestID, paidText(entry.Paid, o.Currency()), entry.ID)
	})
}
