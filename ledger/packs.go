package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/meter"
)

const (
	// maxPackQuantity keeps sums over an account's packs exact in Lua.
	maxPackQuantity = int64(1_000_000_000_000_000)
	maxPriority     = 1_000_000_000
	maxPatterns     = 100
)

// Where a pack stands in the order of who pays: Grant.Order.
const (
	BeforeBalance = "before_balance"
	AfterBalance  = "after_balance"
)

// GrantPack gives an account a pack and returns it. With a Ref it is granted
// once, however often it is called. ErrConflict when the Ref was used for
// something else, ErrNotFound, ErrInvalid, ErrUnavailable.
func (l *Ledger) GrantPack(ctx context.Context, g Grant) (*Pack, error) {
	if err := g.complete(); err != nil {
		return nil, err
	}
	quantity, definition := strconv.FormatInt(g.Quantity, 10), g.definition()
	detail, err := json.Marshal(map[string]any{
		"unit": g.Unit, "models": g.Models, "quantity": g.Quantity,
		"expires_at": g.ExpiresAt, "priority": g.Priority, "order": g.Order,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r, err := l.runRef(ctx, l.scripts.grant, g.Account, g.Ref, digest("grant", definition), []any{quantity, definition}, detail)
	if err != nil {
		return nil, err
	}
	entry, err := l.refEntry(ctx, r, g.Account, g.Ref)
	if err != nil {
		return nil, err
	}
	packs, err := l.Packs(ctx, g.Account)
	if err != nil {
		return nil, untold("pack "+entry.Pack, err)
	}
	for i := range packs {
		if packs[i].ID == entry.Pack {
			return &packs[i], nil
		}
	}
	return nil, fmt.Errorf("%w: pack %s of account %s", ErrNotFound, entry.Pack, g.Account)
}

// complete fills in defaults and checks the rest.
func (g *Grant) complete() error {
	g.Unit, g.Order = cmp.Or(g.Unit, "token"), cmp.Or(g.Order, BeforeBalance)
	if g.Models == nil {
		g.Models = []string{}
	}
	switch {
	case !isUnit(g.Unit):
		return fmt.Errorf("%w: unit %q: want token, or another dimension that is not counted in tokens, such as image", ErrInvalid, g.Unit)
	case g.Quantity <= 0 || g.Quantity > maxPackQuantity:
		return fmt.Errorf("%w: quantity %d: want 1 to %d", ErrInvalid, g.Quantity, maxPackQuantity)
	case g.Priority < -maxPriority || g.Priority > maxPriority:
		return fmt.Errorf("%w: priority %d: want at most %d either way", ErrInvalid, g.Priority, maxPriority)
	case g.Order != BeforeBalance && g.Order != AfterBalance:
		return fmt.Errorf("%w: order %q: want before_balance or after_balance", ErrInvalid, g.Order)
	case g.ExpiresAt != nil && g.ExpiresAt.UnixMilli() <= 0:
		return fmt.Errorf("%w: expiry %s: want a time after 1970", ErrInvalid, g.ExpiresAt)
	}
	if err := checkExpiry(g.ExpiresAt); err != nil {
		return err
	}
	return checkPatterns("models", g.Models)
}

// lastYear is the last that JSON times can have: with a later expiry on the books, the
// account could never be shown again.
const lastYear = 9999

// checkExpiry refuses a time that cannot be shown in UTC. nil is never.
func checkExpiry(t *time.Time) error {
	if t != nil && t.UTC().Year() > lastYear {
		return fmt.Errorf("%w: expiry %s: want a time that in UTC is before the year %d, or none for never", ErrInvalid, t, lastYear+1)
	}
	return nil
}

// isUnit reports whether some dimension is paid by packs of this unit.
func isUnit(unit string) bool {
	if unit == meter.Input.Unit() {
		return true
	}
	d, err := meter.ParseDimension(unit)
	return err == nil && d.Unit() == unit
}

// checkPatterns refuses a list that cannot be kept separated by blanks.
func checkPatterns(what string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%w: %d %s: want at most %d", ErrInvalid, len(patterns), what, maxPatterns)
	}
	for _, p := range patterns {
		if p == "" || len(p) > maxNameSize || !utf8.ValidString(p) || strings.ContainsFunc(p, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			return fmt.Errorf("%w: %s: %q: want a name or pattern of up to %d bytes of UTF-8, without blanks", ErrInvalid, what, p, maxNameSize)
		}
	}
	return nil
}

// Packs returns an account's packs in the order in which they were granted.
func (l *Ledger) Packs(ctx context.Context, account string) ([]Pack, error) {
	s, err := l.stateWithoutKeys(ctx, account)
	if err != nil {
		return nil, err
	}
	return s.packList()
}

// RevokePack withdraws a pack: what is free at once, what is held when its
// request ends without using it. Revoking again returns the first entry.
// ErrNotFound, ErrInvalid, ErrUnavailable.
func (l *Ledger) RevokePack(ctx context.Context, account, packID, reason string) (*Entry, error) {
	if err := checkText("reason", reason); err != nil {
		return nil, err
	}
	if packNumber(packID) == 0 {
		return nil, fmt.Errorf("%w: pack %s of account %s", ErrNotFound, packID, account)
	}
	r, err := l.runFor(ctx, l.scripts.revoke, account, packID, reason)
	if err != nil {
		return nil, err
	}
	if err := r.notFound("pack " + packID + " of account " + account); err != nil {
		return nil, err
	}
	e, err := l.entryOrArchived(ctx, r, l.shardOf(account), 2)
	return e, untold("the entry", err)
}

// packNumber is n of a pack's id p<n>; 0 for what is no such id.
func packNumber(id string) int64 {
	digits, found := strings.CutPrefix(id, "p")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || n <= 0 || strconv.FormatInt(n, 10) != digits {
		return 0
	}
	return n
}

// packList reads the packs of an account, oldest first.
func (s *accountState) packList() ([]Pack, error) {
	packs := []Pack{}
	for id, definition := range s.packs {
		if strings.Contains(id, ":") {
			continue
		}
		p, err := s.pack(id, definition)
		if err != nil {
			return nil, fmt.Errorf("%w: pack %s of account %s: %w", ErrUnavailable, id, s.id, err)
		}
		packs = append(packs, p)
	}
	slices.SortFunc(packs, func(a, b Pack) int { return int(packNumber(a.ID) - packNumber(b.ID)) })
	return packs, nil
}

// pack reads one pack; its definition is written by lua/grant.lua.
func (s *accountState) pack(id, definition string) (Pack, error) {
	parts := strings.Split(strings.TrimRight(definition, " "), "\t")
	if len(parts) != 9 {
		return Pack{}, fmt.Errorf("definition %q is damaged", definition)
	}
	r := &record{fields: map[string]string{
		"priority": parts[1], "expires": parts[2], "quantity": parts[5], "created": parts[7],
		"remaining": s.packs[id+":b"], "held": s.packs[id+":h"],
	}}
	p := Pack{
		ID: id, Account: s.id, Unit: parts[0], Models: strings.FieldsFunc(parts[4], isBlank), Priority: r.integer("priority"),
		Order: BeforeBalance, Quantity: r.integer("quantity"), Ref: parts[6], Remaining: r.integer("remaining"),
		CreatedAt: millis(r.integer("created")), Status: "active",
	}
	p.Free = p.Remaining - r.integer("held")
	if p.Models == nil {
		p.Models = []string{}
	}
	if parts[3] == "a" {
		p.Order = AfterBalance
	}
	if ms := r.integer("expires"); ms != 0 {
		expires := millis(ms)
		p.ExpiresAt = &expires
	}
	_, revoked := s.packs[id+":x"]
	p.Status = p.statusAt(revoked, s.now)
	return p, r.err
}

// isBlank is what patterns are kept separated by: to the scripts, other spaces of Unicode are none.
func isBlank(c rune) bool { return c == ' ' }

func (p *Pack) statusAt(revoked bool, now time.Time) string {
	switch {
	case revoked:
		return "revoked"
	case p.ExpiresAt != nil && !p.ExpiresAt.After(now):
		return "expired" // also when it was used up before
	case p.Remaining == 0:
		return "used_up"
	}
	return "active"
}
