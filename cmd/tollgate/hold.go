package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) hold() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:     "hold",
		Short:   "Holds: what is set aside for calls that have not ended",
		Example: "  tollgate hold list\n  tollgate hold end acme req_01m84zpx71gxv0yt3e0qjf34vr --release",
	}, p.holdList(), p.holdEnd())
}

func (p *program) holdList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [ACCOUNT]",
		Short: "List an account's holds, or all that are past their time",
		Long: `List what is held for an account's calls, in flight or abandoned. Without an
account: the holds of all accounts that are past their time. A proxy extends the
holds of its calls; one that it does not extend any more is ended by another proxy
after its time, unless policy.on_abandoned is hold: then by ` + "`tollgate hold end`" + `.

DELIVERED is what the call's last checkpoint comes to, at list price. TASK is the
upstream's id of what a call has brought (a video, …): it is held for until its end
is asked for, or its time is over, and then charged by the checkpoint.`,
		Example: "  tollgate hold list\n  tollgate hold list acme --json | jq '.[] | {request_id, cash}'",
		Args:    positional("[ACCOUNT]"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				if len(args) == 0 {
					holds, err := o.OverdueHolds(ctx)
					return p.printHolds(o, holds, err, "no hold is past its time\n")
				}
				holds, err := o.OpenHolds(ctx, args[0])
				return p.printHolds(o, holds, noAccount(err, args[0]), fmt.Sprintf("nothing is held for %s\n", args[0]))
			})
		},
	}
}

func (p *program) printHolds(o *operator, holds []ledger.OpenHold, err error, none string) error {
	if err != nil {
		return err
	}
	return p.print(holds, func() string {
		if len(holds) == 0 {
			return none
		}
		t := newTable("ACCOUNT", "REQUEST", "KEY", "MODEL", "PLACED", "UNTIL", "OVERDUE", "HELD", ">DELIVERED", "TASK")
		for i := range holds {
			h := &holds[i]
			overdue, delivered := "", "-"
			if h.Overdue {
				overdue = "yes"
			}
			if h.Delivered != nil {
				delivered = o.money(*h.Delivered)
			}
			t.add(h.Account, h.RequestID, orDash(h.Key), orDash(h.Model), moment(h.PlacedAt, o.zone), moment(h.EndsAt, o.zone), overdue, heldText(h, o), delivered, orDash(h.Task))
		}
		return t.String()
	})
}

// heldText is what packs and wallets hold, in words.
func heldText(h *ledger.OpenHold, o *operator) string {
	held := h.Packs
	if h.Cash > 0 {
		held = append([]ledger.Payment{{From: "cash", Amount: h.Cash}}, held...)
	}
	if len(held) == 0 {
		return "-" // a call that is free
	}
	return paidText(held, o.Currency())
}

func (p *program) holdEnd() *cobra.Command {
	var charge, release bool
	c := &cobra.Command{
		Use:   "end ACCOUNT REQUEST_ID --charge|--release",
		Short: "End a hold whose call was abandoned",
		Long: `End a hold that is past its time and that policy.on_abandoned: hold keeps. Start the
call's proxy again first, or adopt its log by ` + "`tollgate log replay`" + `, if that can
be: it may know what the call has used.

--charge: charge what the last checkpoint says was delivered (journal type abandon),
give the rest back. --release: give all of it back. Should the call settle late
after all, what was charged is refunded, and the true charge booked.`,
		Example: "  tollgate hold end acme req_01m84zpx71gxv0yt3e0qjf34vr --charge",
		Args:    positional("ACCOUNT", "REQUEST_ID"),
		RunE: func(c *cobra.Command, args []string) error {
			if charge == release {
				return usagef("want --charge or --release: what is to become of what was delivered?")
			}
			if err := wrongArgument(ledger.CheckRequestID(args[1])); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				return p.endHold(ctx, o, args[0], args[1], charge)
			})
		},
	}
	c.Flags().BoolVar(&charge, "charge", false, "charge what the last checkpoint says was delivered")
	c.Flags().BoolVar(&release, "release", false, "give all of it back")
	return c
}

func (p *program) endHold(ctx context.Context, o *operator, account, requestID string, charge bool) error {
	entry, err := o.EndHold(ctx, account, requestID, charge)
	if err != nil {
		return hint(err, ledger.ErrNotFound, "see `tollgate hold list %s`, and `tollgate journal %s` for how it ended", account, account)
	}
	ended := ledger.NewEndedHold(account, requestID, entry)
	return p.print(ended, func() string {
		switch {
		case entry != nil:
			return fmt.Sprintf("request %s ended: %s charged for what was delivered, from %s (journal entry %s)\n",
				requestID, o.money(ended.Fee), paidText(entry.Paid, o.Currency()), entry.ID)
		case charge:
			return fmt.Sprintf("request %s ended: nothing is known to have been delivered, all of it is given back\n", requestID)
		}
		return fmt.Sprintf("request %s ended: all of it is given back\n", requestID)
	})
}
