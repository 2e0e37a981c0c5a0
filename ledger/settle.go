package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Settle replaces a hold by the charge, in one round trip. It is bounded
// without ctx's help, as Reserve and Release are. The charge is
// booked whole, above the hold and without one too. Settling the same again
// returns the first receipt, with Repeated set. Errors: ErrConflict when the
// request has been released, or settled with another charge, or is so old that
// its outcome is forgotten; ErrNotFound for an account that is not there;
// ErrInvalid for a charge that cannot be booked; ErrUnavailable.
//
// With a settlement log, the charge is in it before Redis is asked, and Redis
// away is no error: the log is made durable, the receipt says Pending, and the
// charge is booked by replay.
func (l *Ledger) Settle(ctx context.Context, s Settlement) (*Receipt, error) {
	b, err := l.bookingOf(&s)
	if err != nil {
		return nil, err
	}
	if l.log != nil {
		return l.settleLogged(ctx, &s, b)
	}
	return l.book(ctx, b)
}

// A booking is a settlement or a checkpoint as the scripts take it, with
// nothing left to compute: what is in the settlement log.
type booking struct {
	id, account, suffix, model string
	static, lines              string // the statement in JSON, and the lines as encodeLines writes them
	tokens                     int64
	idMS                       int64
	said                       *statement // nil when the booking was read from the log
}

func (l *Ledger) bookingOf(s *Settlement) (*booking, error) {
	idMS, lines, suffix, err := l.checkSettlement(s)
	if err != nil {
		return nil, err
	}
	said := newStatement(s)
	static := said.appendJSON(make([]byte, 0, 256))
	return &booking{
		id: s.ID, account: s.Account, suffix: suffix, model: s.Model, static: string(static), lines: lines,
		tokens: s.Charge.Tokens(), idMS: idMS, said: said,
	}, nil
}

func (b *booking) digest() string { return digest(b.account, b.model, b.lines) }

// runSettle runs the script. life is how long a request's outcome is
// remembered, and how old a request without one may be; told says who paid
// when it was booked before, "" when it was not.
func (l *Ledger) runSettle(ctx context.Context, b *booking, life time.Duration, told string) (*reply, error) {
	shard := l.shardOf(b.account)
	args := texts(l.args(12), b.account, b.id, b.suffix, b.model, b.static, b.digest(), b.lines,
		whole(b.tokens), l.zoneOffset(), whole(b.idMS), ms(life), told)
	return l.run(ctx, l.scripts.settle, shard, l.keysOf(shard, b.account, b.idMS), args)
}

// book asks Redis to book a charge, and reads the receipt.
func (l *Ledger) book(ctx context.Context, b *booking) (*Receipt, error) {
	r, err := l.runSettle(ctx, b, markerLife, "")
	if err != nil {
		return nil, err
	}
	shard := l.shardOf(b.account)
	switch outcome := r.text(0); outcome {
	case "OK":
		return receiptOf(shard, r, b)
	case "SAME":
		return l.repeatedReceipt(ctx, shard, r)
	case "CONFLICT":
		return nil, fmt.Errorf("%w: request %s has ended otherwise (%s)", ErrConflict, b.id, r.text(2))
	case "OLD":
		return l.bookedLongAgo(ctx, b)
	case "LOST":
		return nil, fmt.Errorf("%w: account %s", ErrNotFound, b.account)
	default:
		return nil, r.unexpected()
	}
}

// checkSettlement checks what a settlement or checkpoint says before it goes to Redis.
func (l *Ledger) checkSettlement(s *Settlement) (idMS int64, lines, suffix string, err error) {
	if err = checkAccount(s.Account); err != nil {
		return 0, "", "", err
	}
	if idMS, err = idMillis(s.ID); err != nil {
		return 0, "", "", err
	}
	if s.Key != "" {
		account, tail, ok := splitKeyID(s.Key)
		if !ok || account != s.Account {
			return 0, "", "", fmt.Errorf("%w: key %q is not one of account %s", ErrInvalid, s.Key, s.Account)
		}
		suffix = tail
	}
	lines, err = encodeLines(&s.Charge, s.Model, s.Endpoint)
	return idMS, lines, suffix, err
}

// receiptOf reads the answer to a charge that has just been booked: OK, seq,
// standing, entry seq, and what of the entry only the script knows.
func receiptOf(shard int, r *reply, b *booking) (*Receipt, error) {
	out := &Receipt{Standing: r.standing(2)}
	fields := r.booked(4, b)
	if err := r.problem(); err != nil {
		return nil, err
	}
	entry, err := entryOf(shard, r.text(3), fields, b.said)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	out.Entry, out.told = *entry, toldOf(fields)
	return out, nil
}

// booked are the fields of the entry, as far as anybody reads them: those that
// the script tells, tab-separated, and those that it was told.
func (r *reply) booked(i int, b *booking) map[string]string {
	fields := map[string]string{"t": TypeCharge, "a": b.account, "r": b.id, "s": b.static}
	names, n := "mkflpzho", 0
	for value := range strings.SplitSeq(r.text(i), "\t") {
		if n < len(names) {
			fields[names[n:n+1]] = value
		}
		n++
	}
	if n != len(names) {
		r.fail("a booked entry", i)
	}
	return fields
}

