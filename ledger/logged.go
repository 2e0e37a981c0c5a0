package ledger

import (
	"context"
	"errors"
	"fmt"
)

// How the data plane uses the settlement log: the log first, then Redis; and
// when Redis is away, the log alone.

// LogState says what the settlement log holds; false without one.
func (l *Ledger) LogState() (LogState, bool) {
	if l.log == nil {
		return LogState{}, false
	}
	return l.log.state(), true
}

// logReady reports what keeps the log from taking new calls: nil or ErrUnavailable.
func (l *Ledger) logReady() error {
	if l.log == nil {
		return nil
	}
	if err := l.log.wal.Ready(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if !l.log.wal.Room(settleRoom) {
		return fmt.Errorf("%w: settlement log full: %s", ErrUnavailable, l.log.dir)
	}
	l.log.wal.Return(settleRoom)
	return nil
}

// reserveLogged asks for a hold once the log knows of it.
func (l *Ledger) reserveLogged(r *Reservation, b *booking, ask func() (*reply, error)) (*Hold, error) {
	if l.log == nil {
		reply, err := ask()
		if err != nil {
			return nil, err
		}
		return l.holdOf(r, reply)
	}
	if err := l.log.open(b); err != nil {
		return nil, err
	}
	reply, err := ask()
	var hold *Hold
	if err == nil {
		hold, err = l.holdOf(r, reply)
	}
	if err == nil {
		err = l.losses.reconciled(true) // the loss may have been noticed by this very question
	}
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable):
		// It may have been placed, or may still be: replay gives it back, and a reserve
		// that runs after that places none. A failed connection proves nothing: it may
		// have been the second try.
		if _, endErr := l.log.end(recordRelease, b); endErr != nil {
			return nil, errors.Join(err, endErr)
		}
		l.log.postpone(b.id)
	default:
		l.log.done(b)
	}
	return hold, err
}

// settleLogged books a charge that is in the log before Redis is asked. Redis
// away, the receipt is a promise.
func (l *Ledger) settleLogged(ctx context.Context, s *Settlement, b *booking) (*Receipt, error) {
	var receipt *Receipt
	answered, err := l.logFirst(&logRecord{kind: recordSettle, booking: *b}, func() (err error) {
		receipt, err = l.book(ctx, s, b)
		return err
	})
	shard := l.shardOf(b.account)
	switch {
	case answered:
		if errors.Is(err, ErrConflict) {
			l.tally.conflicts.Add(1)
		}
		l.ended(b, shard, receipt)
		return receipt, err
	case err != nil:
		return nil, err
	}
	return l.promise(shard, s), nil
}

// parkLogged parks a task that is in the log before Redis is asked.
func (l *Ledger) parkLogged(ctx context.Context, t *Task, b *booking) error {
	answered, err := l.logFirst(&logRecord{kind: recordPark, told: t.ID + "\t" + t.Memory, booking: *b}, func() error {
		_, err := l.park(ctx, b, t.ID, t.Memory)
		return err
	})
	if answered {
		l.log.done(b)
	}
	return err
}

// logFirst logs how a call ends, and then asks Redis. A strict log is made durable before that, any other only
// when Redis is away. answered says that err is Redis's answer; if it is not, a nil err says that the log is
// durable, and replay will ask again.
func (l *Ledger) logFirst(end *logRecord, ask func() error) (answered bool, err error) {
	at, logErr := l.log.endWith(end)
	if logErr == nil && l.log.strict {
		logErr = l.log.sync(at)
	}
	err = errAway
	// If the log cannot be written, Redis is asked even if it is known to be away.
	if logErr != nil || !l.circuits.away(l.shardOf(end.account)) {
		if err = ask(); !errors.Is(err, ErrUnavailable) {
			return true, err
		}
	}
	if logErr == nil && !l.log.strict {
		logErr = l.log.sync(at)
	}
	l.log.postpone(end.id)
	if logErr != nil {
		return false, errors.Join(err, logErr)
	}
	return false, nil
}

// ended tells the log that Redis has the last word on a call.
func (l *Ledger) ended(b *booking, shard int, receipt *Receipt) {
	if receipt == nil {
		l.log.done(b)
		return
	}
	l.log.booked(b, shard, receipt.seq(), receipt.told)
}

// promise is the receipt of a charge that is in the log and not in the ledger, at list
// price. Who pays is decided when it is booked.
func (l *Ledger) promise(shard int, s *Settlement) *Receipt {
	e, fee := stated(shard, s), s.Charge.Fee
	e.Time, e.Fee = l.now().UTC(), &fee
	return &Receipt{Entry: e, Pending: true}
}

// releaseLogged gives a hold back, by replay if Redis is away.
func (l *Ledger) releaseLogged(ctx context.Context, account, requestID string, idMS int64) (*Standing, error) {
	b := &booking{id: requestID, account: account, idMS: idMS}
	_, logErr := l.log.end(recordRelease, b)
	err := errAway
	if logErr != nil || !l.circuits.away(l.shardOf(account)) {
		var standing *Standing
		standing, err = l.giveBack(ctx, account, requestID, idMS)
		if !errors.Is(err, ErrUnavailable) {
			l.log.done(b)
			return standing, err
		}
	}
	l.log.postpone(requestID)
	return nil, errors.Join(err, logErr)
}
