package ledger

import (
	"testing"
	"time"
)

// Where a person must look, the calls, probes and sweeps that find Redis closed do not each take an epoch from the archive: those
// would be used up in a day or two, and no recovery could ever come to its end again.
func TestRecoveryInVainPauses(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	before := f.snapshot()
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	right := f.snapshot()
	f.goBack(before)
	f.topup("acme", Bonus, "2") // under the id that the archive has of the other
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	first, err := f.store().Head(f.ctx(), 0)
	f.must(err)
	for range 500 {
		wants(t, f.ledger.recoverer.recoverShard(f.ctx(), 0), errDisagree)
	}
	last, err := f.store().Head(f.ctx(), 0)
	f.must(err)
	if n := last.Epoch - first.Epoch; n < 1 || n > 30 {
		t.Errorf("500 calls took %d epochs", n)
	}

	f.goBack(right) // somebody has looked
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	for deadline := time.Now().Add(2 * maxFailurePause); ; time.Sleep(recoveryPoll) {
		if err = f.ledger.recoverer.recoverShard(f.ctx(), 0); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not recovered: %v", err)
		}
	}
	f.balances("acme", "10 1 0")
}
