package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

const (
	maxPerMinute = 100_000_000_000 // times 60000 it is exact in Lua
	// suffixTries: if two keys of an account have hashes that begin alike, which is very
	// unlikely, another secret is made.
	suffixTries = 3
)

// keyDefinition is a key as people see it, kept as JSON.
type keyDefinition struct {
	Name   string    `json:"name,omitempty"`
	Limits KeyLimits `json:"limits"`
}

// CreateKey makes a key and returns it with its secret, which is not kept.
// ErrNotFound, ErrInvalid, ErrUnavailable; ErrConflict with a seed of which
// another key was made.
func (l *Ledger) CreateKey(ctx context.Context, account string, k NewKey) (*Key, string, error) {
	if err := CheckAccountID(account); err != nil {
		return nil, "", err
	}
	if err := k.Check(); err != nil {
		return nil, "", err
	}
	if k.Seed != nil {
		return l.createSeededKey(ctx, account, k)
	}
	for range suffixTries {
		secret, credential := newSecret(account)
		key, err := l.createKey(ctx, account, k, credential)
		if !errors.Is(err, errSuffixTaken) {
			return key, secret, err
		}
	}
	return nil, "", fmt.Errorf("%w: no free key id for account %s", ErrConflict, account)
}

// createSeededKey makes the key that a seed stands for, or finds it made.
func (l *Ledger) createSeededKey(ctx context.Context, account string, k NewKey) (*Key, string, error) {
	secret, credential, err := seededSecret(account, k.Seed)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	key, err := l.createKey(ctx, account, k, credential)
	switch {
	case errors.Is(err, errSuffixTaken):
		return nil, "", fmt.Errorf("%w: the account has another key of that id: want another seed", ErrConflict)
	case err != nil:
		return nil, "", err
	case !sameDefinition(key, &k):
		return nil, "", fmt.Errorf("%w: key %s was made of this, with another name or other limits", ErrConflict, key.ID)
	}
	return key, secret, nil
}

// sameDefinition tells whether a key is as it was asked for. Times are the same in any zone.
func sameDefinition(key *Key, asked *NewKey) bool {
	plain := func(name string, limits KeyLimits) string {
		if limits.ExpiresAt != nil {
			at := limits.ExpiresAt.UTC()
			limits.ExpiresAt = &at
		}
		text, err := json.Marshal(keyDefinition{name, limits})
		return fmt.Sprint(string(text), err)
	}
	return plain(key.Name, key.Limits) == plain(asked.Name, asked.Limits)
}

// errSuffixTaken says that another key of the account has the id of this one.
var errSuffixTaken = errors.New("another key has this id")

// createKey makes the key of a credential; made before, it is found as it then was.
func (l *Ledger) createKey(ctx context.Context, account string, k NewKey, c Credential) (*Key, error) {
	public, err := json.Marshal(keyDefinition{k.Name, k.Limits})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	compact, err := k.Limits.compact(c.Hash)
	if err != nil {
		return nil, err
	}
	detail, err := json.Marshal(map[string]any{"name": k.Name, "limits": k.Limits, "hash": c.Hash})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	r, err := l.runFor(ctx, l.scripts.createKey, account, c.suffix(), compact, public, c.Hash, detail)
	if err != nil {
		return nil, err
	}
	if r.text(0) == "TAKEN" {
		return nil, errSuffixTaken
	}
	if err := r.notFound("account " + account); err != nil {
		return nil, err
	}
	key, err := l.FindKey(ctx, keyID(account, c.suffix()))
	return key, untold("key "+keyID(account, c.suffix()), err)
}

func (k *KeyLimits) check() error {
	var errs []error
	for _, limit := range []struct {
		name  string
		value int64
		most  int64
	}{
		{"spend_total", int64(k.SpendTotal), int64(meter.MaxBalance)},
		{"spend_daily", int64(k.SpendDaily), int64(meter.MaxBalance)},
		{"spend_monthly", int64(k.SpendMonthly), int64(meter.MaxBalance)},
		{"tokens", k.Tokens, maxUnits},
		{"rpm", k.RPM, maxPerMinute},
		{"tpm", k.TPM, maxPerMinute},
		{"parallel", k.Parallel, maxPerMinute},
	} {
		if limit.value < 0 || limit.value > limit.most {
			errs = append(errs, fmt.Errorf("%w: limit %s: %d: want 0 (none) to %d", ErrInvalid, limit.name, limit.value, limit.most))
		}
	}
	return errors.Join(append(errs, checkPatterns("models", k.Models), checkEndpoints(k.Endpoints),
		checkPatterns("networks", k.Networks), checkExpiry(k.ExpiresAt))...)
}

