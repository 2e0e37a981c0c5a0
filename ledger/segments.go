package ledger

import "time"

const (
	// purgeFloor is how old a record must be to go, whoever else has it: Redis
	// may not have on disk what it acknowledged a moment ago.
	purgeFloor = time.Minute
	// purgeAge is how long records are kept without an archive, while there is room.
	purgeAge = time.Hour
)

// segments is why each segment of a settlement log is kept: calls may still need
// a record in it, Redis or the archive may lack what a record in it was booked as, or it
// is young. Whoever uses it has the log's lock. Segment 0 is none.
type segments map[uint64]*segmentUse

type segmentUse struct {
	pins   int           // calls that may still need a record in it
	heads  map[int]int64 // the highest journal seq that a record in it was booked under, by shard
	newest time.Time
	owing  bool // Redis may lack what is in it: no replay since that was asked has found, or brought, all of it
}

func (s segments) of(segment uint64) *segmentUse {
	u := s[segment]
	if u == nil {
		u = &segmentUse{heads: make(map[int]int64)}
		s[segment] = u
	}
	return u
}

// wrote notes that a record has just been written to a segment.
func (s segments) wrote(segment uint64, now time.Time) { s.of(segment).newest = now }

// read notes that a segment has a record of an earlier life. One of a clock that
// stood ahead counts as written now.
func (s segments) read(segment uint64, at time.Time) {
	u := s.of(segment)
	if now := time.Now(); at.After(now) {
		at = now
	}
	if at.After(u.newest) {
		u.newest = at
	}
}

// pin keeps a segment that has a record for a call.
func (s segments) pin(segment uint64) { s.of(segment).pins++ }

func (s segments) unpin(segment uint64) {
	if segment != 0 {
		s.of(segment).pins--
	}
}

// booked notes what a record in a segment was booked under.
func (s segments) booked(segment uint64, shard int, seq int64) {
	if u := s[segment]; u != nil { // else it has been purged meanwhile
		u.heads[shard] = max(u.heads[shard], seq)
	}
}

// outlived reports whether nobody needs the segment any more.
func (u *segmentUse) outlived(now time.Time, pressed bool, watermark func(shard int) int64) bool {
	if u == nil {
		return true // nothing was ever in it
	}
	age := now.Sub(u.newest)
	if u.pins > 0 || u.owing || age < purgeFloor || watermark == nil && age < purgeAge && !pressed {
		return false
	}
	for shard, seq := range u.heads {
		if watermark != nil && seq > watermark(shard) {
			return false
		}
	}
	return true
}
