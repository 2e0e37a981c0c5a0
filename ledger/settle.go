package ledger

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
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
	return l.book(ctx, &s, b)
}

// A booking is a settlement or a checkpoint as the scripts take it, with
// nothing left to compute: what is in the settlement log.
type booking struct {
	id, account, suffix, model string
	static, lines              string // the statement in JSON, and the lines as encodeLines writes them
	made                       string // the objects that came of it, see objectsText
	tokens                     int64
	idMS                       int64
}

func (l *Ledger) bookingOf(s *Settlement) (*booking, error) {
	idMS, lines, suffix, err := l.checkSettlement(s)
	if err != nil {
		return nil, err
	}
	var space [512]byte
	return &booking{
		id: s.ID, account: s.Account, suffix: suffix, model: s.Model, static: string(appendStatement(space[:0], s)), lines: lines,
		made: objectsText(s.Made), tokens: s.Charge.Tokens(), idMS: idMS,
	}, nil
}

func (b *booking) digest() string { return digest(b.account, b.model, b.lines) }

// runSettle runs the script. life is how long a request's outcome is
// remembered, and how old a request without one may be; told says who paid
// when it was booked before, "" when it was not.
func (l *Ledger) runSettle(ctx context.Context, b *booking, life time.Duration, told string) (*reply, error) {
	shard := l.shardOf(b.account)
	return l.run(ctx, l.scripts.settle, shard, l.keysOf(shard, b.account, b.idMS), l.settleArgs(b, life, told))
}

// settleArgs, and those below, are ARGV of the script.
func (l *Ledger) settleArgs(b *booking, life time.Duration, told string) []any {
	return texts(l.args(14), b.account, b.id, b.suffix, b.model, b.static, b.digest(), b.lines,
		whole(b.tokens), l.zoneOffset(), whole(b.idMS), ms(life), told, summary(b.lines), b.made)
}

func (l *Ledger) releaseArgs(account, requestID string) []any {
	return append(l.args(4), account, requestID, l.zoneOffset(), markerLife.Milliseconds())
}

func (l *Ledger) extendArgs(b *booking) []any {
	return append(l.args(6), b.account, b.id, l.holdTTL.Milliseconds(), b.tokens, b.lines, b.static)
}

// book asks Redis to book a charge, and reads the receipt.
func (l *Ledger) book(ctx context.Context, s *Settlement, b *booking) (*Receipt, error) {
	r, err := l.runSettle(ctx, b, markerLife, "")
	if err != nil {
		return nil, err
	}
	shard := l.shardOf(b.account)
	switch outcome := r.text(0); outcome {
	case "OK":
		return receiptOf(shard, r, s)
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
	if err = CheckAccountID(s.Account); err != nil {
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

// receiptOf is the receipt of a charge that has just been booked: what was said,
// and what the script answered, which is OK, seq, standing, entry seq, verdict.
func receiptOf(shard int, r *reply, s *Settlement) (*Receipt, error) {
	out := &Receipt{Entry: stated(shard, s), Standing: r.standing(2)}
	v := r.verdict(4)
	out.ID, out.told = r.text(3)+"-0", v.told()
	if err := errors.Join(r.err, v.tell(&out.Entry)); err != nil {
		return nil, fmt.Errorf("%w: journal entry %s of shard %d: %w", ErrUnavailable, out.ID, shard, err)
	}
	return out, nil
}

// stated is a charge's entry as far as a settlement says it: the lines are at
// list price, before packs.
func stated(shard int, s *Settlement) Entry {
	e := Entry{
		Shard: shard, At: s.At, Type: TypeCharge, Account: s.Account, Key: s.Key, RequestID: s.ID,
		Model: s.Model, AnswerModel: s.AnswerModel, Endpoint: s.Endpoint, Upstream: s.Upstream,
		UsageSource: s.Source, Anomalies: s.Anomalies, PriceVersion: s.Charge.PriceVersion,
		Attributes: s.Attributes, AnswerAttributes: s.AnswerAttributes,
	}
	if s.Charge.Carried != nil {
		e.Usage.Quantities = *s.Charge.Carried
	}
	e.state(s.Charge.Lines)
	return e
}

// A verdict is what of a charge's entry only the script knows: the entry's
// fields m k f l p z h o.
type verdict struct{ time, key, fee, lines, paid, balances, hold, overrun string }

func (r *reply) verdict(i int) verdict {
	var t [8]string
	if !parts(r.text(i), t[:]) {
		r.fail("a verdict on a charge", i)
	}
	return verdict{t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]}
}

// tell completes an entry that is stated.
func (v *verdict) tell(e *Entry) error {
	r := new(record)
	e.Time = millis(r.number("m", v.time))
	if e.At.IsZero() {
		e.At = e.Time
	} else {
		e.At = millis(e.At.UnixMilli()) // as it stands in the journal
	}
	e.Key, e.Fee = keyID(e.Account, v.key), r.nano("f", v.fee)
	r.held(e, v.hold, v.overrun)
	e.Paid, e.BalancesAfter = r.payments("p", v.paid), r.payments("z", v.balances)
	r.shares(e.Lines, v.lines)
	return r.err
}

// told is who paid, as replay needs it to make the same pay again.
func (v *verdict) told() string { return v.fee + "\t" + v.lines + "\t" + v.paid }

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

// toldOf is verdict.told of an entry in the journal; "" for a charge at another price than
// the settlement's own, whose payers could not pay the settlement.
func toldOf(fields map[string]string) string {
	if fields["j"] != "" {
		return ""
	}
	v := verdict{fee: fields["f"], lines: fields["l"], paid: fields["p"]}
	return v.told()
}

// digest tells contents apart that were sent under one id.
func digest(parts ...string) string {
	var space [512]byte
	content := space[:0]
	for _, p := range parts {
		content = append(append(strconv.AppendInt(content, int64(len(p)), 10), ':'), p...)
	}
	sum := sha256.Sum256(content)
	return hexText(sum[:8])
}

// Release gives a hold back: the call costs nothing. It may be called again,
// and for a request that never had a hold; a reserve that comes after it is
// refused. ErrConflict is returned when the request has been charged,
// ErrNotFound for an account that is not there, ErrInvalid, ErrUnavailable;
// with a settlement log, the release is done by replay after ErrUnavailable.
func (l *Ledger) Release(ctx context.Context, account, requestID string) (*Standing, error) {
	if err := CheckAccountID(account); err != nil {
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
	r, err := l.run(ctx, l.scripts.release, shard, l.keysOf(shard, account, idMS), l.releaseArgs(account, requestID))
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
	if l.circuits.away(l.shardOf(b.account)) {
		return errors.Join(errAway, logErr)
	}
	return errors.Join(l.extend(ctx, b), logErr)
}

func (l *Ledger) extend(ctx context.Context, b *booking) error {
	shard := l.shardOf(b.account)
	r, err := l.run(ctx, l.scripts.extend, shard, l.keysOf(shard, b.account, b.idMS), l.extendArgs(b))
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