// EndpointNames are what a key's limits call the endpoints.
func EndpointNames() (names []string) {
	for _, e := range meter.Endpoints() {
		if !slices.Contains(names, e.Name) {
			names = append(names, e.Name)
		}
	}
	return names
}

// checkEndpoints refuses a name that no request will ever have: such a key
// would be refused everywhere, and nobody would know why.
func checkEndpoints(names []string) error {
	known := EndpointNames()
	for _, n := range names {
		if !slices.Contains(known, n) {
			return fmt.Errorf("%w: endpoints: there is no endpoint %q: want %s", ErrInvalid, n, strings.Join(known, ", "))
		}
	}
	return nil
}

// compact is the key's definition as the scripts read it, see lua/use.lua.
func (k *KeyLimits) compact(hash string) (string, error) {
	networks := make([]string, len(k.Networks))
	for i, text := range k.Networks {
		low, high, err := networkRange(text)
		if err != nil {
			return "", err
		}
		networks[i] = low + "-" + high
	}
	expires := int64(0)
	if k.ExpiresAt != nil {
		// A key that expired before 1970 has expired all the same: 0 would mean never.
		expires = max(1, k.ExpiresAt.UnixMilli())
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return strings.Join([]string{
		hash, number(expires), strings.Join(k.Models, " "), strings.Join(k.Endpoints, " "), strings.Join(networks, " "),
		number(int64(k.SpendTotal)), number(int64(k.SpendDaily)), number(int64(k.SpendMonthly)), number(k.Tokens),
		number(k.RPM), number(k.TPM), number(k.Parallel), truth(k.ReceiptInBody),
	}, "\t"), nil
}

// networkRange reads a CIDR or an address as its first and last address, each as addressText.
func networkRange(text string) (low, high string, err error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return "", "", fmt.Errorf("%w: network %q: want an address or a CIDR such as 10.0.0.0/8", ErrInvalid, text)
		}
		prefix = netip.PrefixFrom(address, address.BitLen())
	}
	first := prefix.Masked().Addr().As16()
	last := first
	bits := prefix.Bits()
	if prefix.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		last[i/8] |= 1 << (7 - i%8)
	}
	return addressText(netip.AddrFrom16(first)), addressText(netip.AddrFrom16(last)), nil
}

