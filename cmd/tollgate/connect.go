package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/tollgate/tollgate/config"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// connectTimeout bounds the way to a Redis that does not answer.
const connectTimeout = 10 * time.Second

// recoverTimeout bounds the opening of a ledger whose Redis may have to be
// recovered from the archive first: what it lacks is put back.
const recoverTimeout = 10 * time.Minute

// operator is what a verb of the operator works with.
type operator struct {
	*ledger.Ledger
	cfg  *config.Config
	zone *time.Location
}

// money is an amount in the ledger's currency.
func (o *operator) money(n meter.Nano) string { return money(n, o.Currency()) }

// operate loads the configuration, opens the ledger and lets do use it.
func (p *program) operate(ctx context.Context, do func(context.Context, *operator) error) error {
	return p.operateOn(ctx, existingLedger, do)
}

type opener func(context.Context, *config.Config, ledger.Options) (*ledger.Ledger, error)

func (p *program) operateOn(ctx context.Context, open opener, do func(context.Context, *operator) error) error {
	cfg, err := config.Load(p.configPath, p.getenv)
	if err != nil {
		return err
	}
	if cfg.Ledger.Embedded() {
		return errors.New("ledger.redis is embedded: that ledger lives inside the process that opens it, and ends with it. Use `tollgate demo` to try things out, or point ledger.redis (or TOLLGATE_REDIS) at a Redis")
	}
	l, err := open(ctx, cfg, ledger.Options{ArchiveReadOnly: true}) // a verb reads the archive, and runs no archiver
	if err != nil {
		return err
	}
	defer l.Close() // a one-shot verb has nothing left to lose
	failed := do(ctx, &operator{Ledger: l, cfg: cfg, zone: l.Timezone()})
	// What failed may have booked something all the same, and then said so.
	if err := l.ArchiveWord(ctx); err != nil && failed == nil {
		fmt.Fprintf(p.stderr, "tollgate: it is booked, but not archived yet, so a loss in Redis could still undo it: %s\n", oneLine(err))
	}
	return failed
}

