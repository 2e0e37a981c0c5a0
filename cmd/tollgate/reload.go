package main

import (
	"context"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/proxy"
)

// A reloader puts new upstreams and prices in force at a SIGHUP, all or nothing.
type reloader struct {
	program *program
	running *config.Config
	version string // of the prices in force
	proxy   *proxy.Proxy
	log     *zap.Logger
}

// run reloads at every signal until ctx is done.
func (r *reloader) run(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			if err := r.reload(); err != nil {
				r.log.Error("reload refused: nothing was changed", zap.Error(err))
			}
		}
	}
}

func (r *reloader) reload() error {
	next, err := config.Load(r.program.configPath, r.program.getenv)
	if err != nil {
		return err
	}
	live, restart := r.running.Changes(next)
	if err := checkUpstreams(next); err != nil {
		return err
	}
	if next.Pricing.Currency == "" {
		return config.Problems{{File: next.File, Path: "pricing", Message: "is missing: want the ledger's currency and the price tables"}}
	}
	if next.Pricing.Currency != r.running.Pricing.Currency {
		return fmt.Errorf("pricing.currency is %s and cannot become %s: the ledger's balances are in it", r.running.Pricing.Currency, next.Pricing.Currency)
	}
	// Prices are read by the settings in force: a new time zone waits for the restart.
	merged := r.running.WithLive(next)
	book, err := openBook(merged)
	if err != nil {
		return err
	}
	if err := r.proxy.Reload(book, upstreams(merged)); err != nil {
		return err
	}
	if book.Version() != r.version {
		live = append(live, fmt.Sprintf("prices %s → %s", r.version, book.Version()))
	}
	r.running, r.version = merged, book.Version()
	announce(r.log, next)
	warnOfCalls(r.log, merged, book)
	r.log.Info("reloaded", zap.Strings("changed", live))
	if len(restart) > 0 {
		r.log.Warn("these settings differ from those in force and need a restart", zap.Strings("settings", restart))
	}
	return nil
}
