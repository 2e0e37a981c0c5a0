package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) journal() *cobra.Command {
	var query ledger.JournalQuery
	var since, until string
	c := &cobra.Command{
		Use:   "journal ACCOUNT",
		Short: "Print an account's journal, oldest first",
		Long: `Print everything that changed an account's balances, oldest first, all of it
unless told otherwise. --since and --until go by the time of booking; a bare date
is a day in policy.timezone: from its start in --since, to its end in --until.

Types: ` + strings.Join(ledger.EntryTypes(), " ") + `.
With --json the array is written as it is read, one entry a line.`,
		Example: "  tollgate journal acme --type charge --since 2026-11-01 --until 2026-11-30\n  tollgate journal acme --json | jq -r '.[] | [.time, .type, .fee] | @tsv'",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("limit") && query.Limit == 0 {
				return usagef("--limit is 0: want a number of entries, or leave it out for all")
			}
			if err := wrongArgument(query.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) (err error) {
				if query.Since, query.Until, err = spanOf(since, until, o.zone); err != nil {
					return err
				}
				if p.asJSON {
					return noAccount(o.WriteJournal(ctx, args[0], query, p.stdout), args[0])
				}
				return noAccount(journalText(ctx, o, args[0], query, p.stdout), args[0])
			})
		},
	}
	f := c.Flags()
	f.StringVar(&since, "since", "", "from this date or RFC 3339 time on")
	f.StringVar(&until, "until", "", "up to the end of this date, or before this RFC 3339 time")
	f.StringSliceVar(&query.Types, "type", nil, "only entries of these types, comma separated or repeated")
	f.IntVar(&query.Limit, "limit", 0, "at most so many entries (default all)")
	return c
}

// journalText writes one line an entry; the columns are fixed, so that it can stream.
func journalText(ctx context.Context, o *operator, account string, q ledger.JournalQuery, to io.Writer) error {
	out := bufio.NewWriter(to)
	n, at := 0, "TIME ("+o.zone.String()+")" // the log's lines are in UTC
	width := max(len(at), len(time.DateTime))
	err := o.Journal(ctx, account, q, func(e *ledger.Entry) error {
		if n++; n == 1 {
			fmt.Fprintf(out, "%-10s  %-*s  %-8s  %s\n", "ENTRY", width, at, "TYPE", "WHAT")
		}
		line := fmt.Sprintf("%-10s  %-*s  %-8s  %s", e.ID, width, moment(e.Time, o.zone), e.Type, entryText(e, o))
		_, err := fmt.Fprintln(out, strings.TrimRight(line, " "))
		return err
	})
	if n == 0 && err == nil {
		fmt.Fprintf(out, "nothing in the journal of %s that fits\n", account)
	}
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	return err
}

// entryText says in one line what an entry is about.
func entryText(e *ledger.Entry, o *operator) string {
	var words []string
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(e.Model != "", "%s", e.Model)
	add(!e.Usage.IsZero(), "%s", usageText(&e.Usage))
	add(e.UsageSource != "" && e.UsageSource != "upstream", "(%s)", e.UsageSource)
	switch {
	case e.Fee == nil:
	case e.Type == ledger.TypeRefund:
		add(true, "%s given back to %s", o.money(*e.Fee), paidText(e.Paid, o.Currency()))
	default:
		add(true, "fee %s", o.money(*e.Fee))
		add(len(e.Paid) > 0, "paid by %s", paidText(e.Paid, o.Currency()))
	}
	if e.Amount != nil {
		add(true, "%s to %s", o.money(*e.Amount), e.Wallet)
	}
	if e.Quantity != nil {
		add(true, "%s units of pack %s", count(*e.Quantity), e.Pack)
	}
	add(e.Fee == nil && e.Key != "", "key %s", e.Key)
	add(e.Type == ledger.TypeAccount, "split %v, overdraft %v %s", e.Detail["split"], e.Detail["overdraft"], o.Currency())
	add(e.Reason != "", "reason: %s", e.Reason)
	add(e.Ref != "", "ref: %s", e.Ref)
	add(e.RequestID != "", "%s", e.RequestID)
	return strings.Join(words, "  ")
}
