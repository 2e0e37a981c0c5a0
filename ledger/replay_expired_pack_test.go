package ledger

import (
	"testing"
	"time"
)

// Several charges that Redis has lost were paid by one pack, whose time is over before the log is replayed. The pack pays all of
// them again, as the clients were told, and not the first alone.
func TestExpiredPackPaysAllThatIsReplayed(t *testing.T) {
	for name, c := range map[string]struct {
		kept int   // so many holds are not lost
		left int64 // of the pack, for the sweeper
	}{
		"no hold is left":         {0, 20},
		"the first one's is left": {1, 10}, // what comes back from it expires with it
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{})
			p.pass(-2 * time.Hour) // for those who are here; who starts later goes by Redis's clock
			l.clockOffset.Store(p.ledger.clockOffset.Load())
			pack := p.expiring(100, time.Hour)
			before := p.snapshot()
			var holds []*Hold
			for i := range 2 {
				hold := p.reserveOn(l, charge(t, "input 50 0.01"))
				if i < c.kept {
					before = p.snapshot()
				}
				_, err := l.Settle(p.ctx(), settlement(hold, charge(t, "input 40 0.01")))
				p.must(err)
				holds = append(holds, hold)
			}
			p.must(l.log.flush())
			p.die(l)
			p.goBack(before)
			p.ledger.clockOffset.Store(0)
			p.start(Options{})
			for _, hold := range holds {
				receipt, err := p.ledger.Receipt(p.ctx(), "acme", hold.ID)
				p.must(err)
				if got := paid(receipt.Paid); got != "pack:"+pack.ID+" 40" {
					t.Errorf("paid %s: the client was told that the pack pays", got)
				}
			}
			p.balances("acme", "10 0 0")
			p.pack("acme", pack.ID, c.left, c.left)
			if swept := p.sweep(); swept.Expired != 1 {
				t.Errorf("swept %+v: what nobody used expires", swept)
			}
		})
	}
}
