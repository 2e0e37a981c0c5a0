package ledger

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/meter"
)

// Options say where the ledger is and how it is to be kept.
type Options struct {
	// URL is redis://, rediss://, redis+cluster://h1,h2,
	// redis+sentinel://h1,h2/master, or "embedded".
	URL string
	// Shards is the number of shards. It is recorded in Redis when the ledger
	// is made and checked ever after. 0 takes what is recorded, or 64.
	Shards int
	// HoldTTL is how long a hold stands without a heartbeat. Default 15 minutes.
	HoldTTL time.Duration
	// TaskTTL is how long the hold of a task stands that nobody has asked the end
	// of. Default 24 hours.
	TaskTTL time.Duration
	// Currency is recorded when the ledger is made and checked ever after.
	// Empty takes what is recorded.
	Currency string
	// Timezone is where a key's day and month begin. Nil takes what the ledger has
	// recorded of who opened it last to serve, or UTC.
	Timezone *time.Location
	// OnAbandoned says what becomes of a hold whose deadline has passed:
	// checkpoint (charge what had been delivered; the default), release, or hold.
	OnAbandoned string
	// Log is the directory of this host's settlement logs, of which each process
	// takes one; empty for none. RunReplay is to run beside it.
	Log string
	// Durability is DurabilityNormal (default) or DurabilityStrict.
	Durability string
	// LogSize bounds the settlement log, in bytes. Default 1 GiB.
	LogSize int64
	// Existing opens a ledger that is there and makes none: ErrNotFound.
	Existing bool
	// Archive is where the journal is copied to: sqlite:PATH or postgres://….
	// Empty for none: then all of it stays in Redis. RunArchiver is to run beside it.
	Archive string
	// ArchiveReadOnly uses an archive that the ledger has, and makes none. It is
	// for those that run no archiver.
	ArchiveReadOnly bool
	// ArchiveInterval is the time between two rounds of the archiver, default
	// 1 s; ArchiveKeep how long archived entries stay in Redis.
	ArchiveInterval, ArchiveKeep time.Duration
	// ArchiveBacklog is how many entries may wait for the archive before no new
	// calls are admitted. Default a million.
	ArchiveBacklog int64
	// ObserveArchive is told how far the archive is, after each round. May be nil.
	ObserveArchive func(ArchiveState)
	// Observe is told of every call to Redis, for metrics. May be nil.
	Observe func(op string, took time.Duration, err error)
	// Logger is told of what the background work did: the sweeper, the replay, the
	// archiver, recovery. What a call returns as an error is not logged. May be nil.
	Logger *zap.Logger
}

// AccountOptions define a new account.
type AccountOptions struct {
	// Split defaults to Proportional.
	Split Split
	// Overdraft is how far below zero admission may go.
	Overdraft meter.Nano
}

// Topup puts money into a wallet.
type Topup struct {
	Account string
	Amount  meter.Nano // positive
	Wallet  Wallet     // Recharge if empty
	// Ref makes the topup idempotent within the account: repeated, it is
	// booked once; with other content it is ErrConflict.
	Ref string
}

// Refund gives a charge back, whole or in part.
type Refund struct {
	Account   string
	RequestID string
	// Amount is how much cash to give back, pro rata to the wallets that paid.
	// Nil: all that is left of the charge, to the packs too.
	Amount *meter.Nano
	Reason string // required
	Ref    string // as Topup.Ref
}

// Repricing says which charges are priced anew.
type Repricing struct {
	Account string // "" for all
	// Since and Until are by Entry.At, as prices are: Since inclusive, Until
	// exclusive, or zero for now.
	Since, Until time.Time
	Reason       string // required
	// DryRun books nothing.
	DryRun bool
}

// Repriced is a charge that comes to another fee.
type Repriced struct {
	Charge *Entry
	// Fee is the new one. In a dry run, of a charge that nobody paid: before packs.
	Fee meter.Nano
	// Entry is the charge that has taken its place; nil in a dry run.
	Entry *Entry
	// Left says why the charge is left as it is; nil when it is not.
	Left error
}

// Damaged reports whether it was left since its entry cannot be read, and then Charge
// names it and no more, or since its account is damaged or gone: a person must look.
func (r *Repriced) Damaged() bool {
	return errors.Is(r.Left, ErrUnavailable) || errors.Is(r.Left, ErrNotFound)
}

// RepricedSum is what a repricing came to.
type RepricedSum struct {
	// Charges is how many were looked at: all that stand and that nothing was given back of.
	Charges int64
	// Repriced is how many of these come to another fee, Left how many could not be put right.
	Repriced, Left int64
	// Before and After are the fees of the repriced.
	Before, After meter.Nano
}

