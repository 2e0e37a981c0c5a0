package ledger

import (
	"testing"
	"time"
)

// Keys are listed as they were made, however many there are.
func TestKeysOldestFirst(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	var made []string
	for range 20 {
		k, _, err := f.ledger.CreateKey(f.ctx(), "acme", NewKey{})
		f.must(err)
		made = append(made, k.ID)
		f.pass(time.Second)
	}
	keys, err := f.ledger.Keys(f.ctx(), "acme")
	f.must(err)
	if len(keys) != len(made) {
		t.Fatalf("%d keys, want %d", len(keys), len(made))
	}
	for i, k := range keys {
		if k.ID != made[i] {
			t.Errorf("key %d is %s, want %s", i, k.ID, made[i])
		}
	}
}
