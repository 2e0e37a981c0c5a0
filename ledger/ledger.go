package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	defaultShards          = 64
	maxShards              = 4096
	defaultHoldTTL         = 15 * time.Minute
	defaultTaskTTL         = 24 * time.Hour
	defaultArchiveInterval = time.Second
	// maxTaskTTL leaves the markers of tasks some time beyond their holds.
	maxTaskTTL = 48 * time.Hour
	// format is the version of what is in Redis: keys, fields, journal.
	format = "1"

	markerBucketMS = int64(time.Hour / time.Millisecond)
	// markerLife is how long the outcome of a request is remembered after the
	// last outcome of its hour. A request id older than admissible is not
	// admitted, so that no reserve can come so late that its own end is forgotten.
	markerLife = 72 * time.Hour
	admissible = 24 * time.Hour
)

// What becomes of a hold whose deadline has passed: Options.OnAbandoned.
const (
	ChargeCheckpoint = "checkpoint"
	ReleaseAbandoned = "release"
	HoldAbandoned    = "hold"
)

// Ledger is the books: accounts, packs, keys, holds and journal in Redis. It
// is safe for concurrent use, by many processes at once.
type Ledger struct {
	*shards              // the ledger as it lies in Redis
	vault     *vault     // the way to its archive
	recoverer *recoverer // what a server must pass before it is written to
	archiver  *archiver  // moves the journal to the archive
	log       *settleLog // what this process has promised and Redis may lack; nil without a settlement log
	replayer  *replayer  // brings Redis what is in log; nil without one

	// What Options say.
	holdTTL     time.Duration
	taskTTL     time.Duration
	onAbandoned string
	observe     func(op string, took time.Duration, err error)

	tally tally
}