// repeatedReceipt reads the answer to a charge that had been booked before:
// SAME, seq, standing, entry seq, entry fields ….
func (l *Ledger) repeatedReceipt(ctx context.Context, shard int, r *reply) (*Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	out := &Receipt{Standing: r.standing(2), Repeated: true}
	entry, err := l.entryOrArchived(ctx, r, shard, 3)
	if err != nil {
		return nil, err
	}
	out.Entry, out.told = *entry, toldOf(r.fields(4))
	return out, r.problem()
}

// toldOf is who paid, as replay needs it to make the same pay again.
func toldOf(fields map[string]string) string {
	return fields["f"] + "\t" + fields["l"] + "\t" + fields["p"]
}

// entry reads an entry's seq at i and its fields behind it.
func (r *reply) entry(shard, i int) (*Entry, error) {
	seq, fields := r.text(i), r.fields(i+1)
	if err := r.problem(); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("%w: journal entry %s-0 of shard %d is not in Redis any more", ErrUnavailable, seq, shard)
	}
	e, err := entryOf(shard, seq, fields, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return e, nil
}

// digest tells contents apart that were sent under one id.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write(strconv.AppendInt(nil, int64(len(p)), 10))
		_, _ = h.Write([]byte{':'})
		_, _ = h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Release gives a hold back: the call costs nothing. It may be called again,
// and for a request that never had a hold; a reserve that comes after it is
// refused. ErrConflict is returned when the request has been charged,
// ErrNotFound for an account that is not there, ErrInvalid, ErrUnavailable;
// with a settlement log, the release is done by replay after ErrUnavailable.
func (l *Ledger) Release(ctx context.Context, account, requestID string) (*Standing, error) {
	if err := checkAccount(account); err != nil {
		return nil, err
	}
	idMS, err := idMillis(requestID)
	if err != nil {
		return nil, err
	}
	if l.log != nil {
		return l.releaseLogged(ctx, account, requestID, idMS)
	}
	return l.giveBack(ctx, account, requestID, idMS)
}

// giveBack asks Redis to release a hold.
func (l *Ledger) giveBack(ctx context.Context, account, requestID string, idMS int64) (*Standing, error) {
	shard := l.shardOf(account)
	args := append(l.args(4), account, requestID, l.zoneOffset(), markerLife.Milliseconds())
	r, err := l.run(ctx, l.scripts.release, shard, l.keysOf(shard, account, idMS), args)
	if err != nil {
		return nil, err
	}
	switch outcome := r.text(0); outcome {
	case "OK":
		standing := r.standing(2)
		return &standing, r.problem()
	case "CONFLICT":
		return nil, fmt.Errorf("%w: request %s has been charged (%s)", ErrConflict, requestID, r.text(2))
	case "LOST":
		return nil, fmt.Errorf("%w: account %s", ErrNotFound, account)
	default:
		return nil, r.unexpected()
	}
}

// Extend moves a hold's deadline to now plus the hold TTL, and keeps the
// checkpoint, to be charged should the call never settle. ErrNotFound is
// returned when there is no hold, ErrInvalid, ErrUnavailable.
func (l *Ledger) Extend(ctx context.Context, c Checkpoint) error {
	b, err := l.bookingOf(&c.Settlement)
	if err != nil {
		return err
	}
	var logErr error
	if l.log != nil {
		logErr = l.log.progress(b)
	}
	if l.away(l.shardOf(b.account)) {
		return errors.Join(errAway, logErr)
	}
	return errors.Join(l.extend(ctx, b), logErr)
}

func (l *Ledger) extend(ctx context.Context, b *booking) error {
	shard := l.shardOf(b.account)
	args := append(l.args(6), b.account, b.id, l.holdTTL.Milliseconds(), b.tokens, b.lines, b.static)
	r, err := l.run(ctx, l.scripts.extend, shard, l.keysOf(shard, b.account, b.idMS), args)
	if err != nil {
		return err
	}
	if r.text(0) == "LOST" {
		return fmt.Errorf("%w: hold of request %s", ErrNotFound, b.id)
	}
	return nil
}

// Receipt returns the charge of a request. ErrNotFound is returned for a
// request of another account, and for one that is in flight, was released or
// is forgotten.
func (l *Ledger) Receipt(ctx context.Context, account, requestID string) (*Receipt, error) {
	idMS, err := idMillis(requestID)
	if err != nil || !validAccount(account) {
		return nil, fmt.Errorf("%w: request %s", ErrNotFound, requestID)
	}
	shard := l.shardOf(account)
	r, err := l.run(ctx, l.scripts.receipt, shard, l.keysOf(shard, account, idMS), append(l.args(1), requestID))
	if err != nil {
		return nil, err
	}
	if r.text(0) != "OK" {
		if l.now().Sub(millis(idMS)) > markerLife { // Redis may have forgotten it
			return l.archivedReceipt(ctx, account, requestID)
		}
		return nil, fmt.Errorf("%w: request %s", ErrNotFound, requestID)
	}
	entry, err := l.entryOrArchived(ctx, r, shard, 2)
	if err != nil {
		return nil, err
	}
	if entry.Account != account {
		return nil, fmt.Errorf("%w: request %s", ErrNotFound, requestID)
	}
	return &Receipt{Entry: *entry}, nil
}