func (s *RepricedSum) add(r *Repriced) {
	if r.Left != nil {
		s.Left++
		return
	}
	s.Repriced++
	s.Before += r.Charge.FeeDue()
	s.After += r.Fee
}

// Adjustment puts a wallet right by hand.
type Adjustment struct {
	Account string
	Amount  meter.Nano // signed, not 0
	Wallet  Wallet     // Recharge if empty
	Reason  string     // required
	Ref     string     // as Topup.Ref
}

// AccountChange says what is to change of an account; nil leaves it.
type AccountChange struct {
	Split     *Split
	Overdraft *meter.Nano
}

// Grant gives an account a pack.
type Grant struct {
	Account   string
	Unit      string   // as meter.Dimension.Unit; "token" if empty
	Models    []string // exact names or patterns with *; empty: all
	Quantity  int64    // positive
	ExpiresAt *time.Time
	Priority  int64  // lower goes first; the verbs give DefaultPriority where none is named
	Order     string // before_balance (default), after_balance
	Ref       string // as Topup.Ref
}

// NewKey defines a new key.
type NewKey struct {
	Name   string
	Limits KeyLimits
	// Seed, if there is one, is what the secret is made of, in place of chance: 32 bytes
	// at least, that nobody can guess. With the same seed the account's same key is made,
	// so that a repeat makes no second one; with other content it is ErrConflict.
	Seed []byte
}

// minSeed is how long a seed must be, in bytes: as hard to guess as what is made of it.
const minSeed = 32

// JournalQuery chooses entries of the journal. Zero values choose all.
type JournalQuery struct {
	Since, Until time.Time // by Entry.Time: Since inclusive, Until exclusive
	Types        []string
	Limit        int // at most so many, the oldest
}

// Swept is what one round of the sweeper did.
type Swept struct {
	// Abandoned holds were charged by their checkpoint, Released ones given
	// back, Kept ones left as they are (Options.OnAbandoned: hold).
	Abandoned, Released, Kept int
	// Open is the number of holds that are still there.
	Open int
	// Expired is the number of packs of which something expired.
	Expired int
}

// Server is what Redis says of itself, as far as money depends on it.
type Server struct {
	Version         string        `json:"version"`
	Mode            string        `json:"mode"` // standalone, cluster, sentinel, embedded
	AOF             bool          `json:"aof"`
	Fsync           string        `json:"fsync,omitempty"` // always, everysec, no
	MaxMemoryPolicy string        `json:"maxmemory_policy"`
	Latency         time.Duration `json:"latency_ns"` // of one ping
	Ledger          string        `json:"ledger"`     // the ledger's identity
	Currency        string        `json:"currency"`
	Shards          int           `json:"shards"`
	Entries         int64         `json:"entries"` // of the journal, over all shards
	Warnings        []string      `json:"warnings"`

	settings  map[string]string // as CONFIG GET tells them; absent where it is not allowed
	failsOver bool              // a replica may take its place
	replica   bool              // it is one itself
}

// AuditReport is the outcome of an audit.
type AuditReport struct {
	OK          bool         `json:"ok"`
	Accounts    int          `json:"accounts"`
	Entries     int64        `json:"entries"`
	Differences []Difference `json:"differences"`
	// Conservation is the balance sheet, where one account was audited.
	Conservation []Conserved `json:"conservation,omitempty"`
}

// Conserved is a line of an account's balance sheet: what was granted is free,
// held, charged (less refunds), expired or withdrawn. Free and Held are the
// ledger's, the rest is the journal's. Cash is in decimals, packs in units.
type Conserved struct {
	What      string `json:"what"` // cash, pack:<id>
	Granted   string `json:"granted"`
	Free      string `json:"free"`
	Held      string `json:"held"`
	Charged   string `json:"charged"`
	Expired   string `json:"expired"`
	Withdrawn string `json:"withdrawn"`
}

// Difference is one disagreement between the journal and the balances.
type Difference struct {
	Account string `json:"account,omitempty"`
	Shard   int    `json:"shard"`
	// Law is the invariant that does not hold: CONSERVE, HOLD-SUM, DENSE, CHAIN, ONCE, EXACT-FEE, …
	Law string `json:"law"`
	// What is the thing they disagree on: "recharge", "pack:p1", "key:acme.1f…", "entry 12-0".
	What    string `json:"what"`
	Journal string `json:"journal"` // what it should be by the journal
	Ledger  string `json:"ledger"`  // what is there
}