// openLedger opens the configuration's ledger; o adds what only a server has.
func openLedger(ctx context.Context, cfg *config.Config, o ledger.Options) (*ledger.Ledger, error) {
	o.URL = cfg.Ledger.Redis
	o.Shards = cfg.Ledger.Shards
	o.HoldTTL, o.TaskTTL = cfg.Ledger.HoldTTL, cfg.Ledger.TaskTTL
	o.Currency = cfg.Pricing.Currency
	if cfg.File != "" { // else the ledger knows it better
		o.Timezone = cfg.Policy.Timezone
	}
	o.OnAbandoned = cfg.Policy.OnAbandoned
	timeout := connectTimeout
	switch {
	case cfg.Ledger.Embedded(): // never away, only slow on a machine that is
		timeout = recoverTimeout
	case cfg.Archive.URL != "":
		o.Archive, timeout = cfg.Archive.URL, recoverTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	l, err := ledger.Open(ctx, o)
	if errors.Is(err, ledger.ErrUnavailable) {
		return nil, whereToLook(err, o.URL)
	}
	var file *fs.PathError
	if errors.As(err, &file) {
		return nil, fmt.Errorf("%w: can this process write the directory that ledger.log names?", err)
	}
	return l, err
}

// whereToLook adds to the error of a ledger that is unavailable where it should be, and what may be wrong.
func whereToLook(err error, url string) error {
	return fmt.Errorf("%w (at %s): %s", err, config.Redact(url), whatToLookAt(err, url))
}

// whatToLookAt asks what an operator would find first, of a ledger that is unavailable.
func whatToLookAt(err error, url string) string {
	switch said := err.Error(); {
	case strings.Contains(said, "NOAUTH"), strings.Contains(said, "WRONGPASS"):
		return "is the password right? It stands in ledger.redis or TOLLGATE_REDIS, as in redis://:PASSWORD@HOST:6379/0"
	case !strings.Contains(url, "+cluster") && (strings.Contains(said, "MOVED ") || strings.Contains(said, "EXECABORT")):
		return "is that a node of a Redis Cluster? Then say redis+cluster://HOST1,HOST2"
	case strings.Contains(said, "READONLY"):
		return "is that a replica? Then name its master, or the sentinels: redis+sentinel://HOST1,HOST2/NAME"
	case strings.Contains(said, "NOPERM"):
		return "may that user do all that a ledger needs? docs/operations.md has the rule to set (Redis)"
	case strings.Contains(said, "verify certificate"):
		return "is its certificate for that host, and of an authority that this system knows? SSL_CERT_FILE names a file of others"
	case strings.Contains(said, "LOADING"):
		return "it is reading its files: wait for that, `redis-cli info persistence` says how long (loading_eta_seconds)"
	case strings.Contains(said, "has been emptied"): // it runs, and has said so
		return "if that is not so, is ledger.redis or TOLLGATE_REDIS right?"
	case errors.Is(err, ledger.ErrArchiveNotNamed):
		return "name it as archive.url in the file of -c, or start a proxy of this version, which has it, first"
	case errors.Is(err, ledger.ErrArchive):
		return "is the archive's database running, and is archive.url right?"
	case strings.HasPrefix(url, "rediss://") && errors.Is(err, context.DeadlineExceeded):
		return "is Redis running there, does it speak TLS on that port (redis:// is without), and is ledger.redis or TOLLGATE_REDIS right?"
	}
	return "is Redis running there, and is ledger.redis or TOLLGATE_REDIS right?"
}

// existingLedger opens the ledger and makes none: a verb on an empty Redis is a
// slip, or the books are gone, and an audit must not find them in order.
func existingLedger(ctx context.Context, cfg *config.Config, o ledger.Options) (*ledger.Ledger, error) {
	o.Existing = true
	l, err := openLedger(ctx, cfg, o)
	return l, hint(err, ledger.ErrNotFound, "`tollgate account create ID` makes one, or `tollgate serve -c FILE`")
}

// firstCurrency is that of a ledger that is made while nobody has said which.
const firstCurrency = "CNY"

// openOrCreate opens the ledger, and makes one where there is none even if the
// configuration does not say in which currency: the first account is the one
// thing for which that is right. One that is there is opened as other verbs open
// it: its time zone is that of who serves.
func (p *program) openOrCreate(ctx context.Context, cfg *config.Config, o ledger.Options) (*ledger.Ledger, error) {
	existing := o
	existing.Existing = true
	l, err := openLedger(ctx, cfg, existing)
	if !errors.Is(err, ledger.ErrNotFound) {
		return l, err
	}
	if cfg.Pricing.Currency != "" {
		return openLedger(ctx, cfg, o)
	}
	founding := *cfg
	founding.Pricing.Currency = firstCurrency
	if l, err = openLedger(ctx, &founding, o); err != nil {
		return nil, err
	}
	fmt.Fprintf(p.stderr, "tollgate: made a new ledger in this Redis, kept in %s for good (for another currency start from an empty Redis, with TOLLGATE_CURRENCY or -c FILE)\n", firstCurrency)
	return l, nil
}

// openBook reads the configuration's price tables.
func openBook(cfg *config.Config) (*meter.Book, error) {
	files, err := cfg.PriceFiles()
	if err != nil {
		return nil, err
	}
	return meter.NewBook(meter.BookOptions{
		Currency: cfg.Pricing.Currency, Exchange: cfg.Pricing.Exchange, Timezone: cfg.Policy.Timezone, Files: files,
	})
}

// warnOfModels tells of a name or pattern that fits no model with a price, where the
// configuration has prices: a key so limited is refused everywhere, and such a pack never pays.
func (p *program) warnOfModels(o *operator, patterns []string) {
	if len(patterns) == 0 || len(o.cfg.Pricing.Files) == 0 {
		return
	}
	book, err := openBook(o.cfg)
	if err != nil {
		return // what is wrong with the prices is for check to tell
	}
	for _, pattern := range patterns {
		if !book.PricesAny(pattern) {
			fmt.Fprintf(p.stderr, "tollgate: no model has a price that %s fits: is it mistyped?\n", pattern)
		}
	}
}

// hint adds what to do to an error of the given kind.
func hint(err, kind error, format string, args ...any) error {
	if errors.Is(err, kind) {
		return fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))
	}
	return err
}

// unsure tells what to do about a booking whose answer was lost: who takes it
// for not booked, and says it again, books twice.
func unsure(err error, account, ref string) error {
	if ref != "" {
		return hint(err, ledger.ErrUncertain, "repeat it with the same --ref, which books it once")
	}
	return hint(err, ledger.ErrUncertain, "see `tollgate journal %s` before you repeat it", account)
}

// noAccount tells what to do about an account that is not there.
func noAccount(err error, id string) error {
	return hint(err, ledger.ErrNotFound, "create it with `tollgate account create %s`, or see `tollgate account list`", id)
}
