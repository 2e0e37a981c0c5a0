package ledger

import (
	"testing"
	"time"
)

// A call that was charged when it was abandoned, and then released late, has no charge, however long ago that was: neither its
// receipt nor what a settlement log asks for says otherwise.
func TestWhatWasTakenBackLongAgoHasNoReceipt(t *testing.T) {
	f := archived(t, Options{Shards: 1, HoldTTL: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	taken := f.reserve(key, cost(t, "2"))
	f.abandoned(taken, cost(t, "1"))
	f.release(taken)
	stands := f.reserve(key, cost(t, "2"))
	f.abandoned(stands, cost(t, "1"))
	f.outlive(taken)
	_, err := f.ledger.Receipt(f.ctx(), "acme", taken.ID)
	wants(t, err, ErrNotFound)
	receipt, err := f.ledger.Receipt(f.ctx(), "acme", stands.ID)
	f.must(err)
	if receipt.Type != TypeAbandon || receipt.FeeDue() != f.nano("1") {
		t.Errorf("receipt %+v", receipt)
	}
	for id, want := range map[string]string{taken.ID: "", stands.ID: TypeAbandon} {
		if is, err := f.ledger.everCharged(f.ctx(), "acme", id); err != nil || is != want {
			t.Errorf("what stands is %q, want %q: %v", is, want, err)
		}
		if is, err := f.ledger.everCharged(f.ctx(), "other", id); err != nil || is != "" {
			t.Errorf("another account is said to have its %q: %v", is, err)
		}
	}
}
