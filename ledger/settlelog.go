package ledger

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/ledger/wal"
)

// Durability of the settlement log: Options.Durability.
const (
	// DurabilityNormal leaves it to the kernel when a settlement that Redis has
	// booked reaches the disk; one that Redis could not book is synced.
	DurabilityNormal = "normal"
	// DurabilityStrict syncs every settlement before Redis is asked.
	DurabilityStrict = "strict"
)

const (
	// settleRoom is set aside for each call in flight, in bytes: more than any
	// settlement takes, so that a full log stops admission and never one.
	settleRoom = 16 << 10
	// rotateAge closes a segment that is not full, so that purging can come to it.
	rotateAge = 5 * time.Minute
	// notesBound is how many bytes of notes wait for the next write. A replay makes one for each call that it brings, while
	// nobody else may write; and a record of the wal is bounded.
	notesBound = 256 << 10

	identityFile = "ledger"       // whose log it is
	doubtsFile   = "doubts.jsonl" // what replay could not book, for people
)

// A settleLog is the settlement log of one proxy: what has been promised to
// clients and may be missing in Redis. Its methods may be called at the same time.
type settleLog struct {
	wal    *wal.Log
	dir    string
	strict bool

	mu       sync.Mutex
	calls    map[string]*loggedCall // in flight, or ended and not confirmed; by request id
	pending  int                    // calls that wait for replay
	doubts   map[string]bool        // request ids that replay has given up
	segments segments
	notes    []byte // records that ride along with the next write
	// more are notes before those, in pieces that a record of the wal can take: the disk has no room for them yet.
	more    [][]byte
	payload []byte // reused by write
	begun   time.Time
}

// A loggedCall is a call from its open record to the word that Redis has booked its end.
type loggedCall struct {
	opened, ended uint64 // segments of its records, 0: none
	end           *logRecord
	parked        *logRecord // what end was before, of a task that ended while Redis did not know of it
	endAt         wal.Position
	room          bool
	// pending calls are replay's: of a proxy's earlier life, or Redis was away.
	pending bool
	// progress is the last one, of an earlier life only: a handler that lives knows better.
	progress *logRecord
}

// openSettleLog opens the log in a directory for a ledger, and takes in what is there.
func openSettleLog(dir, identity string, shardOf func(string) int, strict bool, maxSize int64) (*settleLog, error) {
	w, err := wal.Open(wal.Options{Dir: dir, MaxSize: maxSize, SegmentSize: segmentSize(maxSize)})
	if errors.Is(err, wal.ErrLocked) {
		return nil, fmt.Errorf("%w: settlement log %s is %w: %w", ErrInvalid, dir, errLogTaken, err)
	}
	if err != nil {
		return nil, err
	}
	g := &settleLog{
		wal: w, dir: dir, strict: strict, calls: make(map[string]*loggedCall), doubts: make(map[string]bool),
		segments: make(segments), begun: time.Now(),
	}
	err = g.claim(identity)
	if err == nil {
		err = g.takeIn(shardOf)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("settlement log %s: %w", dir, err), w.Close())
	}
	return g, nil
}

// segmentSize lets even a small log have segments to purge.
func segmentSize(maxSize int64) int64 {
	if maxSize == 0 {
		return 0
	}
	return max(maxSize/16, 4<<10)
}

// claim makes the log this ledger's, or refuses one that is another's: its
// settlements must not be booked here.
func (g *settleLog) claim(identity string) error {
	data, err := os.ReadFile(filepath.Join(g.dir, identityFile))
	switch owner := strings.TrimSpace(string(data)); {
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case owner == "": // there is none, or the process was killed between making and filling it
		return g.wal.Keep(identityFile, []byte(identity+"\n"))
	case owner != identity:
		return fmt.Errorf("%w: %w: it belongs to another ledger (%s, not %s)", ErrInvalid, errLogTaken, owner, identity)
	}
	return nil
}

