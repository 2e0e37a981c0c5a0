package ledger

import (
	"testing"
	"time"
)

// What Redis has let go of is priced anew by the archive; and what was refunded, by refunds that are there alone, is left alone
// without a word, as ever.
func TestRepriceOfWhatIsArchived(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Millisecond})
	for _, id := range []string{"bolt", "acme"} {
		f.account(id, "10", "0", AccountOptions{})
	}
	once := charge(t, "input 1 1")
	key := f.key("acme", KeyLimits{})
	f.settle(f.reserve(key, once), once)
	back := f.settle(f.reserve(key, once), once)
	f.refund(back.RequestID, "0.5")
	f.settle(f.reserve(f.key("bolt", KeyLimits{}), once), once)
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	if n := f.hot(0); n > 1 {
		t.Fatalf("%d entries are in Redis", n)
	}
	list, sum := f.reprice(Repricing{}, at(t, "input 1 2"))
	if len(list) != 1 || sum.Charges != 1 || sum.Repriced != 1 {
		t.Errorf("%d repriced, %+v", len(list), sum)
	}
	f.archiveNow()
	if list, sum := f.reprice(Repricing{}, at(t, "input 1 2")); len(list) != 0 || sum.Charges != 1 {
		t.Errorf("again: %d repriced, %+v", len(list), sum)
	}
}
