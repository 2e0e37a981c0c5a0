package ledger

import (
	"testing"
	"time"
)

// A charge that Redis has lost is booked again under an earlier id, where entries before it did not come back. The log goes
// by where it stands now: a shard in which nothing more happens never comes to the other.
func TestPurgeGoesByWhereAChargeStandsNow(t *testing.T) {
	f := archived(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	p := &logged{fixture: f, dir: t.TempDir(), key: f.key("acme", KeyLimits{})}
	o := Options{Archive: f.ledger.vault.address}
	l := p.start(o)
	hold := p.reserveOn(l, cost(t, "1"))
	before := f.snapshot()
	f.topup("acme", Recharge, "5") // nobody has it but Redis
	_, err := l.Settle(f.ctx(), settlement(hold, cost(t, "1")))
	f.must(err)
	f.must(l.log.flush())
	f.must(l.log.wal.Rotate())
	p.die(l)
	p.goBack(before)

	for start := range 2 {
		again := p.start(o)
		f.balances("acme", "9 0 0")
		f.archiveNow()
		f.must(again.archiver.measureLag(f.ctx()))
		f.must(again.log.flush())
		f.must(again.log.purge(time.Now().Add(time.Hour), again.replayer.watermark()))
		if kept := again.log.wal.Segments(); len(kept) != 1 {
			t.Errorf("start %d: segments %v are kept, and the archive has all charges in them", start+1, kept)
		}
		p.die(again)
	}
}