// takeIn reads what an earlier life has left.
func (g *settleLog) takeIn(shardOf func(string) int) error {
	for _, number := range g.wal.Segments() {
		err := g.wal.ReplaySegment(number, func(p []byte) error {
			return eachRecord(p, func(r *logRecord) { g.apply(r, number, shardOf) })
		})
		if err != nil {
			return err
		}
	}
	for _, c := range g.calls {
		c.pending = true
		g.pending++
	}
	return nil
}

// apply is one record's effect on what is known. It is only used before the log takes new ones.
func (g *settleLog) apply(r *logRecord, segment uint64, shardOf func(string) int) {
	g.segments.read(segment, millis(r.atMS))
	known := g.calls[r.id]
	switch {
	case r.kind == recordOpen && known == nil, r.kind == recordProgress:
		c := g.call(r.id)
		c.progress = r
		g.moves(c, segment)
	case r.ends() && (known == nil || known.end == nil || known.end.isParked()):
		g.endsIn(g.call(r.id), r, segment)
	case r.kind == noteDoubt:
		g.doubts[r.id] = true
		g.forget(r.id, 0, 0)
	case r.kind == noteBooked, r.kind == noteDone:
		g.forget(r.id, shardOf(r.account), r.seq)
	}
}

// call is what is known of a call; of one that is new, nothing yet.
func (g *settleLog) call(id string) *loggedCall {
	c := g.calls[id]
	if c == nil {
		c = new(loggedCall)
		g.calls[id] = c
	}
	return c
}

// forget ends the log's part in a call: it needs no replay. seq is its journal
// entry, 0 for none.
func (g *settleLog) forget(id string, shard int, seq int64) {
	c := g.calls[id]
	if c == nil {
		return
	}
	delete(g.calls, id)
	for _, segment := range []uint64{c.opened, c.ended} {
		g.segments.unpin(segment)
		g.segments.booked(segment, shard, seq)
	}
	if c.pending {
		g.pending--
	}
	if c.room {
		g.wal.Return(settleRoom)
	}
}

// write appends a record, and the notes that wait with it. mu is held.
func (g *settleLog) write(r *logRecord) (wal.Position, error) {
	now := time.Now()
	for len(g.more) > 0 {
		at, err := g.wal.Append(g.more[0])
		if err != nil {
			return at, err
		}
		g.more = g.more[1:]
		g.segments.wrote(at.Segment, now)
	}
	g.payload = append(append(g.payload[:0], recordVersion), g.notes...)
	if r.kind != 0 {
		r.atMS = now.UnixMilli()
		g.payload = r.appendTo(g.payload)
	}
	at, err := g.wal.Append(g.payload)
	if err != nil {
		return at, err
	}
	g.notes = g.notes[:0]
	g.segments.wrote(at.Segment, now)
	return at, nil
}

// open makes the record that a call is about to ask for its hold, and sets the
// room for its end aside.
func (g *settleLog) open(b *booking) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[b.id]; c != nil {
		if c.end != nil {
			return fmt.Errorf("%w: request %s is being ended", ErrUnavailable, b.id)
		}
		return nil
	}
	if !g.wal.Room(settleRoom) {
		if err := g.wal.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return fmt.Errorf("%w: settlement log full: %s takes no new calls until what it has is booked and archived", ErrUnavailable, g.dir)
	}
	at, err := g.write(&logRecord{kind: recordOpen, booking: *b})
	if err != nil {
		g.wal.Return(settleRoom)
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	g.calls[b.id] = &loggedCall{opened: at.Segment, room: true}
	g.segments.pin(at.Segment)
	return nil
}

// progress records what a call has delivered so far. It says all that the open
// record said: a call that lasts keeps no segment before it. It is written
// whatever the bound says: what it makes free is more, and without it the next
// start would give back what was delivered.
func (g *settleLog) progress(b *booking) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.calls[b.id]
	if c == nil || c.end != nil {
		return nil
	}
	at, err := g.write(&logRecord{kind: recordProgress, booking: *b})
	if err == nil {
		g.moves(c, at.Segment)
	}
	return err
}