// Open connects to the ledger, makes it if there is none, checks that it is
// what the options say, and opens the library. It returns ErrInvalid for
// options that cannot be or do not fit what is recorded, and ErrUnavailable
// when Redis cannot be reached or is not a whole ledger.
func Open(ctx context.Context, o Options) (*Ledger, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.setDefaults()
	built, err := buildScripts(o.URL == Embedded)
	if err != nil {
		return nil, err
	}
	client, closeClient, err := connect(o.URL)
	if err != nil {
		return nil, err
	}
	s := &shards{
		client: client, closeClient: closeClient, scripts: built, embedded: o.URL == Embedded, logger: o.Logger,
		losses: losses{patience: reconcileTime},
	}
	v := &vault{shards: s}
	l := &Ledger{
		shards: s, vault: v, recoverer: newRecoverer(s, v),
		holdTTL: o.HoldTTL, taskTTL: o.TaskTTL, onAbandoned: o.OnAbandoned, observe: o.Observe,
	}
	if err := l.openOrCreate(ctx, &o); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (o *Options) check() error {
	switch {
	case o.Shards < 0 || o.Shards > maxShards:
		return fmt.Errorf("%w: %d shards: want 1 to %d", ErrInvalid, o.Shards, maxShards)
	case o.HoldTTL < 0 || o.HoldTTL > admissible:
		return fmt.Errorf("%w: hold TTL %s: want at most %s", ErrInvalid, o.HoldTTL, admissible)
	case o.TaskTTL < 0 || o.TaskTTL > maxTaskTTL:
		return fmt.Errorf("%w: task TTL %s: want at most %s", ErrInvalid, o.TaskTTL, maxTaskTTL)
	case o.Archive != "" && o.URL == Embedded:
		return fmt.Errorf("%w: an embedded ledger ends with its process: it has no use for an archive", ErrInvalid)
	case o.ArchiveInterval < 0 || o.ArchiveKeep < 0 || o.ArchiveBacklog < 0:
		return fmt.Errorf("%w: archive: interval, keep and backlog are not to be negative", ErrInvalid)
	}
	switch o.Durability {
	case "", DurabilityNormal, DurabilityStrict:
	default:
		return fmt.Errorf("%w: durability %q: want normal or strict", ErrInvalid, o.Durability)
	}
	switch o.OnAbandoned {
	case "", ChargeCheckpoint, ReleaseAbandoned, HoldAbandoned:
		return nil
	}
	return fmt.Errorf("%w: on abandoned %q: want checkpoint, release or hold", ErrInvalid, o.OnAbandoned)
}

func (o *Options) setDefaults() {
	o.HoldTTL = cmp.Or(o.HoldTTL, defaultHoldTTL)
	o.TaskTTL = cmp.Or(o.TaskTTL, defaultTaskTTL)
	o.OnAbandoned = cmp.Or(o.OnAbandoned, ChargeCheckpoint)
	o.Logger = cmp.Or(o.Logger, zap.NewNop())
	o.ArchiveInterval = cmp.Or(o.ArchiveInterval, defaultArchiveInterval)
	o.ArchiveBacklog = cmp.Or(o.ArchiveBacklog, defaultBacklog)
}

// openOrCreate finds the ledger or makes it, and opens the library.
func (l *Ledger) openOrCreate(ctx context.Context, o *Options) error {
	first, err := l.client.HGetAll(ctx, shardTags(1)[0]+"meta").Result()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if first[metaIdentity] == "" {
		if err := o.refuseEmptied(ctx); err != nil {
			return err
		}
	}
	count, currency, err := o.agree(first)
	if err != nil {
		return err
	}
	l.identity, l.currency = first[metaIdentity], currency
	l.divide(count)
	l.archiver = newArchiver(l, o)
	if first[metaReady] != "1" {
		if err := l.create(ctx); err != nil {
			return err
		}
	}
	if err := l.agreeOnTimezone(ctx, o, first[metaTimezone]); err != nil {
		return err
	}
	if err := l.openLog(o, first[metaIdentity] == ""); err != nil {
		return err
	}
	if err := l.verify(ctx); err != nil {
		return err
	}
	if err := l.vault.prepare(ctx, o, first[metaArchive]); err != nil {
		return err
	}
	if err := l.recoverer.openAtStart(ctx); err != nil {
		return err
	}
	if l.replayer == nil {
		return nil
	}
	return l.replayer.atStart(ctx)
}

// agree compares the options with what is recorded in the first shard's meta,
// if anything is, and returns shards and currency.
func (o *Options) agree(meta map[string]string) (shards int, currency string, err error) {
	shards, currency = o.Shards, o.Currency
	if meta[metaIdentity] == "" {
		if o.Existing {
			return 0, "", fmt.Errorf("%w: there is no ledger in this Redis yet", ErrNotFound)
		}
		if shards == 0 {
			shards = defaultShards
		}
		if currency == "" {
			return 0, "", fmt.Errorf("%w: there is no ledger in this Redis yet: give a currency to make one", ErrInvalid)
		}
		return shards, currency, nil
	}
	recorded, err := strconv.Atoi(meta[metaShards])
	if err != nil || recorded < 1 || recorded > maxShards {
		return 0, "", fmt.Errorf("%w: meta of shard 0 is damaged: shards %q", ErrUnavailable, meta[metaShards])
	}
	switch {
	case meta[metaFormat] != format:
		return 0, "", fmt.Errorf("%w: the ledger has format %q, this program writes %q", ErrInvalid, meta[metaFormat], format)
	case shards != 0 && shards != recorded:
		return 0, "", fmt.Errorf("%w: the ledger in this Redis has %d shards, not %d: the number is fixed when a ledger is made; give that, or another Redis for a new ledger", ErrInvalid, recorded, shards)
	case currency != "" && currency != meta[metaCurrency]:
		return 0, "", fmt.Errorf("%w: the ledger in this Redis is kept in %s, not %s: the currency is fixed when a ledger is made; give that, or another Redis for a new ledger", ErrInvalid, meta[metaCurrency], currency)
	}
	return recorded, meta[metaCurrency], nil
}

// Close closes the connections, and the settlement log. An embedded ledger is
// gone with that.
func (l *Ledger) Close() error {
	var err error
	if l.log != nil {
		err = l.log.close()
	}
	return errors.Join(err, l.vault.close(), l.closeClient())
}

// Ready reports whether the ledger can be reached and trusted, and takes new calls: nil or ErrUnavailable.
func (l *Ledger) Ready(ctx context.Context) error {
	if err := l.logReady(); err != nil {
		return err
	}
	if err := l.admits(); err != nil {
		return err
	}
	err := l.verify(ctx)
	if err == nil {
		err = l.takesCalls(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: Redis does not answer", ErrUnavailable)
	}
	return err
}

// admits refuses new calls while what Redis has lost is not replayed yet, and
// while the archive does not keep up.
func (l *Ledger) admits() error {
	if err := l.losses.reconciled(l.log != nil); err != nil {
		return err
	}
	return l.archiver.keepsUp()
}

// Currency is the currency that the ledger is kept in.
func (l *Ledger) Currency() string { return l.currency }

// Timezone is where the days and months of the ledger's keys and bills begin.
func (l *Ledger) Timezone() *time.Location { return l.timezone }

// zoneOffset is the time zone's offset from UTC at the moment, in seconds: the
// scripts know the time but no zones.
func (l *Ledger) zoneOffset() string {
	_, offset := l.now().In(l.timezone).Zone()
	return strconv.Itoa(offset)
}
