package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) pack() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:     "pack",
		Short:   "Packs: prepaid quantities of tokens, images, calls, …",
		Long:    "A pack is a prepaid quantity of one unit, for certain models, with a validity. It pays before the wallets.",
		Example: "  tollgate pack grant acme --unit token --quantity 1000000 --models 'glm-4*'\n  tollgate pack list acme",
	}, p.packGrant(), p.packList(), p.packRevoke())
}

func (p *program) packGrant() *cobra.Command {
	var grant ledger.Grant
	var expires string
	c := &cobra.Command{
		Use:   "grant ACCOUNT --quantity N",
		Short: "Grant a pack to an account",
		Long: `Grant a pack. --unit is token, or image, call, search, page, character, …; its
quantity is raw units, 1:1. --models are names or patterns (quote them); without
it the pack is for all models.

Of several packs the lower --priority pays first, then the one that expires
sooner. --order after_balance makes it pay after the wallets. A bare date in
--expires means the end of that day in policy.timezone.`,
		Example: "  tollgate pack grant acme --unit token --quantity 1000000 --models 'glm-4*' --expires 2036-12-31\n  tollgate pack grant acme --unit image --quantity 100 --models 'cogview-*' --ref order-7",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			grant.Account = args[0]
			if grant.Quantity <= 0 {
				return usagef("--quantity is %d: want the number of units, such as --quantity 1000000", grant.Quantity)
			}
			if err := wrongArgument(grant.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) (err error) {
				if grant.ExpiresAt, err = expiryOf(expires, o.zone); err != nil {
					return err
				}
				pack, err := o.GrantPack(ctx, grant)
				if err != nil {
					return hint(unsure(noAccount(err, args[0]), args[0], grant.Ref), ledger.ErrConflict, "use another --ref for another pack")
				}
				p.warnOfModels(o, pack.Models)
				return p.printDone(fmt.Sprintf("pack %s is granted", pack.ID), pack, func() string {
					return fmt.Sprintf("pack %s granted to %s: %s %s, for %s models, expires %s\n",
						pack.ID, args[0], count(pack.Quantity), pack.Unit, orAll(pack.Models), momentOrNever(pack.ExpiresAt, o.zone))
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&grant.Unit, "unit", "token", "what it is counted in: token, image, call, search, …")
	f.Int64Var(&grant.Quantity, "quantity", 0, "number of units")
	f.StringSliceVar(&grant.Models, "models", nil, "models it pays for: names or patterns, comma separated or repeated (default all)")
	f.StringVar(&expires, "expires", "", "a date (its end) or an RFC 3339 time (default never)")
	f.Int64Var(&grant.Priority, "priority", ledger.DefaultPriority, "lower pays first")
	f.StringVar(&grant.Order, "order", "before_balance", "before_balance or after_balance")
	f.StringVar(&grant.Ref, "ref", "", "reference; repeated, the pack is granted once")
	return c
}

func (p *program) packList() *cobra.Command {
	return &cobra.Command{
		Use:     "list ACCOUNT",
		Short:   "List an account's packs",
		Example: "  tollgate pack list acme\n  tollgate pack list acme --json | jq '.[] | {id, free}'",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				packs, err := o.Packs(ctx, args[0])
				if err != nil {
					return noAccount(err, args[0])
				}
				return p.print(packs, func() string {
					if len(packs) == 0 {
						return fmt.Sprintf("%s has no packs: grant one with `tollgate pack grant %s --quantity 1000000`\n", args[0], args[0])
					}
					return packTable(packs, o)
				})
			})
		},
	}
}

func packTable(packs []ledger.Pack, o *operator) string {
	t := newTable("PACK", "UNIT", "MODELS", ">QUANTITY", ">REMAINING", ">FREE", "EXPIRES", "ORDER", "STATUS")
	for i := range packs {
		k := &packs[i]
		t.add(k.ID, k.Unit, orAll(k.Models), count(k.Quantity), count(k.Remaining), count(k.Free), momentOrNever(k.ExpiresAt, o.zone), k.Order, k.Status)
	}
	return t.String()
}

func (p *program) packRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     "revoke ACCOUNT PACK",
		Short:   "Withdraw what is left of a pack",
		Long:    "Withdraw what is left of a pack. What it has paid stays paid; calls that hold some of it end with it.",
		Example: "  tollgate pack revoke acme p1 --reason 'order 7 was returned'",
		Args:    positional("ACCOUNT", "PACK"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := wrongArgument(ledger.CheckReason(reason)); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				entry, err := o.RevokePack(ctx, args[0], args[1], reason)
				if err != nil {
					return hint(err, ledger.ErrNotFound, "see `tollgate pack list %s`", args[0])
				}
				return p.print(entry, func() string {
					if entry.Quantity == nil {
						return fmt.Sprintf("pack %s of %s is revoked\n", args[1], args[0])
					}
					return fmt.Sprintf("pack %s of %s is revoked: %s units withdrawn\n", args[1], args[0], count(max(*entry.Quantity, -*entry.Quantity)))
				})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return c
}
