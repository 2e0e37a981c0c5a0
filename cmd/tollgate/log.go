package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/proxy"
)

func (p *program) log() *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "Look after the settlement log of a dead proxy",
		Example: "  tollgate log replay /mnt/old-proxy/data/settlements",
	}
	asGroup(c, p.logReplay())
	return c
}

func (p *program) logReplay() *cobra.Command {
	return &cobra.Command{
		Use:   "replay DIR",
		Short: "Book what the settlement log of a dead proxy has and the ledger has not",
		Long: `Book what the settlement log of a dead proxy has and the ledger has not. A
proxy that is started again does this by itself: the verb is for one that will
not come back. DIR is one log, or the directory of several (ledger.log); one that
a running proxy has is left alone, and refused if there is no other.

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
	printErr := p.print(done, func() string { return describeReplay(done) })
	switch {
	case err != nil:
		return err
	case printErr == nil && len(done.Doubts) > 0:
		return errFailed
	}
	return printErr
}

func describeReplay(r *ledger.Replayed) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s looked at, %d booked already\n", plural(int64(r.Records), "record"), r.There)
	fmt.Fprintf(&text, "%d settled, %d released, %d charged as abandoned, %d kept\n", r.Settled, r.Released, r.Abandoned, r.Kept)
	for _, d := range r.Doubts {
		fmt.Fprintf(&text, "NOT BOOKED: %s of %s: %s\n", d.RequestID, d.Account, d.Why)
	}
	return text.String()
}

// serverOptions are what only a server's ledger has: the settlement log and who
// hears of its calls. An embedded ledger has no log: it would outlive the books.
func serverOptions(cfg *config.Config, metrics *proxy.Metrics, archive *proxy.ArchiveMetrics, log *zap.Logger) ledger.Options {
	o := ledger.Options{Observe: metrics.ObserveLedger, Logger: log}
	if !cfg.Ledger.Embedded() {
		o.Log, o.Durability = cfg.Ledger.Log, cfg.Ledger.Durability
		o.ArchiveInterval, o.ArchiveKeep, o.ObserveArchive = cfg.Archive.Interval, cfg.Archive.Keep, archive.Observe
	}
	return o
}

// closeLedger closes the ledger of a server, and says what is left in its log.
func closeLedger(l *ledger.Ledger, log *zap.Logger) {
	if state, logged := l.LogState(); logged && state.Pending > 0 {
		log.Warn("settlements are in the settlement log and not yet in the ledger: they are booked at the next start, or by `tollgate log replay`",
			zap.Int("pending", state.Pending))
	}
	if err := l.Close(); err != nil {
		log.Error("the ledger was not closed well", zap.Error(err))
	}
}

// watchLog shows the state of the settlement log as metrics.
func watchLog(to prometheus.Registerer, l *ledger.Ledger) {
	if _, logged := l.LogState(); !logged {
		return
	}
	gauge := func(name, help string, value func(ledger.LogState) float64) {
		to.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tollgate", Subsystem: "log", Name: name, Help: help},
			func() float64 { state, _ := l.LogState(); return value(state) }))
	}
	gauge("bytes", "Size of the settlement log.", func(s ledger.LogState) float64 { return float64(s.Bytes) })
	gauge("bound_bytes", "Size at which the settlement log stops admission.", func(s ledger.LogState) float64 { return float64(s.Bound) })
	gauge("pending", "Calls that have ended and are not yet in the ledger.", func(s ledger.LogState) float64 { return float64(s.Pending) })
	gauge("doubts", "Records that replay could not book: see doubts.jsonl beside the log.", func(s ledger.LogState) float64 { return float64(s.Doubts) })
}
