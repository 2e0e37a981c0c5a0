package ledger

import (
	"fmt"
	"sync/atomic"
	"time"
)

// When Redis has gone back in time, its balances are too high until every
// proxy has replayed its log, and calls in flight may have lost their holds.
// Admission waits for that, a bounded time, and says so: what is admitted
// meanwhile might be paid with money that is spent.

const (
	// reconcileTime is what the other proxies have: each looks at Redis once in
	// a replayTick, and then replays.
	reconcileTime = 2 * time.Second
	// reconcilePatience bounds how long admission waits for a replay of its own.
	reconcilePatience = 30 * time.Second
)

// losses counts how often this process found Redis without what it had acknowledged, and
// whether that has been replayed.
type losses struct {
	patience time.Duration // with the other proxies: reconcileTime, but in tests
	// othersUntil is when the others have had their time, in ns since 1970; 0: nothing was lost.
	othersUntil atomic.Int64
	// count is how many there were, replayed how many of them this process's log has been replayed after.
	count, replayed atomic.Int64
}

// add notes one more.
func (s *losses) add() {
	s.count.Add(1)
	s.othersUntil.Store(time.Now().Add(s.patience).UnixNano())
}

// reconciled reports whether what was lost has been replayed: nil or
// ErrUnavailable. logged says that this process has a log to replay.
func (s *losses) reconciled(logged bool) error {
	until := s.othersUntil.Load()
	if until == 0 {
		return nil
	}
	late := time.Since(time.Unix(0, until))
	own := logged && s.replayed.Load() < s.count.Load()
	if late < 0 || own && late < reconcilePatience {
		return fmt.Errorf("%w: Redis had lost a part of what it had acknowledged; new calls wait until the proxies have replayed their settlement logs", ErrUnavailable)
	}
	if !own {
		s.othersUntil.CompareAndSwap(until, 0)
	}
	return nil
}
