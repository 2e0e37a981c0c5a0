package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
)

// checked is what check found. OK is false if anything is wrong; Warnings are
// what is allowed but unwise.
type checked struct {
	OK        bool              `json:"ok"`
	File      string            `json:"file,omitempty"`
	Problems  []config.Problem  `json:"problems"`
	Warnings  []string          `json:"warnings"`
	Pending   []string          `json:"pending"`
	Upstreams []checkedUpstream `json:"upstreams"`
	Prices    *checkedPrices    `json:"prices"`
	Redis     checkedRedis      `json:"redis"`
}

type checkedUpstream struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	BaseURL string   `json:"base_url"`
	Models  []string `json:"models"`
	Used    bool     `json:"used"` // false: its kind is not built yet
}

type checkedPrices struct {
	Version  string   `json:"version"`
	Currency string   `json:"currency"`
	Files    []string `json:"files"`
	Models   int      `json:"models"` // priced by their exact names
}

// checkedRedis is where the ledger is and what it says of itself.
type checkedRedis struct {
	URL    string         `json:"url,omitempty"`
	Server *ledger.Server `json:"server"`
	Error  string         `json:"error,omitempty"`
}

func (p *program) check() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and prices, and say what the ledger's server is",
		Long: `Check the configuration and its price tables, all errors at once, and ask the
ledger's Redis what it is: version, persistence, memory policy, cluster. Look
whether the archive is there and the ledger's, and whether the directory of the
settlement logs can be written; nothing is made or left behind. Exit code 1 if
something is wrong or Redis cannot be reached.`,
		Example: "  tollgate check -c tollgate.yaml\n  tollgate check -c tollgate.yaml --json | jq .redis",
		Args:    positional(),
		RunE: func(c *cobra.Command, _ []string) error {
			result := p.runCheck(c.Context())
			return p.printFound(result.OK, result, func() string { return checkText(result) })
		},
	}
}

func (p *program) runCheck(ctx context.Context) *checked {
	r := &checked{Problems: []config.Problem{}, Warnings: []string{}, Pending: []string{}, Upstreams: []checkedUpstream{}}
	cfg, err := config.Load(p.configPath, p.getenv)
	if err != nil {
		r.fail(err)
		r.failPrices(cfg)
		return r
	}
	r.File = cfg.File
	r.Warnings = append(r.Warnings, cfg.Warnings...)
	r.Pending = append(r.Pending, cfg.Pending()...)
	r.checkUpstreams(cfg)
	r.checkPrices(cfg)
	r.checkLedger(ctx, cfg)
	r.OK = len(r.Problems) == 0 && r.Redis.Error == ""
	return r
}

// failPrices looks for what is wrong with the price tables of a configuration that is
// wrong itself, unless it is what they are read by that is.
func (r *checked) failPrices(cfg *config.Config) {
	if cfg == nil || len(cfg.Pricing.Files) == 0 || slices.ContainsFunc(r.Problems, func(p config.Problem) bool {
		return p.Path == "" || strings.HasPrefix(p.Path, "pricing") || p.Path == "policy.timezone"
	}) {
		return
	}
	if _, err := openBook(cfg); err != nil {
		r.fail(err)
	}
}

// fail takes an error apart, so that each of its parts is a problem.
func (r *checked) fail(err error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		r.Problems = append(r.Problems, problems...)
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // the outermost alone
		for _, e := range joined.Unwrap() {
			r.fail(e)
		}
		return
	}
	r.Problems = append(r.Problems, config.Problem{Message: err.Error()})
}

func (r *checked) checkUpstreams(cfg *config.Config) {
	for _, u := range cfg.Upstreams {
		c := checkedUpstream{Name: u.Name, Kind: u.Kind, BaseURL: u.BaseURL, Used: !u.Pending()}
		for _, m := range u.Models {
			name := m.Pattern
			if m.Rename != "" {
				name += " → " + m.Rename
			}
			c.Models = append(c.Models, name)
		}
		r.Upstreams = append(r.Upstreams, c)
	}
	r.Warnings = append(r.Warnings, upstreamWarnings(cfg)...)
	if cfg.File != "" && len(upstreams(cfg)) == 0 {
		r.Warnings = append(r.Warnings, "there is no upstream that can be used: `tollgate serve` needs one")
	}
}

