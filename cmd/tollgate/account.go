package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/ledger"
)

func (p *program) account() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:     "account",
		Short:   "Accounts: who pays",
		Long:    "An account owns two wallets (recharge: paid in, bonus: given), packs and keys.",
		Example: "  tollgate account create acme\n  tollgate account show acme",
	}, p.accountCreate(), p.accountList(), p.accountShow(), p.accountSet(), p.accountSuspend(), p.accountResume())
}

func (p *program) accountCreate() *cobra.Command {
	var options ledger.AccountOptions
	var split string
	c := &cobra.Command{
		Use:   "create ID",
		Short: "Create an account",
		Long: `Create an account with empty wallets. A repeat with the same settings changes nothing.

--split says how a fee falls on the two wallets: proportional (to their balances,
the default), equal, bonus_first or recharge_first. A wallet that runs short
spills to the other. --overdraft is how far below zero admission may go.

In a Redis without a ledger this makes one, in the currency of the configuration
or of TOLLGATE_CURRENCY (default CNY).`,
		Example: "  tollgate account create acme\n  tollgate account create acme --split bonus_first --overdraft 10",
		Args:    positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			options.Split = ledger.Split(split)
			if err := wrongArgument(options.Check()); err != nil {
				return err
			}
			return p.operateOn(c.Context(), p.openOrCreate, func(ctx context.Context, o *operator) error {
				a, err := o.CreateAccount(ctx, args[0], options)
				if err != nil {
					return hint(err, ledger.ErrConflict, "choose another ID, or change it by `tollgate account set %s`", args[0])
				}
				return p.print(a, func() string {
					return fmt.Sprintf("account %s is ready\nnow put money in: tollgate topup %s 50\nand create a key: tollgate key create %s\n", a.ID, a.ID, a.ID)
				})
			})
		},
	}
	c.Flags().StringVar(&split, "split", "", "how a fee falls on the wallets: proportional, equal, bonus_first, recharge_first (default proportional)")
	c.Flags().Var(amountValue{&options.Overdraft}, "overdraft", "how far below zero admission may go")
	return c
}

func (p *program) accountList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all accounts",
		Example: "  tollgate account list\n  tollgate account list --json | jq -r '.[].id'",
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				accounts, err := o.Accounts(ctx, ledger.AccountQuery{})
				if err != nil {
					return err
				}
				return p.print(accounts, func() string { return accountTable(accounts, o) })
			})
		},
	}
}

func accountTable(accounts []*ledger.Account, o *operator) string {
	if len(accounts) == 0 {
		return "no accounts yet: create one with `tollgate account create acme`\n"
	}
	t := newTable("ACCOUNT", "STATUS", ">RECHARGE", ">BONUS", ">HELD", "CURRENCY", ">PACKS", "SPLIT")
	for _, a := range accounts {
		t.add(a.ID, a.Status, a.Wallets[ledger.Recharge].Balance.String(), a.Wallets[ledger.Bonus].Balance.String(),
			a.Held.String(), orDash(o.Currency()), count(int64(len(a.Packs))), string(a.Split))
	}
	return t.String()
}

func (p *program) accountShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show an account: wallets, packs, what is held",
		Example: "  tollgate account show acme\n  tollgate account show acme --json | jq -r .wallets.recharge.free",
		Args:    positional("ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				a, err := o.Account(ctx, args[0])
				if err != nil {
					return noAccount(err, args[0])
				}
				return p.print(a, func() string { return accountText(a, o) })
			})
		},
	}
}

func accountText(a *ledger.Account, o *operator) string {
	text := facts(
		"account", a.ID,
		"status", a.Status,
		"split", string(a.Split),
		"held", o.money(a.Held),
		"overdraft", o.money(a.Overdraft),
		"created", moment(a.CreatedAt, o.zone),
	)
	wallets := newTable("WALLET", ">BALANCE", ">FREE", "CURRENCY")
	for _, w := range []ledger.Wallet{ledger.Recharge, ledger.Bonus} {
		wallets.add(string(w), a.Wallets[w].Balance.String(), a.Wallets[w].Free.String(), orDash(o.Currency()))
	}
	text += "\n" + wallets.String()
	if len(a.Packs) > 0 {
		text += "\n" + packTable(a.Packs, o)
	}
	return text
}

func (p *program) accountSuspend() *cobra.Command {
	return p.statusVerb(&cobra.Command{
		Use:     "suspend ID",
		Short:   "Suspend an account: its keys are refused at once",
		Long:    "Suspend an account. Calls in flight end and are charged; new ones are refused with account_suspended.",
		Example: "  tollgate account suspend acme --reason 'invoice 81 is overdue'",
	}, (*operator).SuspendAccount, "account %[1]s is suspended\nlift it with: tollgate account resume %[1]s\n")
}

func (p *program) accountResume() *cobra.Command {
	return p.statusVerb(&cobra.Command{
		Use:     "resume ID",
		Short:   "Resume a suspended account",
		Example: "  tollgate account resume acme --reason 'invoice 81 is paid'",
	}, (*operator).ResumeAccount, "account %s is active\n")
}

// statusVerb makes c a verb that sets an account's status, and says so in a sentence.
func (p *program) statusVerb(c *cobra.Command, set func(o *operator, ctx context.Context, id, reason string) error, sentence string) *cobra.Command {
	var reason string
	c.Args = positional("ID")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := wrongArgument(ledger.CheckReason(reason)); err != nil {
			return err
		}
		return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
			if err := set(o, ctx, args[0], reason); err != nil {
				return noAccount(err, args[0])
			}
			a, err := o.Account(ctx, args[0])
			if err != nil {
				return err
			}
			return p.print(a, func() string { return fmt.Sprintf(sentence, a.ID) })
		})
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return c
}
