package ledger

import (
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// aofWait bounds the wait for a rewrite that Redis has put off.
const aofWait = 3 * time.Second

// newAOF lets a server that has come up anew begin a new append-only file
// before anything is written to it.
//
// A script's writes stand in that file between MULTI and EXEC. Where a crash
// has cut the file within a command of such a block, Redis (all versions so
// far, with aof-load-truncated yes) ignores the block, but leaves its beginning
// in the file and appends to it: at the next start the block ends with the next
// EXEC, comes back from the dead, and mixes with what was booked under its ids
// since. A rewrite leaves that file behind; the new one is begun at once, and
// from then on a crash makes Redis refuse to start rather than mix.
func (s *shards) newAOF(ctx context.Context, c redis.Cmdable) error {
	if s.embedded {
		return nil
	}
	text, err := c.Info(ctx, "persistence").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(text, "aof_enabled:1") {
		return nil
	}
	if err := c.BgRewriteAOF(ctx).Err(); err != nil && !strings.Contains(err.Error(), "in progress") {
		// Not everybody may do that, on hosted servers for example. It is a second crash that needs it.
		s.logger.Warn("Redis did not begin a new append-only file when asked to: if the old one was cut by a crash, rewrite it (BGREWRITEAOF) before the next restart", zap.Error(err))
		return nil
	}
	for deadline := time.Now().Add(aofWait); time.Now().Before(deadline); {
		text, err := c.Info(ctx, "persistence").Result()
		if err != nil || !strings.Contains(text, "aof_rewrite_scheduled:1") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(recoveryPoll):
		}
	}
	s.logger.Warn("Redis has put the rewrite of its append-only file off: until it is done, a crash may need redis-check-aof")
	return nil
}
