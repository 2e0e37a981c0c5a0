package admin

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/tollgate/tollgate/ledger"
)

func (a *api) listKeys(c *call) (any, error) { return a.ledger.Keys(c.Context(), c.account()) }

// keyLimits are a key's limits as people write them: a date will do for the end.
type keyLimits struct {
	ledger.KeyLimits
	ExpiresAt string `json:"expires_at"`
}

// UnmarshalJSON refuses a limit of nothing: in the books 0, or a list without a member, is no limit at all, which is the
// opposite of what was meant.
func (l *keyLimits) UnmarshalJSON(text []byte) error {
	type plain keyLimits // without this method
	if err := strictly(text, (*plain)(l)); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	for name, is := range map[string][]string{"models": l.Models, "endpoints": l.Endpoints, "networks": l.Networks} {
		if _, there := given[name]; there && len(is) == 0 {
			return fmt.Errorf("limits.%s is an empty list: want one of them at least, or leave it out; a key that may do nothing is a revoked one", name)
		}
	}
	for name, is := range map[string]int64{
		"spend_total": int64(l.SpendTotal), "spend_daily": int64(l.SpendDaily), "spend_monthly": int64(l.SpendMonthly),
		"tokens": l.Tokens, "rpm": l.RPM, "tpm": l.TPM, "parallel": l.Parallel,
	} {
		if value, there := given[name]; there && is <= 0 {
			return fmt.Errorf("limits.%s is %s: want more than 0, or leave it out; a key that may do nothing is a revoked one", name, value)
		}
	}
	return nil
}

func (a *api) createKey(c *call) (any, error) {
	var body struct {
		Name   string    `json:"name"`
		Limits keyLimits `json:"limits"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	expires, err := a.expiry(body.Limits.ExpiresAt)
	if err != nil {
		return nil, err
	}
	asked := ledger.NewKey{Name: body.Name, Limits: body.Limits.KeyLimits}
	asked.Limits.ExpiresAt = expires
	once, err := c.idempotencyKey()
	if err != nil {
		return nil, err
	}
	if once != "" {
		if asked.Seed, err = a.seeds.of(once); err != nil {
			return nil, err
		}
	}
	key, secret, err := a.ledger.CreateKey(c.Context(), c.account(), asked)
	if err != nil {
		return nil, err
	}
	return ledger.CreatedKey{Key: key, Secret: secret}, nil
}

func (a *api) revokeKey(c *call) (any, error) {
	if err := c.read(new(struct{})); err != nil {
		return nil, err
	}
	id := c.PathValue("key")
	if secret, is := ledger.ParseCredential(id); is {
		return nil, invalid("this is a key's secret: want its id, %s", secret.KeyID())
	}
	if err := a.ledger.RevokeKey(c.Context(), c.account(), id); err != nil {
		return nil, err
	}
	return shown(a.ledger.FindKey(c.Context(), id))
}

// seeds derive the secrets of keys that must come out the same when they are asked for
// again: no secret is stored, so it is derived again, from the Idempotency-Key and the
// admin token. The former alone makes no key, and whoever has it and a key would have to
// try tokens at seedRounds each.
type seeds struct {
	token  string
	rounds int // of PBKDF2
	once   sync.Once
	root   []byte
	err    error
}

// seedRounds are some 50 ms, once in a process. They protect a token that is not random; a
// random one needs none.
const seedRounds = 100_000

func (s *seeds) of(idempotencyKey string) ([]byte, error) {
	s.once.Do(func() {
		s.root, s.err = pbkdf2.Key(sha256.New, s.token, []byte("tollgate admin keys"), s.rounds, sha256.Size)
	})
	if s.err != nil {
		return nil, s.err
	}
	mac := hmac.New(sha256.New, s.root)
	mac.Write([]byte(idempotencyKey))
	return mac.Sum(nil), nil
}
