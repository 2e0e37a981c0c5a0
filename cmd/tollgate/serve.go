package main

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/admin"
	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/proxy"
)

func (p *program) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Long: `Run the proxy until SIGTERM or SIGINT. Then it is not ready any more, takes no
new calls, lets those in flight end and settles them; a second signal cuts them,
and what was delivered is charged.

SIGHUP reloads upstreams and prices, both or neither; settings that need a
restart are named in the log. The log is JSON on stderr, one line a request.`,
		Example: "  tollgate serve -c tollgate.yaml\n  TOLLGATE_LOG=warn tollgate serve -c /etc/tollgate/tollgate.yaml",
		Args:    positional(),
		RunE:    func(c *cobra.Command, _ []string) error { return p.runServe(c.Context()) },
	}
}

func (p *program) runServe(ctx context.Context) error {
	cfg, err := config.Load(p.configPath, p.getenv)
	if err != nil {
		return err
	}
	lines, stopLog := buffered(p.stderr)
	defer stopLog()
	log, err := newLogger(lines, p.getenv("TOLLGATE_LOG"))
	if err != nil {
		return err
	}
	announce(log, cfg)
	caught, release := catchSignals(ctx, true)
	defer release()
	return p.serveConfig(caught, cfg, log)
}

// announce logs what the operator should know of the configuration.
func announce(log *zap.Logger, cfg *config.Config) {
	for _, sentence := range cfg.Warnings {
		log.Warn(sentence)
	}
	for _, sentence := range cfg.Pending() {
		log.Warn(sentence)
	}
	switch {
	case cfg.Archive.URL == "" && !cfg.Ledger.Embedded():
		log.Warn("there is no archive: all journal entries stay in Redis, a lost Redis cannot be rebuilt, and a Redis that came back without its latest entries is noticed only by a proxy that had seen them (archive.url names an archive)")
	case cfg.Archive.URL != "" && cfg.Ledger.Embedded():
		log.Warn("archive: ledger.redis is embedded and ends with this process, so nothing is archived")
	}
}

// warnOfCalls logs what calls will meet: prices that are odd or missing, and
// upstreams without a credential, or whose address seems to be half of one.
func warnOfCalls(log *zap.Logger, cfg *config.Config, book *meter.Book) {
	for _, warning := range slices.Concat(priceWarnings(cfg, book), upstreamWarnings(cfg)) {
		log.Warn(warning)
	}
}

