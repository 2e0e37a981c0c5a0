package ledger

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A seed makes one key, however often it is asked for, and gives its secret each time.
func TestSeededKeyIsMadeOnce(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.account("bolt", "10", "0", AccountOptions{})
		seed := bytes.Repeat([]byte{7}, minSeed)
		soon := time.Now().Add(time.Hour)
		asked := NewKey{Name: "ci", Limits: KeyLimits{RPM: 60, Endpoints: []string{"chat"}, ExpiresAt: &soon}, Seed: seed}
		first, secret, err := f.ledger.CreateKey(f.ctx(), "acme", asked)
		f.must(err)
		if c, ok := ParseCredential(secret); !ok || c.Account != "acme" || !strings.HasSuffix(first.ID, c.suffix()) {
			t.Errorf("%q is no secret of key %s", secret, first.ID)
		}
		there := soon.In(time.FixedZone("elsewhere", 3600))
		asked.Limits.ExpiresAt = &there // the same instant
		again, same, err := f.ledger.CreateKey(f.ctx(), "acme", asked)
		f.must(err)
		if again.ID != first.ID || same != secret {
			t.Errorf("asked twice for %s and %s", first.ID, again.ID)
		}
		other, another, err := f.ledger.CreateKey(f.ctx(), "bolt", asked)
		f.must(err)
		if other.ID == first.ID || another[len("tg-bolt-"):] == secret[len("tg-acme-"):] {
			t.Errorf("of one seed two accounts have %s and %s", secret, another)
		}
		keys, err := f.ledger.Keys(f.ctx(), "acme")
		f.must(err)
		if len(keys) != 1 {
			t.Errorf("%d keys, want one", len(keys))
		}
		f.audit()
	})
}

// With other content it is refused, and so is a seed that somebody could guess.
func TestSeededKeyOfOtherContent(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		seed := bytes.Repeat([]byte{7}, minSeed)
		create := func(k NewKey) error {
			_, _, err := f.ledger.CreateKey(context.WithoutCancel(f.ctx()), "acme", k)
			return err
		}
		f.must(create(NewKey{Name: "ci", Limits: KeyLimits{RPM: 60}, Seed: seed}))
		for name, tt := range map[string]struct {
			asked NewKey
			want  error
		}{
			"the same":     {NewKey{Name: "ci", Limits: KeyLimits{RPM: 60}, Seed: seed}, nil},
			"another name": {NewKey{Name: "cd", Limits: KeyLimits{RPM: 60}, Seed: seed}, ErrConflict},
			"other limits": {NewKey{Name: "ci", Limits: KeyLimits{RPM: 61}, Seed: seed}, ErrConflict},
			"short":        {NewKey{Name: "ci", Seed: seed[1:]}, ErrInvalid},
			"empty":        {NewKey{Name: "ci", Seed: []byte{}}, ErrInvalid},
		} {
			if err := create(tt.asked); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", name, err, tt.want)
			}
		}
	})
}
