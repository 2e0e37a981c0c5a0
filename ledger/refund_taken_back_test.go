package ledger

import (
	"testing"
	"time"
)

// A call that had been charged when it was abandoned, and was released late, has its money back already. Where only the journal
// knows that, since its marker is gone and the archive is behind, a refund gives nothing back a second time, also when Redis's clock
// was set back before the release.
func TestRefundOfWhatWasTakenBackAndIsNotArchived(t *testing.T) {
	for name, back := range map[string]time.Duration{"in time": 0, "clock set back": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			h := f.reserve(f.key("acme", KeyLimits{}), cost(t, "2"))
			f.abandoned(h, cost(t, "1"))
			f.archiveNow()
			f.pass(-back)
			f.release(h)
			f.pass(markerLife + time.Hour)
			f.must(f.server.Client().Del(f.ctx(), f.markerOf(h)).Err())
			for _, amount := range []string{"0.4", ""} {
				_, err := f.tryRefund(h.ID, amount)
				f.says(err, ErrInvalid, "nothing left to refund")
			}
			f.balances("acme", "10 0 0")
		})
	}
}
