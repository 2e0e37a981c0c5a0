package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// A replayer brings Redis what this process's settlement log has and Redis
// lacks: at the start, when a server that was away is back, and when one may
// have lost something. It finds that out by asking them, and owns the log beside
// the calls: it writes the notes that wait, and purges. What is in logs that
// nobody has it books at the start.
//
// A replay books, releases and abandons as the calls do, and asks the journal and
// the archive: a replayer needs what a caller of the Ledger needs, so it has that.
type replayer struct {
	ledger *Ledger
	log    *settleLog
	beside string // the directory in which log and those of other proxies stand
	// unfinished says that the replay at the start did not come to its end.
	unfinished bool
	purged     time.Time // when the log last was
	// whole says that all of the log is to be looked at, not only what waits; in vain, not before next. Where a person must look, at a
	// damaged account, it would all be read and asked for every second, for days: the pause doubles.
	whole bool
	pause time.Duration
	next  time.Time
}

const (
	replayTick = time.Second
	purgeEvery = 10 * time.Second
)

// atStart replays what an earlier life of this process has left, before the
// first call. What cannot be done yet is left to the loop.
func (r *replayer) atStart(ctx context.Context) error {
	r.unfinished = true
	err := r.all(ctx)
	if err != nil && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
		return err
	}
	r.unfinished = err != nil
	return nil
}

// RunReplay owns the settlement log until ctx ends: it looks for a Redis that is
// away, replays when it is back, and purges. Without a log it returns at once.
func (l *Ledger) RunReplay(ctx context.Context) {
	if l.replayer != nil {
		l.replayer.loop(ctx)
	}
}

func (r *replayer) loop(ctx context.Context) {
	circuits := r.ledger.circuits
	circuits.watched.Store(true)
	defer circuits.watched.Store(false)
	tick := time.NewTicker(replayTick)
	defer tick.Stop()
	r.whole = r.unfinished
	for {
		if !r.awaitRedis(ctx) {
			return
		}
		r.replay(ctx, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-circuits.suspected:
			r.whole, r.next = true, time.Time{}
			continue
		case <-tick.C:
		}
		r.look(ctx)
		if len(circuits.suspected) > 0 {
			continue // replayed before anything is purged: ids may mean other entries now
		}
		if err := r.tidy(time.Now()); err != nil {
			r.ledger.logger.Error("the settlement log cannot be written or purged", zap.Error(err))
		}
	}
}

// replay books what waits, or whatever of the log Redis may lack.
func (r *replayer) replay(ctx context.Context, now time.Time) {
	switch {
	case r.whole && !now.Before(r.next):
		if r.whole = r.all(ctx) != nil; !r.whole {
			r.pause = 0
			return
		}
		r.pause = min(max(replayTick, 2*r.pause), maxFailurePause)
		r.next = now.Add(r.pause)
	case r.log.hasPending():
		r.whole = r.waiting(ctx) != nil || r.whole
	}
}

// tidy writes the notes that wait, and purges when it is time.
func (r *replayer) tidy(now time.Time) error {
	err := errors.Join(r.log.flush(), r.log.wal.Check())
	if now.Sub(r.purged) < purgeEvery {
		return nil // an error is told of as often as that
	}
	r.purged = now
	return errors.Join(err, r.log.purge(now, r.watermark()))
}

// watermark tells how far the archive is; nil without one.
func (r *replayer) watermark() func(shard int) int64 {
	if !r.ledger.vault.here() {
		return nil
	}
	return r.ledger.archiver.watermark
}

// awaitRedis returns when every server that was found away can be asked
// again; false when ctx ends first.
func (r *replayer) awaitRedis(ctx context.Context) bool {
	circuits := r.ledger.circuits
	for shard := range circuits.list {
		for pause := probeEvery; circuits.stillAway(shard); pause = min(2*pause, awayFor) {
			if r.ledger.probe(ctx, shard) == nil {
				break
			}
			select {
			case <-ctx.Done():
				return false
			case <-time.After(pause):
			}
		}
	}
	return ctx.Err() == nil
}

// look pings every server, so that a process without calls notices, too, that Redis was
// recovered or has restarted.
func (r *replayer) look(ctx context.Context) {
	for shard := range r.ledger.circuits.list {
		_ = r.ledger.probe(ctx, shard) // what it comes to is learned on the way
	}
}

// all books what is in this process's log, and in those of its neighbours if
// that has not been done at the start. What cannot be booked from one log keeps
// no other from it.
func (r *replayer) all(ctx context.Context) error {
	err := r.own(ctx)
	if !r.unfinished || ctx.Err() != nil || err != nil && !errors.Is(err, ErrUnavailable) || errors.Is(err, errAway) {
		return err
	}
	othersErr := r.adoptOthers(ctx)
	if othersErr != nil && !errors.Is(othersErr, ErrUnavailable) {
		return othersErr
	}
	err = errors.Join(err, othersErr)
	r.unfinished = err != nil
	return err
}

// own books what is in the log and not in Redis. It is safe at any time, many at
// once included: what has been booked is not booked again.
func (r *replayer) own(ctx context.Context) error {
	losses := &r.ledger.losses
	before := losses.count.Load()
	walk := r.ledger.newReplay(r.log)
	err := walk.run(ctx)
	if err == nil {
		raise(&losses.replayed, before)
	}
	r.tell(&walk.done, err)
	return err
}

// waiting books what is known to wait.
func (r *replayer) waiting(ctx context.Context) error {
	walk := r.ledger.newReplay(r.log)
	err := walk.waiting(ctx)
	r.tell(&walk.done, err)
	return err
}

// adoptOthers books what is in the logs beside our own that no process has. One that
// cannot be read is reported and left alone. A ledger without a log of its own, such as a
// verb's, has no replayer and adopts none: it never looks at files of the working
// directory.
func (r *replayer) adoptOthers(ctx context.Context) error {
	dirs, err := logsIn(r.beside)
	if err != nil {
		return err
	}
	var failures []error
	for _, dir := range dirs {
		if dir == r.log.dir {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, identityFile)); errors.Is(err, os.ErrNotExist) {
			continue // its process ended before it had a record: the first thing it writes is whose log it is
		}
		done, err := r.ledger.adopt(ctx, dir)
		if errors.Is(err, errLogTaken) {
			continue
		}
		if err != nil && !errors.Is(err, ErrUnavailable) && ctx.Err() == nil {
			// No waiting helps: who has looked at it starts a proxy, or replays it by the verb.
			r.ledger.logger.Error("a settlement log of another proxy cannot be read, and what is left in it is not booked: a person must look, "+
				"and then `tollgate log replay` it", zap.String("log", dir), zap.Error(err))
			continue
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", dir, err)
			failures = append(failures, err)
		}
		r.tell(cmp.Or(done, new(Replayed)), err)
		if ctx.Err() != nil || errors.Is(err, errAway) {
			break
		}
	}
	return errors.Join(failures...)
}

func (r *replayer) tell(done *Replayed, err error) {
	fields := []zap.Field{
		zap.Int("records", done.Records), zap.Int("settled", done.Settled), zap.Int("released", done.Released),
		zap.Int("abandoned", done.Abandoned), zap.Int("doubts", len(done.Doubts)),
	}
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		r.ledger.logger.Warn("the settlement log is not replayed to its end yet", append(fields, zap.Error(err))...)
	case len(done.Doubts) > 0:
		r.ledger.logger.Error("settlements could not be booked: see "+doubtsFile+" beside the settlement log", append(fields, zap.Any("list", done.Doubts))...)
	case done.changed():
		r.ledger.logger.Info("settlement log replayed", fields...)
	}
}
