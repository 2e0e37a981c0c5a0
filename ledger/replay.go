package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
)

// Replayed is what a replay of a settlement log did.
type Replayed struct {
	// Records of calls that had ended were looked at; those There were in the ledger already.
	Records int `json:"records"`
	There   int `json:"already_booked"`
	// Settled charges were booked now, Released holds given back, and Abandoned
	// calls, which never ended, charged for what they had last reported.
	Settled   int `json:"settled"`
	Released  int `json:"released"`
	Abandoned int `json:"abandoned"`
	// Parked are tasks of which Redis did not know, or had lost the hold.
	Parked int `json:"parked"`
	// Kept calls never ended, and their holds stand (Options.OnAbandoned: hold).
	Kept int `json:"kept"`
	// Doubts could not be booked. They are in doubts.jsonl beside the log.
	Doubts []Doubt `json:"doubts"`
	// LeftAlone is which logs were not replayed, since a living process has them or they are another ledger's.
	LeftAlone []string `json:"left_alone,omitempty"`
}

// Doubt is a record that could not be booked, and why.
type Doubt struct {
	RequestID string `json:"request_id"`
	Account   string `json:"account"`
	Why       string `json:"why"`
}

// changed reports whether anything was done.
func (r *Replayed) changed() bool {
	return r.Settled+r.Released+r.Abandoned+r.Parked+len(r.Doubts) > 0
}

// A replay is one walk through a log.
type replay struct {
	ledger *Ledger
	log    *settleLog
	// everCharged asks the archive, and what is not archived yet, how an account's
	// request has been charged (TypeCharge, TypeAbandon, "" if not); nil without an
	// archive. It is asked for requests that are older than what Redis remembers.
	everCharged func(ctx context.Context, account, requestID string) (string, error)
	brought     map[string]bool       // request ids that were waiting
	failed      map[string]bool       // accounts: one that cannot be booked on keeps no other from it
	later       map[string]*logRecord // by request id, see laterNotes; nil: not read yet
	done        Replayed
}

func (l *Ledger) newReplay(log *settleLog) *replay {
	r := &replay{ledger: l, log: log}
	if l.vault.here() {
		r.everCharged = l.everCharged
	}
	return r
}

// run first books what is known to wait, then whatever else Redis turns out to have lost.
func (r *replay) run(ctx context.Context) error {
	r.done.Doubts = []Doubt{}
	r.log.askAll()
	failures := []error{r.waiting(ctx)}
	if ctx.Err() != nil || errors.Is(failures[0], errAway) {
		return failures[0]
	}
	for _, segment := range r.log.wal.Segments() {
		missing, err := r.segment(ctx, segment)
		failures = append(append(failures, missing...), err)
		if err != nil {
			return errors.Join(failures...)
		}
	}
	return errors.Join(append(failures, r.log.flush())...)
}

