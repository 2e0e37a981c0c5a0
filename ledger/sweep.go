package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// sweepBatch is how many holds and how many packs of a shard one round ends at most.
const sweepBatch = 200

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

// Sweep ends the holds whose deadline has passed, in every shard, a bounded
// number each: what a checkpoint says was delivered is charged, the rest given
// back. Then it ends the packs whose time has passed, likewise. It returns what
// it did before an error, too.
func (l *Ledger) Sweep(ctx context.Context) (Swept, error) {
	return l.sweep(ctx, func() bool { return true })
}

// sweep is Sweep, only while deadlines can be believed: those of packs too, since what one of them has paid and Redis
// has lost is not booked again yet. Taken away as expired, it could not pay that.
func (l *Ledger) sweep(ctx context.Context, believed func() bool) (Swept, error) {
	var swept Swept
	var failures []error
	for shard := range l.tags {
		err := l.sweepShard(ctx, shard, believed, &swept)
		if err == nil && believed() {
			err = l.expireShard(ctx, shard, &swept)
		}
		if ctx.Err() != nil {
			return swept, err
		}
		failures = append(failures, err)
	}
	return swept, onceEach(failures)
}

// onceEach joins failures, each text once: all shards of a faulty server report the same.
func onceEach(failures []error) error {
	said := make(map[string]bool)
	var distinct []error
	for _, err := range failures {
		if err != nil && !said[err.Error()] {
			said[err.Error()] = true
			distinct = append(distinct, err)
		}
	}
	return errors.Join(distinct...)
}

func (l *Ledger) sweepShard(ctx context.Context, shard int, believed func() bool, swept *Swept) error {
	r, err := l.due(ctx, shard, sweepBatch)
	if err != nil {
		return err
	}
	due, open := r.integer(2), r.integer(3)
	if err := r.problem(); err != nil {
		return err
	}
	swept.Open += int(open)
	if l.onAbandoned == HoldAbandoned {
		swept.Kept += int(due)
		return nil
	}
	var failures []error
	for i := 4; i < len(r.values); i++ {
		if !believed() {
			return nil
		}
		account, request, _ := strings.Cut(strings.TrimRight(r.text(i), " "), " ")
		if err := l.sweepOne(ctx, shard, account, request, swept); err != nil {
			if ctx.Err() != nil || l.circuits.stillAway(shard) {
				return err
			}
			failures = append(failures, err) // one that is damaged keeps no other
		}
	}
	return errors.Join(failures...)
}

// due asks which holds of a shard are past their time, the oldest first.
func (l *Ledger) due(ctx context.Context, shard, most int) (*reply, error) {
	keys := []string{l.metaKey(shard), l.journalKey(shard), l.dueKey(shard)}
	return l.run(ctx, l.scripts.due, shard, keys, append(l.args(1), most))
}

func (l *Ledger) sweepOne(ctx context.Context, shard int, account, request string, swept *Swept) error {
	idMS, err := idMillis(request)
	if err != nil {
		return fmt.Errorf("%w: shard %d: hold of %s: %w", ErrUnavailable, shard, account, err)
	}
	r, err := l.runSweep(ctx, shard, account, request, idMS, abandonment{charge: l.onAbandoned == ChargeCheckpoint})
	if err != nil {
		return err
	}
	switch outcome := r.text(0); outcome {
	case "ABANDONED":
		swept.Abandoned++
		swept.Open--
	case "RELEASED":
		swept.Released++
		swept.Open--
	case "SKIPPED": // extended, settled or released in between
	default:
		return r.unexpected()
	}
	return nil
}

// An abandonment says how a hold ends that nobody has ended.
type abandonment struct {
	charge bool // what its checkpoint says was delivered is charged; else all is given back
	dead   bool // its proxy is known to be dead: it ends before its deadline, too
}

// runSweep ends one hold.
func (l *Ledger) runSweep(ctx context.Context, shard int, account, request string, idMS int64, a abandonment) (*reply, error) {
	return l.run(ctx, l.scripts.sweep, shard, l.keysOf(shard, account, idMS), l.sweepArgs(account, request, a))
}

func (l *Ledger) sweepArgs(account, request string, a abandonment) []any {
	return append(l.args(6), account, request, truth(a.charge), l.zoneOffset(), markerLife.Milliseconds(), truth(a.dead))
}

// RunSweeper sweeps until ctx ends. It tells the logger what it did. While
// Redis was away no heartbeat could arrive, so deadlines that have passed since
// prove nothing: it waits a hold's time to live after an outage or a recovery,
// in which the proxies replay their logs, too.
func (l *Ledger) RunSweeper(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		last := l.circuits.last.Load()
		grace, graceErr := l.inGrace(ctx)
		swept, err := l.sweep(ctx, func() bool { return !grace && l.circuits.last.Load() == last })
		l.tally.swept(&swept)
		switch {
		case errors.Is(err, context.Canceled):
		case err != nil:
			l.logger.Warn("sweep failed", zap.Error(err))
		case graceErr != nil && ctx.Err() == nil:
			l.logger.Warn("no hold or pack is swept: whether heartbeats could arrive cannot be told", zap.Error(graceErr))
		case swept.Abandoned+swept.Released+swept.Expired > 0:
			l.logger.Info("swept abandoned holds and expired packs", zap.Int("expired", swept.Expired), zap.Int("charged", swept.Abandoned),
				zap.Int("released", swept.Released), zap.Int("open", swept.Open))
		}
	}
}

// inGrace reports whether heartbeats may have been unable to arrive within the last hold
// TTL: this process has not reached Redis, Redis has not run for that long, or a recovery
// has lifted its fence since. If Redis cannot be asked it answers yes, with the error: in
// doubt nothing is swept.
func (l *Ledger) inGrace(ctx context.Context) (bool, error) {
	if last := l.circuits.last.Load(); last != 0 && time.Since(time.Unix(0, last)) < l.holdTTL {
		return true, nil
	}
	if l.embedded {
		return false, nil
	}
	grace := false
	err := l.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		info, err := c.Info(ctx, "server").Result()
		if up, found := uptime(info); found && up < l.holdTTL {
			grace = true
		}
		return err
	})
	// One that is yet to come was told by a clock that has been set back since: it would keep all from being swept until then.
	recovered, recoveredErr := l.recoveredAt(ctx, time.Now().Add(l.holdTTL))
	err = errors.Join(err, recoveredErr)
	return grace || err != nil || time.Since(recovered) < l.holdTTL, err
}

func uptime(info string) (time.Duration, bool) {
	_, rest, found := strings.Cut(info, "uptime_in_seconds:")
	number, _, _ := strings.Cut(rest, "\r\n")
	seconds, err := strconv.ParseInt(number, 10, 64)
	return time.Duration(seconds) * time.Second, found && err == nil
}

// recoveredAt is when a shard was last recovered before that; long ago if none ever was.
func (s *shards) recoveredAt(ctx context.Context, before time.Time) (latest time.Time, err error) {
	times := make([]*redis.StringCmd, len(s.tags))
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range s.tags {
			times[shard] = p.HGet(ctx, s.metaKey(shard), metaRecovered)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return latest, err
	}
	for _, t := range times {
		if ms, err := t.Int64(); err == nil && millis(ms).After(latest) && millis(ms).Before(before) {
			latest = millis(ms)
		}
	}
	return latest, nil
}
