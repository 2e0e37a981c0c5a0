package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/wal"
)

// The settlement logs of one host's proxies stand side by side in a directory,
// as 0, 1, 2, …: each process takes the first that no living process has, so
// that many proxies can be started from one configuration. What is in a log
// that nobody has is booked by whoever starts next.
const maxLogs = 256

// errLogTaken is returned for a log that cannot be had: a living process has
// it, or it is another ledger's.
var errLogTaken = errors.New("taken")

// openLog takes a settlement log, if there is to be one. fresh says that the ledger
// has just been made: where one stands that is another's, Redis may have been emptied.
func (l *Ledger) openLog(o *Options, fresh bool) error {
	if o.Log == "" {
		return nil
	}
	for n := range maxLogs {
		dir := filepath.Join(o.Log, strconv.Itoa(n))
		log, err := openSettleLog(dir, l.identity, l.shardOf, o.Durability == DurabilityStrict, o.LogSize)
		if errors.Is(err, errLogTaken) {
			if fresh && !errors.Is(err, wal.ErrLocked) {
				l.logger.Warn("there was no ledger in this Redis, and a new one was made, which knows no key: if Redis was emptied, or is not the one that it should be, "+
					"stop this process and bring back its data; the settlement log of the ledger that was there before stays as it is", zap.Error(err))
			}
			continue
		}
		if err == nil {
			l.log, l.replayer = log, &replayer{ledger: l, log: log, beside: o.Log}
		}
		return err
	}
	return fmt.Errorf("%w: settlement logs %s: all %d are taken", ErrInvalid, o.Log, maxLogs)
}

// logsIn lists the logs in a directory: itself, if it is one, else those
// numbered in it.
func logsIn(dir string) (dirs []string, err error) {
	segments, err := filepath.Glob(filepath.Join(dir, strings.Repeat("[0-9]", 12)+".log"))
	if err != nil || len(segments) > 0 {
		return []string{dir}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil && e.IsDir() {
			dirs = append(dirs, filepath.Join(dir, e.Name()))
		}
	}
	return dirs, nil
}

// AdoptLog replays settlement logs of proxies that are dead and will not come
// back on their own: the one in dir, or all in it that no living process has.
// It may be called again, and changes nothing then. ErrNotFound is returned for
// a directory without a log, ErrInvalid for logs that living processes have or
// that are another ledger's, ErrUnavailable.
func (l *Ledger) AdoptLog(ctx context.Context, dir string) (*Replayed, error) {
	dirs, err := logsIn(dir)
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("%w: there is no settlement log in %s", ErrNotFound, dir)
	}
	if err != nil {
		return nil, err
	}
	var sum *Replayed
	var taken error
	var leftAlone []string
	var failures []error
	for _, dir := range dirs {
		done, err := l.adopt(ctx, dir)
		if errors.Is(err, errLogTaken) {
			taken, leftAlone = err, append(leftAlone, err.Error())
			continue
		}
		sum = sum.plus(done)
		if err != nil {
			failures = append(failures, err)
		}
		if ctx.Err() != nil || errors.Is(err, errAway) {
			break // of no other log anything could be booked
		}
	}
	if sum == nil && failures == nil {
		return nil, taken
	}
	if sum != nil {
		sum.LeftAlone = leftAlone
	}
	return sum, errors.Join(failures...)
}

// adopt replays one log that nobody has.
func (l *Ledger) adopt(ctx context.Context, dir string) (*Replayed, error) {
	if _, err := os.Stat(filepath.Join(dir, identityFile)); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not say whose log it is (the file %q is missing)", ErrInvalid, dir, identityFile)
	}
	g, err := openSettleLog(dir, l.identity, l.shardOf, false, 0)
	if err != nil {
		return nil, err
	}
	r := l.newReplay(g)
	err = r.run(ctx)
	return &r.done, errors.Join(err, g.close())
}

// plus adds up what replays did; either may be nil.
func (r *Replayed) plus(more *Replayed) *Replayed {
	if r == nil || more == nil {
		return cmp.Or(r, more)
	}
	return &Replayed{
		Records: r.Records + more.Records, There: r.There + more.There, Settled: r.Settled + more.Settled,
		Released: r.Released + more.Released, Abandoned: r.Abandoned + more.Abandoned, Parked: r.Parked + more.Parked, Kept: r.Kept + more.Kept,
		Doubts: slices.Concat(r.Doubts, more.Doubts),
	}
}
