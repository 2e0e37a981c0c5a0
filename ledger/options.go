package ledger

import (
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
	// TaskTTL is how long the hold of a task stands while nobody asks how it has
	// ended. Default 24 hours.
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
