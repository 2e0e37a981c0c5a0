package ledger

import "strconv"

// A position is how far a shard's journal has been seen: how often the shard
// has been recovered, and the highest sequence since. Positions compare as
// integers: a recovery may take the journal back, and yet is progress. Without
// an archive there are no recoveries, and a position is a sequence.
type position int64

const (
	// seqBits leave room for 17 trillion entries of a shard, and half a million recoveries.
	seqBits = 44
	seqMask = 1<<seqBits - 1
)

func positionAt(epoch, seq int64) position { return position(epoch<<seqBits | seq&seqMask) }

func (p position) epoch() int64 { return int64(p) >> seqBits }
func (p position) seq() int64   { return int64(p) & seqMask }

// String is the position as the scripts read it, see lua/lib.lua.
func (p position) String() string {
	return strconv.FormatInt(p.epoch(), 10) + " " + strconv.FormatInt(p.seq(), 10)
}

// MarshalBinary lets a position be an argument of a script.
func (p position) MarshalBinary() ([]byte, error) { return []byte(p.String()), nil }

// at is what has been seen of a shard.
func (l *Ledger) at(shard int) position { return position(l.heads[shard].Load()) }

// see notes that a shard has come as far as p.
func (l *Ledger) see(shard int, p position) { raise(&l.heads[shard], int64(p)) }