// moves lets a call that has not ended need another segment than the one it did.
func (g *settleLog) moves(c *loggedCall, segment uint64) {
	g.segments.unpin(c.opened)
	c.opened = segment
	g.segments.pin(segment)
}

// endsIn notes how a call ends, and the segment that says so.
func (g *settleLog) endsIn(c *loggedCall, end *logRecord, segment uint64) {
	if c.end.isParked() {
		c.parked = c.end
	}
	g.segments.unpin(c.ended)
	c.end, c.ended = end, segment
	g.segments.pin(segment)
}

// end records how a call ends. The first word counts, unless it is that a task's
// end is yet to come: asked again, it returns where that stands.
func (g *settleLog) end(kind byte, b *booking) (wal.Position, error) {
	return g.endWith(&logRecord{kind: kind, booking: *b})
}

func (g *settleLog) endWith(r *logRecord) (wal.Position, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[r.id]; c != nil && c.end != nil && !(c.end.isParked() && !r.isParked()) {
		return c.endAt, nil
	}
	at, err := g.write(r)
	if err != nil {
		return at, err
	}
	c := g.call(r.id)
	c.endAt = at
	g.endsIn(c, r, at.Segment)
	if c.room {
		g.wal.Return(settleRoom)
		c.room = false
	}
	return at, nil
}

// postpone leaves a call that has ended to replay. If no record of its end could be
// written it is not left to replay: nothing was promised, and the hold stands until the
// sweeper comes.
func (g *settleLog) postpone(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.calls[id]; c != nil && c.end != nil && !c.pending {
		c.pending = true
		g.pending++
	}
}

// booked notes that Redis has booked a charge, and who paid. The note itself
// goes with the next write: it is only a shortcut, and tells replay who paid.
func (g *settleLog) booked(b *booking, shard int, seq int64, told string) {
	g.note(&logRecord{kind: noteBooked, seq: seq, told: told, booking: booking{id: b.id, account: b.account}}, shard)
}

// done notes that nothing is left to do for a call.
func (g *settleLog) done(b *booking) {
	g.note(&logRecord{kind: noteDone, booking: booking{id: b.id, account: b.account}}, 0)
}

func (g *settleLog) note(r *logRecord, shard int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.atMS = time.Now().UnixMilli()
	g.notes = r.appendTo(g.notes)
	g.forget(r.id, shard, r.seq)
	if len(g.notes) > notesBound {
		if _, err := g.write(&logRecord{}); err != nil { // they wait on
			g.more, g.notes = append(g.more, append([]byte{recordVersion}, g.notes...)), g.notes[:0]
		}
	}
}

// doubt gives up on a record: it is written to a file of its own, for people, and not
// tried again.
func (g *settleLog) doubt(r *logRecord, why string) error {
	line, err := json.Marshal(map[string]any{
		"time": time.Now().UTC(), "request_id": r.id, "account": r.account, "key": keyID(r.account, r.suffix), "model": r.model,
		"kind": string(r.kind), "why": why, "charge": json.RawMessage(cmp.Or(r.static, "null")), "lines": r.lines,
	})
	if err != nil {
		return err
	}
	if err := g.wal.Keep(doubtsFile, append(line, '\n')); err != nil {
		return err
	}
	g.note(&logRecord{kind: noteDoubt, booking: booking{id: r.id, account: r.account}}, 0)
	g.mu.Lock()
	g.doubts[r.id] = true
	g.mu.Unlock()
	return g.flush()
}

func (g *settleLog) sync(at wal.Position) error { return g.wal.Sync(at) }

