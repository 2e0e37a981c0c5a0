package proxy

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
)

// RunHeartbeat extends the holds of calls in flight until ctx ends, so that
// only those of a dead proxy are swept. Each beat carries a checkpoint: what
// has been delivered so far, to be charged should this process die.
func (p *Proxy) RunHeartbeat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var missed int
		var failure error
		p.eachCall(func(c *call) {
			if err := p.beat(ctx, c, every); err != nil {
				missed, failure = missed+1, err
			}
		})
		if missed > 0 && ctx.Err() == nil {
			p.log.Warn("holds not extended", zap.Int("calls", missed), zap.Error(failure))
		}
	}
}

// beat extends one hold. Young calls need none: their hold is fresh.
func (p *Proxy) beat(ctx context.Context, c *call, every time.Duration) error {
	if time.Since(c.at) < every {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerPatience)
	defer cancel()
	checkpoint, ok := c.checkpoint()
	if !ok {
		return nil
	}
	err := p.ledger.Extend(ctx, checkpoint)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil // it has been settled meanwhile
	}
	return err
}
