package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
	"github.com/tollgate/tollgate/meter"
)

// Repriced is a charge that comes to another fee.
type Repriced struct {
	Charge *Entry
	// Fee is the new one. In a dry run, of a charge that nobody paid: before packs.
	Fee meter.Nano
	// Entry is the charge that has taken its place; nil in a dry run.
	Entry *Entry
	// Left says why the charge is left as it is; nil when it is not.
	Left error
}

// Damaged reports whether a person must look: the charge was left because its entry cannot
// be read (then Charge only names it), or because its account is damaged or gone.
func (r *Repriced) Damaged() bool {
	return errors.Is(r.Left, ErrUnavailable) || errors.Is(r.Left, ErrNotFound)
}

// RepricedSum is what a repricing came to.
type RepricedSum struct {
	// Charges is how many were looked at: all that stand and that nothing was given back of.
	Charges int64
	// Repriced is how many of these come to another fee, Left how many could not be put right.
	Repriced, Left int64
	// Before and After are the fees of the repriced.
	Before, After meter.Nano
}

func (s *RepricedSum) add(r *Repriced) {
	if r.Left != nil {
		s.Left++
		return
	}
	s.Repriced++
	s.Before += r.Charge.FeeDue()
	s.After += r.Fee
}

// Reprice prices charges again, and books at once those whose cash differs: what was
// charged is taken back as if it had never been, and charged again, in one step
// (lua/reprice.lua). What packs paid stays paid; for a charge that nobody paid, packs pay
// first, and then the wallets. price is called for each charge that stands, and each for
// every one whose fee changes.
//
// It leaves alone what has been refunded, in part or whole, and abandoned calls:
// those may still be settled. What is damaged it leaves alone, too, see
// Repriced.Damaged. It is safe to run again, and to run after it was
// broken off: what has the right price stays. The end of ctx breaks it off between
// two charges. ErrInvalid, ErrNotFound, ErrUnavailable.
func (l *Ledger) Reprice(ctx context.Context, q Repricing, price func(*Entry) (meter.Charge, error), each func(*Repriced)) (RepricedSum, error) {
	sum := RepricedSum{}
	if err := needReason(q.Reason); err != nil {
		return sum, err
	}
	first, last, err := l.shardsOf(ctx, q.Account)
	if err != nil {
		return sum, err
	}
	for shard := first; shard < last; shard++ {
		r := repricing{Repricing: q, ledger: l, shard: shard, price: price, each: each, sum: &sum, given: make(map[string]bool)}
		if err := r.walk(ctx); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// archiveEvery bounds what a repricing leaves for ArchiveWord at its end, which goes only so far.
const archiveEvery = 4000

// repricing goes through one shard.
type repricing struct {
	Repricing
	ledger *Ledger
	shard  int
	price  func(*Entry) (meter.Charge, error)
	each   func(*Repriced)
	sum    *RepricedSum
	given  map[string]bool // seqs of charges of which something has been given back
}

// walk looks at the charges that are there now, and not at those that it makes.
func (r *repricing) walk(ctx context.Context) error {
	l := r.ledger
	from, err := l.firstSince(ctx, r.shard, &JournalQuery{Since: r.Since})
	if err != nil {
		return err
	}
	head, err := l.head(ctx, r.shard)
	if err != nil || head < from {
		return err
	}
	narrow := archive.Query{Account: r.Account, Types: []string{TypeRefund}}
	err = l.eachRaw(ctx, r.shard, from, head, narrow, func(raw *archive.Entry) error {
		charge, _, _ := strings.Cut(fieldOf(raw.Fields, "x"), " ")
		r.given[charge] = true
		return nil
	})
	if err != nil {
		return err
	}
	narrow.Types = []string{TypeCharge}
	return l.eachRaw(ctx, r.shard, from, head, narrow, func(raw *archive.Entry) error {
		if raw.Type != TypeCharge || r.Account != "" && raw.Account != r.Account || r.given[strconv.FormatUint(raw.Seq, 10)] {
			return nil
		}
		e, err := fromArchive(raw)
		if err != nil { // whenever its call came: it has to be looked at
			r.leave(&Entry{ID: entryID(int64(raw.Seq)), Shard: raw.Shard, Type: raw.Type, Account: raw.Account, RequestID: raw.RequestID}, err)
			return nil
		}
		if e.At.Before(r.Since) || !r.Until.IsZero() && !e.At.Before(r.Until) {
			return nil
		}
		return r.look(ctx, raw, e)
	})
}

// leave leaves a charge alone that cannot be read.
func (r *repricing) leave(e *Entry, err error) {
	r.sum.Charges++
	out := &Repriced{Charge: e, Left: err}
	r.sum.add(out)
	r.each(out)
}

// look prices one charge.
func (r *repricing) look(ctx context.Context, raw *archive.Entry, e *Entry) error {
	r.sum.Charges++
	out := &Repriced{Charge: e}
	price, err := r.price(e)
	var lines []ChargeLine
	if err == nil {
		lines, out.Fee, err = atPrice(e, &price)
	}
	switch {
	case err != nil:
		out.Left = err
	case out.Fee == e.FeeDue():
		return nil
	case !r.DryRun:
		if ctx.Err() != nil {
			return unavailable(ctx.Err()) // between two charges, and not within one
		}
		err = r.book(context.WithoutCancel(ctx), raw, out, &price, lines)
		if ofOneAlone(err) {
			out.Left, err = err, nil
		}
		if err != nil {
			return err
		}
	}
	r.sum.add(out)
	r.each(out)
	if out.Entry != nil && r.sum.Repriced%archiveEvery == 0 {
		_ = r.ledger.ArchiveWord(ctx) // the verb's own, at its end, tells what is lacking
	}
	return nil
}

// ofOneAlone reports whether an error concerns one charge or one account only (if the
// script itself fails, that account is damaged in Redis): others can still be repriced.
func ofOneAlone(err error) bool {
	return errors.Is(err, ErrConflict) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrNotFound) || redis.HasErrorPrefix(err, "user_function") || redis.HasErrorPrefix(err, "WRONGTYPE")
}

// atPrice is a charge at another price, with what packs paid unchanged: its lines, and the
// fee.
func atPrice(e *Entry, price *meter.Charge) (lines []ChargeLine, fee meter.Nano, err error) {
	was := slices.Clone(e.Lines)
	lines = make([]ChargeLine, len(price.Lines))
	for i := range price.Lines {
		line := ChargeLine{Line: price.Lines[i]}
		if of := slices.IndexFunc(was, func(l ChargeLine) bool { return line.IsOf(l.Line) }); of >= 0 {
			line.PackQuantity = min(was[of].PackQuantity, line.Quantity)
			if was[of].PackQuantity -= line.PackQuantity; was[of].PackQuantity == 0 { // else it is looked for on another line
				was = slices.Delete(was, of, of+1)
			}
		}
		if line.Amount, err = line.Rate.Amount(line.Quantity - line.PackQuantity); err != nil {
			return nil, 0, err
		}
		lines[i], fee = line, fee+line.Amount
	}
	for i := range was {
		if n := was[i].PackQuantity; n > 0 {
			return nil, 0, fmt.Errorf("%w: packs paid for %d of %s, which is not what is billed at these prices", ErrInvalid, n, was[i].Dimension)
		}
	}
	return lines, fee, nil
}

// book runs the script. ErrConflict: the charge has changed meanwhile. ErrNotFound: its account is gone.
func (r *repricing) book(ctx context.Context, raw *archive.Entry, out *Repriced, price *meter.Charge, lines []ChargeLine) error {
	l, e := r.ledger, out.Charge
	b, err := l.bookingOf(&Settlement{
		ID: e.RequestID, Account: e.Account, Key: e.Key, Model: e.Model, AnswerModel: e.AnswerModel, Endpoint: e.Endpoint,
		Upstream: e.Upstream, At: e.At, Source: e.UsageSource, Anomalies: e.Anomalies,
		Attributes: e.Attributes, AnswerAttributes: e.AnswerAttributes, Charge: *price,
	})
	if err != nil {
		return err
	}
	fields := fieldMap(raw.Fields)
	day, month := e.spentOn(l.timezone)
	args := append(l.args(21), e.Account, e.RequestID, fields["k"], e.Model, r.Reason, markerLife.Milliseconds(),
		e.seq(), cmp.Or(fields["p"], "-"), fields["s"], fields["l"], fields["d"], fields["h"], e.tokens(), day, month,
		int64(out.Fee), b.static, sharesText(lines), b.tokens, b.lines, summary(b.lines))
	keys := append(l.keysOf(r.shard, e.Account, b.idMS), l.refundsKey(r.shard, e.Account))
	reply, err := l.bookWord(ctx, l.scripts.reprice, r.shard, keys, args)
	if err != nil {
		return err
	}
	switch reply.text(0) {
	case "OK":
		if out.Entry, err = reply.entry(r.shard, 2); err == nil {
			out.Fee = out.Entry.FeeDue()
		}
		return err
	case "OTHER":
		return fmt.Errorf("%w: %s", ErrConflict, reply.text(2))
	case "LOST":
		return fmt.Errorf("%w: account %s", ErrNotFound, e.Account)
	case "RANGE":
		return errTooMuch()
	default:
		return reply.unexpected()
	}
}

// sharesText is what each line came to, and what packs covered of it, as the entry has it.
func sharesText(lines []ChargeLine) string {
	parts := make([]string, len(lines))
	for i := range lines {
		parts[i] = fmt.Sprintf("%d:%d", int64(lines[i].Amount), lines[i].PackQuantity)
	}
	return strings.Join(parts, ",")
}
