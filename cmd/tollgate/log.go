package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) log() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:     "log",
		Short:   "Look after the settlement log of a dead proxy",
		Example: "  tollgate log replay /mnt/old-proxy/data/settlements",
	}, p.logReplay())
}

func (p *program) logReplay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay DIR",
		Short: "Book what the settlement log of a dead proxy has and the ledger has not",
		Long: `Book what the settlement log of a dead proxy has and the ledger has not. A
proxy that is started again does this by itself: the verb is for one that will
not come back. DIR is one log, or the directory of several (ledger.log); one that
a running proxy has, or that is another ledger's, is left alone, and refused if
there is no other.

Charges that are booked already stay as they are, so it may be done again. Holds
of calls that never ended are given back, or charged by their last checkpoint
(policy.on_abandoned). What cannot be booked is listed, and kept in DIR/doubts.jsonl;
then the exit code is 1. The log is left where it is.`,
		Example: "  tollgate log replay /mnt/old-proxy/data/settlements",
		Args:    positional("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error { return p.adopt(ctx, o, args[0]) })
		},
	}
}

func (p *program) adopt(ctx context.Context, o *operator, dir string) error {
	done, err := o.AdoptLog(ctx, dir)
	if done == nil {
		return err
	}
	failed := p.printFound(len(done.Doubts) == 0, done, func() string { return describeReplay(done) })
	if err != nil {
		return err
	}
	return failed
}

func describeReplay(r *ledger.Replayed) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s looked at, %d booked already\n", plural(int64(r.Records), "record"), r.There)
	fmt.Fprintf(&text, "%d settled, %d released, %d charged as abandoned, %d tasks held for, %d kept\n", r.Settled, r.Released, r.Abandoned, r.Parked, r.Kept)
	for _, d := range r.Doubts {
		fmt.Fprintf(&text, "NOT BOOKED: %s of %s: %s\n", d.RequestID, d.Account, d.Why)
	}
	for _, why := range r.LeftAlone {
		fmt.Fprintf(&text, "left alone: %s\n", why)
	}
	return text.String()
}
