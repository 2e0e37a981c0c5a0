package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Task is what a call has brought whose end is asked for later, maybe of
// another process. Its hold stands until then, for at most Options.TaskTTL;
// then it is swept like any other.
type Task struct {
	// Checkpoint is what is charged if nobody ever asks how it ended, or asks no more.
	Checkpoint
	// ID is the upstream's; see ValidObjectID.
	ID string
	// Memory is what FindObject returns: what the caller wants to know again. No
	// line ends, no tabs, and no more than MaxTaskMemory bytes of it.
	Memory string
}

// MaxTaskMemory bounds what a caller may want to know of a task again, in bytes:
// it must fit into the settlement log's room for a call's end.
const MaxTaskMemory = 8 << 10

// taskMemoryLife is how long a task is remembered. It is no longer than the
// outcome of its request: who is told how a task ended must find that.
const taskMemoryLife = markerLife

// Park turns a call's hold into its task's, in one round trip: the call is not in
// flight any more, and its hold stands. Parking the same again changes nothing, unless the
// checkpoint has more tokens: then that is charged if nobody asks on.
// ErrConflict is returned when the account has the task of another call,
// ErrNotFound for an account that is not there, ErrInvalid, ErrUnavailable.
//
// With a settlement log, the task is in it before Redis is asked, and Redis away
// is no error: the log is made durable, and the task parked by replay.
func (l *Ledger) Park(ctx context.Context, t Task) error {
	b, err := l.bookingOf(&t.Settlement)
	if err != nil {
		return err
	}
	if !ValidObjectID(t.ID) || len(t.Memory) > MaxTaskMemory || strings.ContainsAny(t.Memory, "\t\r\n") {
		return fmt.Errorf("%w: task %q with %d bytes to be remembered", ErrInvalid, t.ID, len(t.Memory))
	}
	if l.log != nil {
		return l.parkLogged(ctx, &t, b)
	}
	_, err = l.park(ctx, b, t.ID, t.Memory)
	return err
}

// park asks Redis to; changed reports whether that was not so before.
func (l *Ledger) park(ctx context.Context, b *booking, id, memory string) (changed bool, err error) {
	shard := l.shardOf(b.account)
	life := max(time.Minute, min(taskMemoryLife, taskMemoryLife-l.now().Sub(millis(b.idMS))))
	keys := append(l.keysOf(shard, b.account, b.idMS), l.taskKey(shard, id))
	r, err := l.run(ctx, l.scripts.park, shard, keys, append(l.args(15), b.account, b.id, l.taskTTL.Milliseconds(), b.tokens, b.lines, b.static,
		id, b.id+" "+b.suffix+" "+memory, life.Milliseconds(), b.suffix, b.model, l.zoneOffset(), summary(b.lines), b.idMS, markerLife.Milliseconds()))
	if err != nil {
		return false, err
	}
	switch outcome := r.text(0); outcome {
	case "OK", "SAME":
		return outcome == "OK", nil
	case "TAKEN":
		return false, fmt.Errorf("%w: task %s is that of request %s", ErrConflict, id, r.text(2))
	case "OLD":
		return false, fmt.Errorf("%w: request %s is older than %s", ErrConflict, b.id, markerLife)
	case "LOST":
		return false, fmt.Errorf("%w: account %s", ErrNotFound, b.account)
	default:
		return false, r.unexpected()
	}
}

// TaskIsSomebodys reports whether any account has a task of that id. It asks every shard, in one round trip.
func (l *Ledger) TaskIsSomebodys(ctx context.Context, id string) (bool, error) {
	there := make([]*redis.IntCmd, len(l.tags))
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range l.tags {
			there[shard] = p.Exists(ctx, l.taskKey(shard, id))
		}
		return nil
	})
	if err != nil {
		return false, unavailable(err)
	}
	return slices.ContainsFunc(there, func(c *redis.IntCmd) bool { return c.Val() > 0 }), nil
}

// isTasks reports whether a request's hold is its task's.
func (l *Ledger) isTasks(ctx context.Context, account, requestID string) (bool, error) {
	text, err := l.client.HGet(ctx, l.namesOf(l.shardOf(account), account).own[scriptKeys-2], requestID).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	hold, err := readHold(text)
	return err == nil && hold.task != "", nil
}