func (r *checked) checkPrices(cfg *config.Config) {
	if len(cfg.Pricing.Files) == 0 {
		if cfg.File != "" {
			r.Warnings = append(r.Warnings, "pricing.files names no price table: `tollgate serve` needs one")
		}
		return
	}
	book, err := openBook(cfg)
	if err != nil {
		r.fail(err)
		return
	}
	r.Warnings = append(r.Warnings, priceWarnings(cfg, book)...)
	r.Prices = &checkedPrices{Version: book.Version(), Currency: book.Currency(), Files: cfg.Pricing.Files, Models: len(book.Models())}
}

// checkLedger looks at Redis, and at the places that the ledger needs beside it.
func (r *checked) checkLedger(ctx context.Context, cfg *config.Config) {
	r.Redis.URL = config.Redact(cfg.Ledger.Redis)
	if cfg.Ledger.Embedded() {
		r.Warnings = append(r.Warnings, "ledger.redis is embedded: the books live in the process and end with it; this is for trying out")
		return
	}
	// It is opened as a verb opens it, and nothing is changed there.
	l, err := openLedger(ctx, cfg, ledger.Options{ArchiveReadOnly: true, Existing: true})
	r.checkRedis(ctx, cfg, l, err)
	r.checkPlaces(ctx, cfg, l)
	if l != nil {
		_ = l.Close() // nothing was changed
	}
}

// checkRedis says what the ledger's Redis is, if it could be opened.
func (r *checked) checkRedis(ctx context.Context, cfg *config.Config, l *ledger.Ledger, err error) {
	var server *ledger.Server
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		r.Warnings = append(r.Warnings, "there is no ledger in this Redis yet: the first `tollgate serve` or `tollgate account create` makes one")
		server, err = ledger.DescribeRedis(ctx, cfg.Ledger.Redis)
	case err == nil:
		server, err = l.Describe(ctx)
	}
	if err != nil {
		r.Redis.Error = err.Error()
		return
	}
	r.Redis.Server = server
	r.Warnings = append(r.Warnings, server.Warnings...)
}

func checkText(r *checked) string {
	var b strings.Builder
	section := func(title, body string) {
		if body != "" {
			b.WriteString(title + "\n" + indent(body) + "\n")
		}
	}
	problems := make([]string, len(r.Problems))
	for i, p := range r.Problems {
		problems[i] = p.Error()
	}
	if r.Redis.Error != "" {
		problems = append(problems, r.Redis.Error)
	}
	section("wrong", strings.Join(problems, "\n"))
	section("warnings", strings.Join(r.Warnings, "\n"))
	section("not built yet", strings.Join(r.Pending, "\n"))
	section("upstreams", upstreamTable(r.Upstreams))
	if r.Prices != nil {
		section("prices", facts("version", r.Prices.Version, "currency", r.Prices.Currency,
			"models", count(int64(r.Prices.Models))+" by name, others by pattern", "files", strings.Join(r.Prices.Files, ", ")))
	}
	if r.Redis.Server != nil {
		section("redis", redisText(r.Redis.URL, r.Redis.Server))
	}
	name := r.File
	if name == "" {
		name = "the environment"
	}
	switch {
	case !r.OK:
		b.WriteString(plural(int64(len(problems)), "thing") + " to put right\n")
	case len(r.Warnings) > 0:
		b.WriteString("nothing is wrong with " + name + " (" + plural(int64(len(r.Warnings)), "warning") + ")\n")
	default:
		b.WriteString("all is right with " + name + "\n")
	}
	return b.String()
}

func upstreamTable(list []checkedUpstream) string {
	t := newTable("NAME", "KIND", "MODELS", "BASE URL", "")
	for _, u := range list {
		note := ""
		if !u.Used {
			note = "not used"
		}
		t.add(u.Name, u.Kind, strings.Join(u.Models, ", "), u.BaseURL, note)
	}
	return t.String()
}

func redisText(url string, s *ledger.Server) string {
	persistence := "none: a restart loses the books"
	if s.AOF {
		persistence = "AOF, fsync " + s.Fsync
	}
	return facts(
		"url", url,
		"version", s.Version+", "+s.Mode,
		"persistence", persistence,
		"memory policy", s.MaxMemoryPolicy,
		"latency", s.Latency.Round(10*time.Microsecond).String(),
		"ledger", ledgerText(s),
	)
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

func ledgerText(s *ledger.Server) string {
	if s.Ledger == "" {
		return "none yet"
	}
	return fmt.Sprintf("%s, %d shards, %s, %s", s.Ledger, s.Shards, s.Currency, plural(s.Entries, "journal entry"))
}