// waiting books the calls whose end may not have reached Redis.
func (r *replay) waiting(ctx context.Context) error {
	l := r.ledger
	r.brought, r.failed = make(map[string]bool), make(map[string]bool)
	var failures []error
	for _, c := range r.log.waiting() {
		rec := c.record()
		r.done.Records++
		r.brought[rec.id] = true
		if r.failed[rec.account] {
			continue
		}
		if l.circuits.stillAway(l.shardOf(rec.account)) {
			r.failed[rec.account], failures = true, append(failures, errAway)
			continue
		}
		err := r.remind(ctx, c.parked)
		if err == nil {
			err = r.bring(ctx, rec, "", c.ended)
		}
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			r.failed[rec.account] = true
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// segment checks whether Redis still has the ends recorded in a segment, and books those
// that it lacks. It returns the errors of accounts that cannot be booked on apart from the
// error that stopped it.
func (r *replay) segment(ctx context.Context, number uint64) (failures []error, err error) {
	var ends []*logRecord
	told := make(map[string]*logRecord)
	err = r.read(number, func(rec *logRecord) {
		switch {
		case rec.ends():
			ends = append(ends, rec)
		case rec.kind == noteBooked:
			told[rec.id] = rec
		}
	})
	if err != nil {
		return nil, err
	}
	missing, err := r.missing(ctx, number, ends)
	switch {
	case err != nil:
		return nil, err
	case len(missing) == 0:
		r.log.answered(number)
		return nil, nil
	}
	later, err := r.laterNotes()
	if err != nil {
		return nil, err
	}
	owing := false
	for _, rec := range missing {
		if r.failed[rec.account] {
			owing = true
			continue
		}
		if err := r.bringMissing(ctx, rec, cmp.Or(later[rec.id], told[rec.id]), number); err != nil {
			if ctx.Err() != nil || r.ledger.circuits.stillAway(r.ledger.shardOf(rec.account)) {
				return failures, err
			}
			r.failed[rec.account], owing = true, true
			failures = append(failures, err)
		}
	}
	if !owing {
		r.log.answered(number)
	}
	return failures, nil
}

// bringMissing books an end that Redis does not remember, unless the journal has it. note
// says that it was booked; it may be nil.
func (r *replay) bringMissing(ctx context.Context, rec, note *logRecord, segment uint64) error {
	if note == nil {
		note = new(logRecord)
	}
	if there, err := r.stands(ctx, rec, note.seq, segment); err != nil || there {
		return err
	}
	return r.bring(ctx, rec, note.told, segment)
}

// stands reports whether the journal has a charge under the very id at which it was noted to be booked, though Redis
// does not remember the request: its clock may have stood so far ahead that it forgot.
func (r *replay) stands(ctx context.Context, rec *logRecord, seq int64, segment uint64) (bool, error) {
	if rec.kind != recordSettle || seq == 0 {
		return false, nil
	}
	shard := r.ledger.shardOf(rec.account)
	found := false
	err := r.ledger.eachRaw(ctx, shard, seq, seq, archive.Query{}, func(e *archive.Entry) error {
		found = e.Type == TypeCharge && e.RequestID == rec.id
		return nil
	})
	if err == nil && found {
		r.done.There++
		r.log.found(segment, shard, seq)
	}
	return found, err
}

// laterNotes are the notes that Redis has booked a call which stand in a later segment than the call's end; of each call the
// last. A caller's note goes with a later write, at most a second after the end; a replay's at any time.
func (r *replay) laterNotes() (map[string]*logRecord, error) {
	if r.later != nil {
		return r.later, nil
	}
	later := make(map[string]*logRecord)
	for _, number := range r.log.wal.Segments() {
		here := make(map[string]bool)
		err := r.read(number, func(rec *logRecord) {
			switch {
			case rec.ends():
				here[rec.id] = true
			case rec.kind == noteBooked && !here[rec.id]:
				later[rec.id] = rec
			}
		})
		if err != nil {
			return nil, err
		}
	}
	r.later = later
	return later, nil
}

func (r *replay) read(number uint64, visit func(*logRecord)) error {
	return r.log.wal.ReplaySegment(number, func(p []byte) error { return eachRecord(p, visit) })
}

const markerBatch = 500

// missing are the ends that Redis does not remember, or remembers differently. Calls in
// flight and waiting are left out: others take care of them. A task may be lost
// although its end was waiting.
func (r *replay) missing(ctx context.Context, segment uint64, ends []*logRecord) (missing []*logRecord, err error) {
	for len(ends) > 0 {
		n := min(len(ends), markerBatch)
		batch := ends[:n]
		ends = ends[n:]
		markers, err := r.ledger.markers(ctx, batch)
		if err != nil {
			return nil, err
		}
		for i, rec := range batch {
			if r.brought[rec.id] && !rec.isParked() || !r.log.settled(rec.id) {
				continue
			}
			r.done.Records++
			seq, there := rec.remembered(markers[i])
			if !there {
				missing = append(missing, rec)
				continue
			}
			r.done.There++
			r.log.found(segment, r.ledger.shardOf(rec.account), seq)
		}
	}
	return missing, nil
}

// markers are the terminal answers that Redis remembers of requests; "" for none. Those that are damaged count as none: the
// script that books finds the same, and refuses for its account alone.
func (s *shards) markers(ctx context.Context, records []*logRecord) ([]string, error) {
	got := make([]*redis.StringCmd, len(records))
	sendAll(ctx, s.client, func(p redis.Pipeliner) error {
		for i, r := range records {
			got[i] = p.HGet(ctx, s.markerKey(s.shardOf(r.account), r.idMS), r.id)
		}
		return nil
	})
	markers := make([]string, len(records))
	for i, c := range got {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		markers[i] = c.Val()
	}
	return markers, nil
}

// remembered reports whether a marker says what the record says, and the
// journal entry that it names.
func (r *logRecord) remembered(marker string) (seq int64, there bool) {
	words := strings.Fields(marker)
	if len(words) == 0 {
		return 0, false
	}
	if words[0] == "c" && len(words) == 3 || words[0] == "a" && len(words) > 1 {
		_, _ = fmt.Sscan(words[1], &seq)
	}
	switch r.kind {
	case recordSettle:
		return seq, words[0] == "c" && len(words) == 3 && words[2] == r.digest()
	case recordRelease:
		return 0, words[0] == "r"
	case recordPark: // a task outlives its hold
		return 0, false
	}
	return seq, true // an abandoned call has ended, however it did
}

// bring books the end of one call. told says who paid when it was booked before.
func (r *replay) bring(ctx context.Context, rec *logRecord, told string, segment uint64) error {
	switch rec.kind {
	case recordSettle:
		return r.settle(ctx, rec, told, segment)
	case recordRelease, recordOpen:
		return r.release(ctx, rec)
	case recordPark:
		return r.park(ctx, rec)
	default:
		return r.abandon(ctx, rec, segment)
	}
}

func (r *replay) settle(ctx context.Context, rec *logRecord, told string, segment uint64) error {
	l, life := r.ledger, markerLife
	answer, err := l.runSettle(ctx, &rec.booking, life, told)
	if err == nil && answer.text(0) == "OLD" {
		if r.everCharged == nil {
			if err := r.archiveNotNamed(ctx, l.shardOf(rec.account)); err != nil {
				return err
			}
			return r.doubt(rec, fmt.Sprintf("it is older than %s, and there is no archive to ask whether it has been booked", markerLife))
		}
		stands, archiveErr := r.everCharged(ctx, rec.account, rec.id)
		if archiveErr != nil {
			return archiveErr
		}
		switch stands {
		case TypeAbandon: // of a checkpoint only; what could have paid the rest is forgotten
			return r.doubt(rec, fmt.Sprintf("it has been charged as abandoned, and is older than %s: that is not taken back any more", markerLife))
		case TypeCharge:
			r.done.There++
			r.log.done(&rec.booking)
			return nil
		}
		life += l.now().Sub(millis(rec.idMS)) // now it is known: it may be booked
		answer, err = l.runSettle(ctx, &rec.booking, life, told)
	}
	if err != nil {
		return err
	}
	switch outcome := answer.text(0); outcome {
	case "OK":
		v := answer.verdict(4)
		told = v.told()
		r.done.Settled++
		l.tally.replayed.Add(1)
	case "SAME":
		told = toldOf(answer.fields(4))
		r.done.There++
	case "CONFLICT":
		return r.doubt(rec, "the request has ended otherwise: "+answer.text(2))
	case "LOST":
		return r.doubt(rec, "there is no such account")
	default:
		return answer.unexpected()
	}
	shard, seq := l.shardOf(rec.account), answer.integer(3)
	if err := answer.problem(); err != nil {
		return err
	}
	r.log.found(segment, shard, seq)
	r.log.booked(&rec.booking, shard, seq, told)
	return nil
}

// archiveNotNamed is the error for a ledger that has an archive whose address this process
// lacks: another process can find out what has been booked, and a doubt would be final.
func (r *replay) archiveNotNamed(ctx context.Context, shard int) error {
	has, err := r.ledger.client.HExists(ctx, r.ledger.metaKey(shard), metaArchive).Result()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	case has:
		return fmt.Errorf("%w: the log has requests older than %s, and only the archive knows whether they have been booked: name it as archive.url in the file of -c", ErrUnavailable, markerLife)
	}
	return nil
}

// release gives a hold back: of a call that ended so, or of one of an earlier
// life that had delivered nothing.
//
// A task's hold is not that of a call that had delivered nothing, though the log, which power has cut, does not know of the task.
func (r *replay) release(ctx context.Context, rec *logRecord) error {
	if rec.kind == recordOpen {
		if is, err := r.ledger.isTasks(ctx, rec.account, rec.id); is || err != nil {
			if err == nil {
				r.done.There++
				r.log.done(&rec.booking)
			}
			return err
		}
	}
	_, err := r.ledger.giveBack(ctx, rec.account, rec.id, rec.idMS)
	switch {
	case err == nil:
		r.done.Released++
		if rec.kind == recordOpen {
			_, err = r.log.end(recordRelease, &rec.booking)
		}
	case errors.Is(err, ErrConflict) && rec.kind == recordRelease:
		return r.doubt(rec, err.Error())
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound): // it ended after all, or with its account
		r.done.There++
		err = nil
	}
	if err == nil {
		r.log.done(&rec.booking)
	}
	return err
}