// flush writes the notes that wait.
func (g *settleLog) flush() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.notes) == 0 && len(g.more) == 0 {
		return nil
	}
	_, err := g.write(&logRecord{})
	return err
}

// waiting lists the calls that wait for replay.
func (g *settleLog) waiting() (list []loggedCall) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.calls {
		if c.pending {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b loggedCall) int { return strings.Compare(a.record().id, b.record().id) })
	return list
}

// record is the last word on a call that waits for replay.
func (c *loggedCall) record() *logRecord {
	if c.end != nil {
		return c.end
	}
	return c.progress
}

// settled reports whether the log has nothing more to do for a request: it is
// neither in flight nor waiting, and has not been given up.
func (g *settleLog) settled(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[id] == nil && !g.doubts[id]
}

// found raises what a segment's records were booked under.
func (g *settleLog) found(segment uint64, shard int, seq int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.segments.booked(segment, shard, seq)
}

// askAll begins a replay: for every segment it must be found out anew whether Redis has what is in it, and where. What the
// replay cannot bring yet may be older than all that purging goes by. And what Redis had lost may stand under an earlier seq
// than before, so that the shard never again comes to the one that was noted.
func (g *settleLog) askAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, u := range g.segments {
		u.owing = true
		clear(u.heads)
	}
}

// answered ends a replay's look at a segment, of which Redis has all.
func (g *settleLog) answered(segment uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.segments.of(segment).owing = false
}

// purge removes segments that nobody needs: all calls in them have ended, are
// booked, and are old enough; with a watermark, the archive has them too.
// Without one, an hour of records is kept while they fill less than half of
// the log. That no segment can be begun keeps none from being removed: the disk
// may be full, and have room after it.
func (g *settleLog) purge(now time.Time, watermark func(shard int) int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	var notBegun error
	if now.Sub(g.begun) > rotateAge {
		if notBegun = g.wal.Rotate(); notBegun == nil {
			g.begun = now
		}
	}
	for {
		used, bound := g.wal.Used()
		removed := uint64(0)
		err := g.wal.Purge(func(segment uint64) bool {
			if removed != 0 || !g.segments[segment].outlived(now, used > bound/2, watermark) {
				return false
			}
			removed = segment
			return true
		})
		if err != nil || removed == 0 {
			return cmp.Or(notBegun, err)
		}
		delete(g.segments, removed)
	}
}

func (g *settleLog) close() error {
	return errors.Join(g.flush(), g.wal.Close())
}

// LogState is what the settlement log of this process holds.
type LogState struct {
	Bytes, Bound int64 // its size, and the size at which admission stops
	InFlight     int   // calls that have not ended
	Pending      int   // ended, and not yet in the ledger
	Doubts       int   // given up by replay, and still in doubts.jsonl
}

// hasPending reports whether calls that have ended wait for the ledger.
func (g *settleLog) hasPending() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pending > 0
}

// has reports whether an account's task, or object, of that id waits for the ledger.
func (g *settleLog) has(account, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.calls {
		for _, r := range [...]*logRecord{c.end, c.parked} {
			if r != nil && r.account == account && (r.isParked() && strings.HasPrefix(r.told, id+"\t") || strings.Contains("\n"+r.made, "\n"+id+" ")) {
				return true
			}
		}
	}
	return false
}

// state reads doubts.jsonl from the disk: it is for display.
func (g *settleLog) state() LogState {
	doubts, err := g.keptDoubts() // before the lock: calls wait for that
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		doubts = len(g.doubts)
	}
	s := LogState{InFlight: len(g.calls) - g.pending, Pending: g.pending, Doubts: doubts}
	s.Bytes, s.Bound = g.wal.Used()
	return s
}

// keptDoubts counts the lines of doubts.jsonl, which operators move away once they have
// settled it.
func (g *settleLog) keptDoubts() (int, error) {
	content, err := os.ReadFile(filepath.Join(g.dir, doubtsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return bytes.Count(content, []byte("\n")), err
}
