package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/meter"
)

// Refund gives a charge back, whole or in part, to the very packs and wallets
// that paid, and returns the entry. What goes back to a pack that was revoked
// or has expired is withdrawn again, or expires, by an entry of its own. With a
// Ref it is booked once, however often it is called; without one, a repeat of a
// whole refund finds nothing left.
//
// ErrNotFound when there is no charge under that request id; ErrInvalid when
// nothing is left to refund, or less than was asked for; ErrConflict when the
// Ref was used for something else, or the call ends anew while this looks at
// it; ErrUnavailable.
func (l *Ledger) Refund(ctx context.Context, r Refund) (*Entry, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	receipt, err := l.Receipt(ctx, r.Account, r.RequestID)
	if errors.Is(err, ErrNotFound) && r.Ref != "" {
		return l.refundedBefore(ctx, &r, err)
	}
	if err != nil {
		return nil, err
	}
	request, err := l.refundOf(&r, &receipt.Entry)
	if err != nil {
		return nil, err
	}
	reply, err := request.run(ctx, "")
	if err == nil && reply.text(0) == "LOOK" {
		var given string
		if given, err = l.givenBack(ctx, &receipt.Entry); err != nil {
			return nil, err
		}
		reply, err = request.run(ctx, given)
	}
	if err != nil {
		return nil, err
	}
	return l.refunded(ctx, reply, &r)
}

// refundRequest is one call of the script, which may have to be made again.
type refundRequest struct {
	ledger *Ledger
	shard  int
	keys   []string
	args   []any
}

// givenBackArg is where in ARGV is what the journal says has been given back.
const givenBackArg = 13

func (l *Ledger) refundOf(r *Refund, charge *Entry) (*refundRequest, error) {
	idMS, _ := idMillis(r.RequestID) // what is no id has no charge
	static, err := json.Marshal(&statement{Model: charge.Model, Endpoint: charge.Endpoint})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	suffix := ""
	if _, tail, ok := splitKeyID(charge.Key); ok {
		suffix = tail
	}
	day, month := charge.spentOn(l.timezone)
	shard := l.shardOf(r.Account)
	refs, reference := l.reference(shard, r.Account, r.Ref, r.content())
	keys := append(l.keysOf(shard, r.Account, idMS), refs, l.refundsKey(shard, r.Account))
	args := append(l.args(18), r.Account, r.RequestID, r.nanos(), charge.seq(), charge.Type, paidText(charge.Paid), suffix, charge.tokens(),
		day, month, "", r.Reason, static, markerLife.Milliseconds())
	return &refundRequest{l, shard, keys, append(args, reference...)}, nil
}

func (q *refundRequest) run(ctx context.Context, given string) (*reply, error) {
	q.args[givenBackArg] = given
	return q.ledger.bookWord(ctx, q.ledger.scripts.refund, q.shard, q.keys, q.args)
}

// nanos is how much cash is to go back, "" for all that is left.
func (r *Refund) nanos() string {
	if r.Amount == nil {
		return ""
	}
	return strconv.FormatInt(int64(*r.Amount), 10)
}

func (r *Refund) content() string { return digest("refund", r.RequestID, r.nanos(), r.Reason) }

// refundedBefore answers by the reference alone, where there is no charge any
// more: the call was released after all, or is forgotten. The script looks at
// the reference first, and books nothing of no charge. missing is the answer for
// a reference that is new.
func (l *Ledger) refundedBefore(ctx context.Context, r *Refund, missing error) (*Entry, error) {
	request, err := l.refundOf(r, new(Entry))
	if err != nil {
		return nil, err
	}
	reply, err := request.run(ctx, "")
	if err != nil {
		return nil, err
	}
	switch reply.text(0) {
	case "SAME", "CONFLICT":
		return l.refEntry(ctx, reply, r.Account, r.Ref)
	}
	return nil, missing
}

// givenBack is what the journal says has been given back of an abandoned call
// that nobody but the journal remembers.
func (l *Ledger) givenBack(ctx context.Context, charge *Entry) (string, error) {
	var given []Payment // of one who paid in several parts: the script adds them up
	query := JournalQuery{Since: charge.Time.Add(-clockSlack), Types: []string{TypeRefund}}
	err := l.Journal(ctx, charge.Account, query, func(e *Entry) error {
		if e.RequestID == charge.RequestID && e.seq() > charge.seq() {
			given = append(given, e.Paid...)
		}
		return nil
	})
	return paidText(given), err
}

// paidText writes payments as the scripts do: "p1=300,b=5,r=5", "-" for none.
func paidText(list []Payment) string {
	if len(list) == 0 {
		return "-"
	}
	parts := make([]string, len(list))
	for i, p := range list {
		switch p.From {
		case string(Recharge):
			parts[i] = fmt.Sprintf("r=%d", int64(p.Amount))
		case string(Bonus):
			parts[i] = fmt.Sprintf("b=%d", int64(p.Amount))
		default:
			parts[i] = fmt.Sprintf("%s=%d", strings.TrimPrefix(p.From, "pack:"), p.Quantity)
		}
	}
	return strings.Join(parts, ",")
}

// refunded reads what the script says.
func (l *Ledger) refunded(ctx context.Context, reply *reply, r *Refund) (*Entry, error) {
	switch reply.text(0) {
	case "NONE":
		return nil, fmt.Errorf("%w: nothing left to refund of request %s", ErrInvalid, r.RequestID)
	case "OVER":
		paid, given := reply.nano(2), reply.nano(3)
		if err := reply.problem(); err != nil {
			return nil, err
		}
		if paid == given {
			return nil, fmt.Errorf("%w: nothing left to refund in cash of request %s: %s was paid, %s has been given back", ErrInvalid, r.RequestID, paid, given)
		}
		return nil, fmt.Errorf("%w: amount %s: request %s paid %s in cash, of which %s has been given back: at most %s is left",
			ErrInvalid, r.Amount, r.RequestID, paid, given, paid-given)
	case "OTHER":
		return nil, fmt.Errorf("%w: request %s: %s: look again", ErrConflict, r.RequestID, reply.text(2))
	case "RANGE":
		return nil, errTooMuch()
	case "LOOK":
		return nil, errors.Join(ErrUnavailable, reply.unexpected())
	}
	return l.refEntry(ctx, reply, r.Account, r.Ref)
}

func errTooMuch() error {
	return fmt.Errorf("%w: the wallet would hold more than %s", ErrInvalid, meter.MaxBalance)
}

// takesBack says, by the fields u, x and y of a refund, that it made its charge as
// if it had never been. What an operator gives back has been charged all the same.
func takesBack(u, x, y string) bool { return u != "" && (x == "" || y != "") }