// Keys returns an account's keys, oldest first.
func (l *Ledger) Keys(ctx context.Context, account string) ([]*Key, error) {
	s, err := l.state(ctx, account)
	if err != nil {
		return nil, err
	}
	keys := []*Key{}
	for suffix := range s.keys {
		if strings.Contains(suffix, ":") {
			continue
		}
		key, err := s.key(suffix, l.timezone)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b *Key) int {
		if d := a.CreatedAt.Compare(b.CreatedAt); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys, nil
}

// FindKey returns the key with an id: ErrNotFound, ErrUnavailable.
func (l *Ledger) FindKey(ctx context.Context, id string) (*Key, error) {
	account, suffix, ok := splitKeyID(id)
	if !ok {
		return nil, fmt.Errorf("%w: key %s", ErrNotFound, id)
	}
	s, err := l.keyState(ctx, account, suffix)
	if errors.Is(err, ErrNotFound) || err == nil && s.keys[suffix] == "" {
		return nil, fmt.Errorf("%w: key %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, err
	}
	return s.key(suffix, l.timezone)
}

// RevokeKey ends a key at once and for good. Its requests in flight settle all
// the same; revoking again changes nothing. An empty account is taken from the
// key's id. ErrNotFound, ErrUnavailable.
func (l *Ledger) RevokeKey(ctx context.Context, account, id string) error {
	owner, suffix, ok := splitKeyID(id)
	if !ok || account != "" && account != owner {
		return fmt.Errorf("%w: key %s", ErrNotFound, id)
	}
	r, err := l.runFor(ctx, l.scripts.revokeKey, owner, suffix)
	if err != nil {
		return err
	}
	return r.notFound("key " + id)
}

// Authenticate checks a credential, in one trip, and returns what is left to its holder.
// It returns a *Refusal for what Reserve would refuse whatever the request: unknown,
// revoked or expired key, suspended account, other network. A Redis that is known to be
// away is not asked: ErrUnavailable.
func (l *Ledger) Authenticate(ctx context.Context, c Credential, client netip.Addr) (*Standing, error) {
	if !c.valid() {
		return nil, &Refusal{Reason: KeyInvalid, Limit: "key"}
	}
	shard := l.shardOf(c.Account)
	if l.circuits.away(shard) {
		return nil, errAway // a client waits, as with Reserve
	}
	args := append(l.args(4), c.suffix(), c.Hash, addressText(client), l.zoneOffset())
	r, err := l.run(ctx, l.scripts.authenticate, shard, l.keysOf(shard, c.Account, 0), args)
	if err != nil {
		return nil, err
	}
	if r.text(0) == "NO" {
		return nil, &Refusal{Reason: Reason(r.text(2)), Limit: r.text(3)}
	}
	standing := r.standing(2)
	standing.OfNoModel = true
	return &standing, r.problem()
}

// Holder authenticates a credential and reads whose it is: the key and its
// account, for the key holder's own routes. Its errors are those of Authenticate.
func (l *Ledger) Holder(ctx context.Context, c Credential, client netip.Addr) (*Holder, error) {
	standing, err := l.Authenticate(ctx, c, client)
	if err != nil {
		return nil, err
	}
	s, err := l.keyState(ctx, c.Account, c.suffix())
	if err != nil {
		return nil, err
	}
	key, err := s.key(c.suffix(), l.timezone)
	if err != nil {
		return nil, err
	}
	account, err := s.account()
	if err != nil {
		return nil, err
	}
	key.Requests, key.Tokens = standing.Requests, standing.Tokens
	return &Holder{Key: key, Account: account, Standing: *standing}, nil
}

// key reads one key; see lua/use.lua for the fields.
func (s *accountState) key(suffix string, zone *time.Location) (*Key, error) {
	var definition keyDefinition
	if err := json.Unmarshal([]byte(s.keys[suffix+":j"]), &definition); err != nil {
		return nil, fmt.Errorf("%w: key %s: %w", ErrUnavailable, keyID(s.id, suffix), err)
	}
	counters := make(map[string]string)
	for _, name := range []string{"c", "s", "d", "ds", "m", "ms", "sh", "t", "th", "n", "p"} {
		counters[name] = "0"
		if value, there := s.keys[suffix+":"+name]; there {
			counters[name] = value
		}
	}
	r := &record{fields: counters}
	k := &Key{
		ID: keyID(s.id, suffix), Account: s.id, Name: definition.Name, Limits: definition.Limits,
		Status: "active", CreatedAt: millis(r.integer("c")),
	}
	k.Use = KeyUse{
		SpendTotal: meter.Nano(r.integer("s")), SpendHeld: meter.Nano(r.integer("sh")),
		Tokens: r.integer("t"), TokensHeld: r.integer("th"), Requests: r.integer("n"), Parallel: r.integer("p"),
	}
	day, month := localDay(s.now.In(zone))
	if r.integer("d") == day {
		k.Use.SpendDaily = meter.Nano(r.integer("ds"))
	}
	if r.integer("m") == month {
		k.Use.SpendMonthly = meter.Nano(r.integer("ms"))
	}
	_, revoked := s.keys[suffix+":x"]
	switch {
	case revoked:
		k.Status = "revoked"
	case k.Limits.ExpiresAt != nil && !k.Limits.ExpiresAt.After(s.now):
		k.Status = "expired"
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: key %s: %w", ErrUnavailable, k.ID, r.err)
	}
	return k, nil
}

// localDay numbers days and months as calendar in lua/use.lua does.
func localDay(local time.Time) (day, month int64) {
	_, offset := local.Zone()
	seconds := local.Unix() + int64(offset)
	day = seconds / 86400
	return day, int64(local.Year())*12 + int64(local.Month()) - 1
}
