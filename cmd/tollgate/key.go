package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
)

func (p *program) key() *cobra.Command {
	return asGroup(&cobra.Command{
		Use:     "key",
		Short:   "API keys of an account, with their own limits",
		Example: "  tollgate key create acme --name laptop --spend-daily 5\n  tollgate key list acme\n  tollgate key revoke KEY",
	}, p.keyCreate(), p.keyList(), p.keyRevoke())
}

func (p *program) keyCreate() *cobra.Command {
	var key ledger.NewKey
	var expires string
	c := &cobra.Command{
		Use:   "create ACCOUNT",
		Short: "Create a key; its secret is shown once",
		Long: `Create an API key. Only its hash is stored: the secret is printed once.

Without a flag there is no such limit. Spend limits are in cash; what packs pay
does not count. Days and months are those of policy.timezone, and a bare date in
--expires means the end of that day there.`,
		Example: "  tollgate key create acme --name laptop\n  tollgate key create acme --models 'glm-4*,embedding-3' --spend-daily 5 --rpm 60 --expires 2036-12-31",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkLimits(c.Flags()); err != nil {
				return err
			}
			if err := wrongArgument(key.Check()); err != nil {
				return err
			}
			return p.operate(c.Context(), func(ctx context.Context, o *operator) (err error) {
				if key.Limits.ExpiresAt, err = expiryOf(expires, o.zone); err != nil {
					return err
				}
				created, secret, err := o.CreateKey(ctx, args[0], key)
				if err != nil {
					return noAccount(err, args[0])
				}
				p.warnOfModels(o, created.Limits.Models)
				done := fmt.Sprintf("key %s is made (if its secret is nowhere: `tollgate key revoke %s`)", created.ID, created.ID)
				return p.printDone(done, ledger.CreatedKey{Key: created, Secret: secret}, func() string {
					return fmt.Sprintf("key %s of %s\nsecret, shown this once: %s\nlimits: %s\n", created.ID, created.Account, secret, limitsText(&created.Limits, o)) + whereTo(o.cfg)
				})
			})
		},
	}
	f, l := c.Flags(), &key.Limits
	f.StringVar(&key.Name, "name", "", "a name, for you")
	f.StringSliceVar(&l.Models, "models", nil, "models it may use: names or patterns, comma separated or repeated")
	f.StringSliceVar(&l.Endpoints, "endpoints", nil, "endpoints it may use: "+strings.Join(ledger.EndpointNames(), ", "))
	f.StringSliceVar(&l.Networks, "networks", nil, "where it may be used from: addresses or CIDR, such as 10.0.0.0/8")
	f.StringVar(&expires, "expires", "", "a date (its end) or an RFC 3339 time")
	f.Var(amountValue{&l.SpendTotal}, "spend-total", "cash it may spend in all")
	f.Var(amountValue{&l.SpendDaily}, "spend-daily", "cash it may spend a day")
	f.Var(amountValue{&l.SpendMonthly}, "spend-monthly", "cash it may spend a month")
	f.Int64Var(&l.Tokens, "tokens", 0, "tokens it may use in all, paid by cash or pack")
	f.Int64Var(&l.RPM, "rpm", 0, "requests a minute")
	f.Int64Var(&l.TPM, "tpm", 0, "tokens a minute")
	f.Int64Var(&l.Parallel, "parallel", 0, "requests in flight at once")
	f.BoolVar(&l.ReceiptInBody, "receipt-in-body", false, "add usage.cost to its answers")
	return c
}

// whereTo says where clients find the proxy, if the configuration is its own.
func whereTo(cfg *config.Config) string {
	if cfg.File == "" {
		return ""
	}
	return fmt.Sprintf("point an SDK at it: base_url http://%s/v1\n", reachable(cfg.Listen))
}

