package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
)

func (p *program) rebuild() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Restore an empty Redis from the archive",
		Long: `Restore the ledger into an empty Redis from its archive (archive.url): accounts,
wallets, packs, keys with their limits and counters, under the same identity and
with the same journal ids; then audit it.

It deletes nothing. A Redis that is damaged is emptied by you, once the proxies
are stopped and you have a copy, or left alone and ledger.redis pointed at
another. A rebuild that was broken off is taken up again by the same command.

What was booked after the last archived entry, and the calls that were in flight,
are in the proxies' settlement logs: a proxy that starts replays its own, and
` + "`tollgate log replay DIR`" + ` that of one that will not come back.`,
		Example: "  tollgate rebuild -c tollgate.yaml",
		Args:    positional(),
		RunE:    func(c *cobra.Command, _ []string) error { return p.runRebuild(c.Context()) },
	}
}

func (p *program) runRebuild(ctx context.Context) error {
	cfg, err := config.Load(p.configPath, p.getenv)
	if err != nil {
		return err
	}
	if cfg.Ledger.Embedded() {
		return errors.New("ledger.redis is embedded: that ledger ends with its process, and there is nothing to rebuild")
	}
	log, err := newLogger(p.stderr, p.getenv("TOLLGATE_LOG"))
	if err != nil {
		return err
	}
	report, err := ledger.Rebuild(ctx, ledger.Options{
		URL: cfg.Ledger.Redis, Shards: cfg.Ledger.Shards, Currency: cfg.Pricing.Currency, Timezone: cfg.Policy.Timezone,
		Archive: cfg.Archive.URL, Logger: log,
	})
	if errors.Is(err, ledger.ErrUnavailable) {
		return whereToLook(err, cfg.Ledger.Redis)
	}
	if err != nil {
		return err
	}
	return p.printFound(report.Audit.OK, report, func() string { return rebuildText(report, cfg.Policy.Timezone) })
}

func rebuildText(r *ledger.RebuildReport, zone *time.Location) string {
	last := "-"
	if r.Last != nil {
		last = moment(*r.Last, zone)
	}
	return facts(
		"ledger", fmt.Sprintf("%s, %s, %s", r.Ledger, plural(int64(r.Shards), "shard"), r.Currency),
		"restored", plural(r.Entries, "journal entry")+" in "+r.Took.Round(time.Millisecond).String(),
		"last archived", last,
	) + auditText(r.Audit) + `
In doubt is what was booked later than that, and every call that was in flight: holds are not archived.
Start the proxies, each with its own ledger.log: they book what is missing. For a proxy that will not
come back: tollgate log replay DIR. Calls that are in no log cost nothing.
`
}
