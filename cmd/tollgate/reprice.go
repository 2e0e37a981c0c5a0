package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// reprice has its place in the command line before it has a body: who asks for
// it is told what there is instead, rather than that there is no such verb.
func (p *program) reprice() *cobra.Command {
	c := &cobra.Command{
		Use:   "reprice",
		Short: "Price past charges anew (not built yet)",
		Long: `Price charges anew by other price tables, and book the differences. This is not
built yet: it fails, and changes nothing. What was charged wrong is put right one
by one, with tollgate refund and tollgate adjust.`,
		Example: "  tollgate reprice --since 2026-11-01 --prices prices/bigmodel.yaml",
		Args:    positional(),
		RunE: func(*cobra.Command, []string) error {
			return errors.New("reprice is not built yet, and nothing was changed: put charges right one by one, with `tollgate refund` and `tollgate adjust`")
		},
	}
	c.Flags().String("since", "", "charges from this date or RFC 3339 time on")
	c.Flags().String("prices", "", "the price table that is right, `FILE`")
	return c
}