// checkLimits refuses a limit of nothing: in the books 0 is no limit at all,
// which is the opposite of what was meant.
func checkLimits(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		isNumber := f.Value.Type() == "int64" || f.Value.Type() == "amount"
		if isNumber && (value == "" || value == "0" || strings.HasPrefix(value, "-")) {
			err = usagef("--%s: want more than 0; a key that may do nothing is a revoked one", f.Name)
		}
	})
	return err
}

func (p *program) keyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list ACCOUNT",
		Short:   "List an account's keys, their limits and use",
		Example: "  tollgate key list acme\n  tollgate key list acme --json | jq '.[] | {id, use}'",
		Args:    positional("ACCOUNT"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				keys, err := o.Keys(ctx, args[0])
				if err != nil {
					return noAccount(err, args[0])
				}
				return p.print(keys, func() string { return keyTable(keys, args[0], o) })
			})
		},
	}
}

func keyTable(keys []*ledger.Key, account string, o *operator) string {
	if len(keys) == 0 {
		return fmt.Sprintf("%s has no keys: create one with `tollgate key create %s`\n", account, account)
	}
	t := newTable("KEY", "NAME", "STATUS", ">REQUESTS", ">SPENT", ">TODAY", ">TOKENS", "LIMITS", "CREATED")
	for _, k := range keys {
		t.add(k.ID, orDash(k.Name), k.Status, count(k.Use.Requests), k.Use.SpendTotal.String(), k.Use.SpendDaily.String(),
			count(k.Use.Tokens), limitsText(&k.Limits, o), moment(k.CreatedAt, o.zone))
	}
	return t.String()
}

// limitsText is a key's limits in one line.
func limitsText(l *ledger.KeyLimits, o *operator) string {
	var words []string
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(len(l.Models) > 0, "models %s", strings.Join(l.Models, " "))
	add(len(l.Endpoints) > 0, "endpoints %s", strings.Join(l.Endpoints, " "))
	add(len(l.Networks) > 0, "from %s", strings.Join(l.Networks, " "))
	add(l.SpendTotal != 0, "%s in all", o.money(l.SpendTotal))
	add(l.SpendDaily != 0, "%s a day", o.money(l.SpendDaily))
	add(l.SpendMonthly != 0, "%s a month", o.money(l.SpendMonthly))
	add(l.Tokens != 0, "%s in all", plural(l.Tokens, "token"))
	add(l.RPM != 0, "%s requests/min", count(l.RPM))
	add(l.TPM != 0, "%s tokens/min", count(l.TPM))
	add(l.Parallel != 0, "%s at once", count(l.Parallel))
	add(l.ExpiresAt != nil, "until %s", momentOrNever(l.ExpiresAt, o.zone))
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

func (p *program) keyRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke KEY",
		Short:   "Revoke a key, at once and for good",
		Long:    "Revoke a key by its id (see key list). Calls in flight end and are charged; new ones are refused with invalid_api_key.",
		Example: "  tollgate key revoke KEY",
		Args:    positional("KEY"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), func(ctx context.Context, o *operator) error {
				key, err := o.findKey(ctx, args[0])
				if err != nil {
					return err
				}
				if err := o.RevokeKey(ctx, key.Account, key.ID); err != nil {
					return err
				}
				if key, err = o.findKey(ctx, key.ID); err != nil {
					return err
				}
				return p.print(key, func() string { return fmt.Sprintf("key %s of %s is revoked\n", key.ID, key.Account) })
			})
		},
	}
}

func (o *operator) findKey(ctx context.Context, id string) (*ledger.Key, error) {
	for _, word := range strings.Fields(id) { // pasted with a blank, or as "Bearer tg-…": no secret is repeated
		if secret, isSecret := ledger.ParseCredential(word); isSecret {
			return nil, usagef("that is a secret, not a key's id, which is %s", secret.KeyID())
		}
	}
	key, err := o.FindKey(ctx, id)
	return key, hint(err, ledger.ErrNotFound, "see `tollgate key list ACCOUNT` for the ids")
}
