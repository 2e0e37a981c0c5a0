package ledger

import (
	"strconv"
	"sync/atomic"
)

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

// positionOf reads a position from two fields of a meta.
func positionOf(seq, epoch any) position {
	r := &record{fields: map[string]string{"seq": "0", "epoch": "0"}}
	if s, ok := seq.(string); ok {
		r.fields["seq"] = s
	}
	if s, ok := epoch.(string); ok {
		r.fields["epoch"] = s
	}
	p := positionAt(r.integer("epoch"), r.integer("seq"))
	if r.err != nil {
		return 0
	}
	return p
}

func (p position) epoch() int64 { return int64(p) >> seqBits }
func (p position) seq() int64   { return int64(p) & seqMask }

// String is the position as the scripts read it, see lua/lib.lua.
func (p position) String() string {
	var space [24]byte
	text := strconv.AppendInt(space[:0], p.epoch(), 10)
	return string(strconv.AppendInt(append(text, ' '), p.seq(), 10))
}

// at is what has been seen of a shard.
func (s *shards) at(shard int) position { return position(s.heads[shard].Load()) }

// see notes that a shard has come as far as p.
func (s *shards) see(shard int, p position) { raise(&s.heads[shard], int64(p)) }

// raise sets n to seq if that is more.
func raise(n *atomic.Int64, seq int64) {
	for {
		seen := n.Load()
		if seq <= seen || n.CompareAndSwap(seen, seq) {
			return
		}
	}
}