// serveConfig is a server's life: everything that it opens is closed in
// reverse order, the ledger after the last call was settled.
func (p *program) serveConfig(caught signals, cfg *config.Config, log *zap.Logger) error {
	ctx := caught.stop
	p.paceCollector()
	if err := checkUpstreams(cfg); err != nil {
		return err
	}
	book, err := openBook(cfg)
	if err != nil {
		return err
	}
	warnOfCalls(log, cfg, book)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics := proxy.NewMetrics(registry)
	l, err := openLedger(ctx, cfg, serverOptions(cfg, metrics, newArchiveMetrics(registry), log))
	if err != nil {
		return err
	}
	defer closeLedger(l, log) // every call is settled by then, or in the settlement log
	debug.FreeOSMemory()      // what reading the log of an earlier life took: a heap that may grow would keep it
	watchReady(registry, l)
	watchLog(registry, l)
	watchTally(registry, l)
	describe(ctx, l, log)
	px, err := proxy.New(proxy.Options{
		Ledger: l, Book: book, Upstreams: upstreams(cfg), Policy: policy(cfg), Logger: log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	s := &service{log: log, proxy: px}
	office := admin.Options{Ready: s.readiness(l), Gatherer: registry, Ledger: l, Token: cfg.Admin.Token, Calls: px, Logger: log}
	if err := p.openListeners(ctx, s, cfg, office); err != nil {
		return err
	}
	r := &reloader{program: p, running: cfg, version: book.Version(), proxy: px, log: log}
	stopBackground := background(context.WithoutCancel(ctx),
		l.RunReplay,
		l.RunArchiver,
		func(ctx context.Context) { px.RunHeartbeat(ctx, beatEvery(cfg.Ledger.HoldTTL)) },
		func(ctx context.Context) { l.RunSweeper(ctx, sweepEvery(cfg.Ledger.HoldTTL)) },
		func(ctx context.Context) { p.calmMonitor(ctx, px.Busy) },
		func(ctx context.Context) { r.run(ctx, caught.reload) })
	defer stopBackground()
	err = s.run(ctx, caught.cut)
	log.Info("stopped", zap.Error(err))
	return err
}

// openListeners listens and says where.
func (p *program) openListeners(ctx context.Context, s *service, cfg *config.Config, office admin.Options) (err error) {
	if s.public, err = listen(ctx, cfg.Listen, "listen"); err != nil {
		return err
	}
	where := map[string]string{"listening": "http://" + s.public.Addr().String()}
	text := "listening on " + where["listening"] + "\n"
	if cfg.Admin.Listen != "" {
		if s.admin, err = listen(ctx, cfg.Admin.Listen, "admin.listen"); err == nil {
			s.adminHandler, err = admin.New(office)
		}
		if err != nil {
			return errors.Join(err, s.public.Close())
		}
		where["admin"] = "http://" + s.admin.Addr().String()
		text += "admin on " + where["admin"] + "\n"
	}
	return p.print(where, func() string { return text })
}

// readiness is what /readyz asks.
func (s *service) readiness(l *ledger.Ledger) func(context.Context) error {
	return func(ctx context.Context) error {
		if s.draining.Load() {
			return errors.New("draining: this process is shutting down")
		}
		return l.Ready(ctx)
	}
}

// describe logs what the ledger's server is, and what about it is unwise.
func describe(ctx context.Context, l *ledger.Ledger, log *zap.Logger) {
	server, err := l.Describe(ctx)
	if err != nil {
		log.Warn("the ledger does not say what it is", zap.Error(err))
		return
	}
	log.Info("ledger", zap.String("mode", server.Mode), zap.String("version", server.Version), zap.Bool("aof", server.AOF),
		zap.String("fsync", server.Fsync), zap.Int("shards", server.Shards), zap.String("currency", server.Currency))
	for _, warning := range server.Warnings {
		log.Warn(warning)
	}
}

// sweepEvery is often enough that an abandoned hold is not held for much
// longer than its time, and seldom enough to cost nothing.
func sweepEvery(holdTTL time.Duration) time.Duration {
	return min(max(holdTTL/10, time.Second), 15*time.Second)
}

// beatEvery is often enough that a hold is extended twice before its time is
// over, and that little is delivered beyond the last checkpoint. Calls younger
// than that have no heartbeat.
func beatEvery(holdTTL time.Duration) time.Duration {
	return min(max(holdTTL/3, 100*time.Millisecond), 5*time.Second)
}

// background runs loops until stop is called, which waits for their end.
func background(ctx context.Context, loops ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	for _, loop := range loops {
		go func() { loop(ctx); done <- struct{}{} }()
	}
	return func() {
		cancel()
		for range loops {
			<-done
		}
	}
}

// checkUpstreams refuses a configuration by which every call would be refused.
func checkUpstreams(cfg *config.Config) error {
	if len(upstreams(cfg)) > 0 {
		return nil
	}
	return config.Problems{{File: cfg.File, Path: "upstreams", Message: "there is none that can be used, so every call would be refused: name one with name, base_url, api_key and models (see examples/minimal.yaml)"}}
}

// upstreams are those of the configuration that can be used today.
func upstreams(cfg *config.Config) []proxy.Upstream {
	var list []proxy.Upstream
	for _, u := range cfg.Upstreams {
		if u.Pending() {
			continue
		}
		rules := make([]proxy.ModelRule, len(u.Models))
		for i, r := range u.Models {
			rules[i] = proxy.ModelRule(r)
		}
		list = append(list, proxy.Upstream{
			Name: u.Name, Kind: u.Kind, BaseURL: u.BaseURL, APIKey: u.APIKey, Models: rules,
			Priority: u.Priority, Weight: u.Weight, Timeout: u.Timeout, IgnoresMaxCompletionTokens: u.IgnoresMaxCompletionTokens,
			SharedObjects: u.SharedObjects,
		})
	}
	return list
}

func policy(cfg *config.Config) proxy.Policy {
	return proxy.Policy{
		QuotaStatus: cfg.Policy.QuotaStatus, OnDisconnect: cfg.Policy.OnDisconnect, Drain: cfg.Policy.Drain,
		DefaultMaxOutput: cfg.Policy.DefaultMaxOutput, MaxBody: cfg.Policy.MaxBody, MaxKept: int(cfg.Policy.MaxKept), Timezone: cfg.Policy.Timezone,
		CORSOrigins: cfg.Policy.CORSOrigins,
	}
}

// serverOptions are what only a server's ledger has: the settlement log and who
// hears of its calls. An embedded ledger has no log: it would outlive the books.
func serverOptions(cfg *config.Config, metrics *proxy.Metrics, archive *archiveMetrics, log *zap.Logger) ledger.Options {
	o := ledger.Options{Observe: metrics.ObserveLedger, Logger: log}
	if !cfg.Ledger.Embedded() {
		o.Log, o.Durability = cfg.Ledger.Log, cfg.Ledger.Durability
		o.ArchiveInterval, o.ArchiveKeep, o.ObserveArchive = cfg.Archive.Interval, cfg.Archive.Keep, archive.observe
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