// park brings a task, with its hold if that is lost. One whose account has the id from another call costs nothing.
func (r *replay) park(ctx context.Context, rec *logRecord) error {
	if r.ledger.now().Sub(millis(rec.idMS)) > taskMemoryLife { // nobody can ask for it any more
		r.done.There++
		r.log.done(&rec.booking)
		return nil
	}
	changed, err := r.bringTask(ctx, rec)
	switch {
	case errors.Is(err, ErrConflict):
		released := *rec
		released.kind = recordRelease
		return r.release(ctx, &released)
	case errors.Is(err, ErrNotFound):
		return r.doubt(rec, "there is no such account")
	case err != nil:
		return err
	case changed:
		r.done.Parked++
	default:
		r.done.There++
	}
	r.log.done(&rec.booking)
	return nil
}

func (r *replay) bringTask(ctx context.Context, rec *logRecord) (changed bool, err error) {
	id, memory, _ := strings.Cut(rec.told, "\t")
	return r.ledger.park(ctx, &rec.booking, id, memory)
}

// remind brings a task whose end is brought next: who asks for it again must find it. nil: there is none.
func (r *replay) remind(ctx context.Context, rec *logRecord) error {
	if rec == nil {
		return nil
	}
	_, err := r.bringTask(ctx, rec)
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// abandon ends a call of a proxy that died in the middle of it, by its last
// progress and the policy.
func (r *replay) abandon(ctx context.Context, rec *logRecord, segment uint64) error {
	l := r.ledger
	if rec.kind == recordProgress && (!chargesSomething(rec.lines) || l.onAbandoned == ReleaseAbandoned) {
		open := *rec
		open.kind = recordOpen
		return r.release(ctx, &open)
	}
	shard := l.shardOf(rec.account)
	outcome := "SKIPPED" // no hold: it has ended, or went with what Redis lost
	err := l.extend(ctx, &rec.booking)
	if l.onAbandoned == HoldAbandoned && err == nil {
		// Kept with the last progress: with Redis away, that came to the log alone.
		r.done.Kept++
		r.log.done(&rec.booking)
		return nil
	}
	if err == nil {
		answer, sweepErr := l.runSweep(ctx, shard, rec.account, rec.id, rec.idMS, abandonment{charge: l.onAbandoned == ChargeCheckpoint, dead: true})
		if sweepErr != nil {
			return sweepErr
		}
		outcome = answer.text(0)
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	if outcome == "ABANDONED" {
		r.done.Abandoned++
	} else {
		r.done.There++
	}
	if rec.kind == recordProgress {
		at, err := r.log.end(recordAbandon, &rec.booking)
		if err != nil {
			return err
		}
		segment = at.Segment
	}
	r.log.found(segment, shard, l.at(shard).seq()) // whoever has ended it: no later than this
	r.log.done(&rec.booking)
	return nil
}

// chargesSomething reports whether lines have any quantity.
func chargesSomething(lines string) bool {
	for line := range strings.Lines(lines) {
		if words := strings.Fields(line); len(words) > 1 && words[1] != "0" {
			return true
		}
	}
	return false
}

// doubt gives up on a record, and logs it.
func (r *replay) doubt(rec *logRecord, why string) error {
	r.done.Doubts = append(r.done.Doubts, Doubt{RequestID: rec.id, Account: rec.account, Why: why})
	return r.log.doubt(rec, why)
}
