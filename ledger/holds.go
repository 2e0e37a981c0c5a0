package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// An OpenHold is what is held for a call that has not ended, as operators see it.
type OpenHold struct {
	Account   string    `json:"account"`
	RequestID string    `json:"request_id"`
	Key       string    `json:"key"`
	Model     string    `json:"model"`
	PlacedAt  time.Time `json:"placed_at"`
	// EndsAt is when its time is over, unless its proxy extends it.
	EndsAt  time.Time `json:"ends_at"`
	Overdue bool      `json:"overdue"`
	// Cash and Packs are what is held.
	Cash  meter.Nano `json:"cash"`
	Packs []Payment  `json:"packs"`
	// Task is the upstream's id of the task that the call has brought, which stands until it is asked
	// for; "" for a call in flight.
	Task string `json:"task,omitempty"`
	// Delivered is what the last checkpoint comes to at list price; nil: there is none.
	Delivered *meter.Nano `json:"delivered"`
}

// OpenHolds lists the holds of an account, the oldest first: ErrNotFound, ErrInvalid, ErrUnavailable.
func (l *Ledger) OpenHolds(ctx context.Context, account string) ([]OpenHold, error) {
	s, err := l.stateWithoutKeys(ctx, account)
	if err != nil {
		return nil, err
	}
	return s.openHolds()
}

// OverdueHolds lists the holds past their time, in every shard: those that the
// sweeper has not come to yet, and those that policy.on_abandoned keeps. Of one
// shard it looks at the 1,000 oldest. ErrUnavailable.
func (l *Ledger) OverdueHolds(ctx context.Context) ([]OpenHold, error) {
	const most = 1000
	overdue := []OpenHold{}
	for shard := range l.tags {
		r, err := l.due(ctx, shard, most)
		if err != nil {
			return nil, err
		}
		accounts := []string{} // nil would be all of them
		for i := 4; i < len(r.values); i++ {
			account, _, _ := strings.Cut(r.text(i), " ")
			accounts = append(accounts, account)
		}
		if err := r.problem(); err != nil {
			return nil, err
		}
		slices.Sort(accounts)
		err = l.eachState(ctx, shard, slices.Compact(accounts), func(s *accountState) error {
			holds, err := s.openHolds()
			overdue = append(overdue, slices.DeleteFunc(holds, func(h OpenHold) bool { return !h.Overdue })...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	sortHolds(overdue)
	return overdue, nil
}

func sortHolds(holds []OpenHold) {
	slices.SortFunc(holds, func(a, b OpenHold) int {
		if c := a.PlacedAt.Compare(b.PlacedAt); c != 0 {
			return c
		}
		return strings.Compare(a.RequestID, b.RequestID)
	})
}

// openHolds reads an account's holds; lua/snapshot.lua puts their deadlines beside them.
func (s *accountState) openHolds() ([]OpenHold, error) {
	holds := []OpenHold{}
	for id, text := range s.holds {
		if strings.Contains(id, ":") {
			continue
		}
		h, err := s.openHold(id, text)
		if err != nil {
			return nil, fmt.Errorf("%w: hold %s of account %s: %w", ErrUnavailable, id, s.id, err)
		}
		holds = append(holds, h)
	}
	sortHolds(holds)
	return holds, nil
}

func (s *accountState) openHold(id, text string) (OpenHold, error) {
	held, err := readHold(text)
	if err != nil {
		return OpenHold{}, err
	}
	r := new(record)
	h := OpenHold{
		Account: s.id, RequestID: id, Key: keyID(s.id, held.key), Model: held.model, PlacedAt: held.placed,
		EndsAt: millis(r.number("deadline", s.holds[id+":d"])), Cash: held.cash, Packs: held.packs, Task: held.task,
	}
	if h.Packs == nil {
		h.Packs = []Payment{}
	}
	if checkpoint := s.holds[id+":c"]; checkpoint != "" {
		_, rest, _ := strings.Cut(checkpoint, "\t")
		lines, _, _ := strings.Cut(rest, "\t")
		fee, _, _ := strings.Cut(summary(lines), " ")
		delivered := meter.Nano(written(fee))
		h.Delivered = &delivered
	}
	h.Overdue = !h.EndsAt.After(s.now)
	return h, r.err
}

// EndedHold is what ending a hold came to, as verbs and the admin API show it.
type EndedHold struct {
	Account   string     `json:"account"`
	RequestID string     `json:"request_id"`
	Fee       meter.Nano `json:"fee"`
	Entry     *Entry     `json:"entry"` // null: nothing was charged
}

// NewEndedHold is that of a hold for which EndHold has returned entry.
func NewEndedHold(account, requestID string, entry *Entry) EndedHold {
	ended := EndedHold{Account: account, RequestID: requestID, Entry: entry}
	if entry != nil {
		ended.Fee = entry.FeeDue()
	}
	return ended
}

// EndHold ends a hold whose time is over, whatever policy.on_abandoned says. With charge,
// what its last checkpoint says was delivered is charged, and the entry returned; the rest
// is given back. A late settlement puts that right. nil: nothing was charged.
//
// ErrNotFound when there is no such hold, or it has ended; ErrConflict when its
// time is not over, and its proxy may be at work; ErrInvalid; ErrUnavailable.
func (l *Ledger) EndHold(ctx context.Context, account, requestID string, charge bool) (*Entry, error) {
	idMS, err := idMillis(requestID)
	if err != nil {
		return nil, err
	}
	if err := CheckAccountID(account); err != nil {
		return nil, err
	}
	shard := l.shardOf(account)
	r, err := l.bookWord(ctx, l.scripts.sweep, shard, l.keysOf(shard, account, idMS), l.sweepArgs(account, requestID, abandonment{charge: charge}))
	if err != nil {
		return nil, err
	}
	switch r.text(0) {
	case "RELEASED":
		return nil, nil
	case "ABANDONED":
		receipt, err := l.Receipt(ctx, account, requestID)
		if err != nil {
			return nil, untold("the entry", err)
		}
		return &receipt.Entry, nil
	case "SKIPPED":
		return l.endedBefore(ctx, account, requestID, charge)
	}
	return nil, r.unexpected()
}

// endedBefore is for a hold that the sweeper's script skipped: the entry by which it had
// ended, if that is what was asked for, else the reason.
func (l *Ledger) endedBefore(ctx context.Context, account, requestID string, charge bool) (*Entry, error) {
	holds, err := l.OpenHolds(ctx, account)
	if err != nil {
		return nil, err
	}
	for i := range holds {
		if holds[i].RequestID == requestID {
			return nil, fmt.Errorf("%w: the hold of request %s stands until %s, and its proxy may be at work", ErrConflict, requestID, holds[i].EndsAt.UTC().Format(time.RFC3339))
		}
	}
	receipt, err := l.Receipt(ctx, account, requestID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, fmt.Errorf("%w: request %s of account %s holds nothing, and is not charged", ErrNotFound, requestID, account)
	case err != nil:
		return nil, err
	case charge && receipt.Type == TypeAbandon:
		return &receipt.Entry, nil
	}
	return nil, fmt.Errorf("%w: request %s of account %s has ended: entry %s, %s, fee %s; a refund gives it back", ErrConflict, requestID, account, receipt.ID, receipt.Type, receipt.FeeDue())
}
