package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

const (
	maxLines    = 64
	maxNameSize = 256
	// maxUnits bounds the units of one request, so that Lua's numbers are exact.
	maxUnits = 1<<53 - 1
	maxPer   = 900_000_000_000
)

// Reserve admits a request: everything that must hold before a call, and the
// hold, in one round trip. It returns a *Refusal when something does not hold,
// ErrConflict when the request has ended already, ErrClock when its id is too
// old, ErrInvalid for a reservation that cannot be booked, ErrUnavailable.
// Reserving the same id again returns the hold that is there.
//
// With a settlement log, a reserve that may or may not have reached Redis is
// taken back by replay, and a full log takes no new calls (ErrUnavailable).
func (l *Ledger) Reserve(ctx context.Context, r Reservation) (*Hold, error) {
	if !r.Credential.valid() {
		return nil, &Refusal{Reason: KeyInvalid, Limit: "key"}
	}
	idMS, err := idMillis(r.ID)
	if err != nil {
		return nil, err
	}
	lines, err := encodeLines(&r.Quote, r.Model, r.Endpoint)
	if err != nil {
		return nil, err
	}
	account := r.Credential.Account
	shard := l.shardOf(account)
	if l.circuits.away(shard) {
		return nil, errAway
	}
	if err := l.circuits.refusing(shard); err != nil {
		return nil, err
	}
	if err := l.admits(); err != nil {
		return nil, err
	}
	args := l.reserveArgs(&r, lines, idMS)
	b := &booking{id: r.ID, account: account, suffix: r.Credential.suffix(), model: r.Model, idMS: idMS}
	return l.reserveLogged(&r, b, func() (*reply, error) {
		reply, err := l.run(ctx, l.scripts.reserve, shard, l.keysOf(shard, account, idMS), args)
		l.circuits.learnRefusal(shard, err)
		return reply, err
	})
}

// reserveArgs is ARGV of the script.
func (l *Ledger) reserveArgs(r *Reservation, lines string, idMS int64) []any {
	return texts(l.args(14), r.Credential.Account, r.ID, r.Credential.suffix(), r.Credential.Hash, r.Model, r.Endpoint,
		addressText(r.Client), l.zoneOffset(), ms(l.holdTTL), whole(r.Quote.Tokens()), lines, whole(idMS), ms(admissible), summary(lines))
}

func (l *Ledger) holdOf(r *Reservation, reply *reply) (*Hold, error) {
	switch outcome := reply.text(0); outcome {
	case "OK":
		hold, err := readHold(reply.text(2))
		if err != nil {
			return nil, fmt.Errorf("%w: hold %s: %w", ErrUnavailable, r.ID, err)
		}
		out := &Hold{
			ID: r.ID, Account: r.Credential.Account, Key: keyID(r.Credential.Account, hold.key),
			Cash: hold.cash, Packs: hold.packs, PlacedAt: hold.placed,
			Deadline: reply.time(3), Standing: reply.standing(4),
		}
		return out, reply.problem()
	case "NO":
		return nil, l.refusalOf(reply)
	case "ENDED":
		return nil, fmt.Errorf("%w: request %s has ended (%s)", ErrConflict, r.ID, reply.text(2))
	case "OLD":
		return nil, fmt.Errorf("%w: by Redis's clock, request %s is more than %s old", ErrClock, r.ID, admissible)
	default:
		return nil, reply.unexpected()
	}
}

func (l *Ledger) refusalOf(reply *reply) error {
	counted := reply.text(7) == "1"
	no := &Refusal{
		Reason: Reason(reply.text(2)), Limit: reply.text(3), Counted: counted,
		Required: reply.integer(4), Available: reply.integer(5), Held: reply.integer(6),
		RetryAfter: time.Duration(reply.integer(8)) * time.Millisecond,
		Cash:       reply.nano(9), PackFree: reply.integer(10), Standing: reply.standing(12),
	}
	if reply.text(13) != "" {
		left := reply.integer(13)
		no.KeyTokensLeft = &left
	}
	now := reply.time(11).In(l.timezone)
	switch no.Limit {
	case "key.spend_daily":
		no.ResetsAt = meter.NextDay(now)
	case "key.spend_monthly":
		no.ResetsAt = meter.DayStart(now.Year(), now.Month()+1, 1, l.timezone)
	}
	if err := reply.problem(); err != nil {
		return err
	}
	return no
}

// addressText is an address as the scripts compare it: 32 hex digits, IPv4
// mapped into IPv6; "" for none.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	bytes := a.As16()
	return hexText(bytes[:])
}

// keptHold is a hold as it is kept, see lua/hold.lua.
type keptHold struct {
	key    string
	cash   meter.Nano
	tokens int64
	packs  []Payment
	placed time.Time
	model  string
	task   string // "": its call is in flight
}

func readHold(text string) (*keptHold, error) {
	var t [8]string
	if !parts(text, t[:]) {
		return nil, fmt.Errorf("%q is not a hold", text)
	}
	r := new(record)
	h := &keptHold{
		key: t[0], cash: meter.Nano(r.number("cash", t[1])), tokens: r.number("tokens", t[2]),
		placed: millis(r.number("placed", t[3])), packs: r.payments("packs", t[4]), model: t[6],
		task: strings.TrimRight(t[7], " "),
	}
	return h, r.err
}
