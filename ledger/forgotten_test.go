package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// ONCE: a settlement that Redis has forgotten is looked for in the archive of its account's shard, whichever that is.
func TestWhatIsArchivedIsNotBookedAgain(t *testing.T) {
	for shard := range 4 {
		t.Run(fmt.Sprintf("shard %d", shard), func(t *testing.T) {
			f := archived(t, Options{Shards: 4, ArchiveKeep: time.Millisecond})
			account := ""
			for i := 0; account == ""; i++ {
				if id := fmt.Sprintf("a%d", i); f.ledger.shardOf(id) == shard {
					account = id
				}
			}
			f.account(account, "10", "0", AccountOptions{})
			p := &logged{fixture: f, dir: t.TempDir(), key: f.key(account, KeyLimits{})}
			l := p.start(Options{Archive: f.ledger.vault.address})
			hold := p.reserveOn(l, cost(t, "1"))
			_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
			p.must(err)
			p.die(l) // before it has noted that the charge is booked

			f.outlive(hold)
			done, err := f.ledger.AdoptLog(f.ctx(), p.dir)
			f.must(err)
			if done.There != 1 || done.Settled != 0 {
				t.Errorf("replayed %+v, want the charge found", done)
			}
			f.balances(account, "9 0 0")
		})
	}
}

// One that was never booked is, whatever other calls of its account have been: those that are archived alone, and those that
// Redis still has.
func TestWhatIsForgottenAndWasNeverBookedIsBooked(t *testing.T) {
	f := archived(t, Options{Shards: 4, ArchiveKeep: time.Millisecond})
	f.account("acme", "10", "0", AccountOptions{})
	p := &logged{fixture: f, dir: t.TempDir(), key: f.key("acme", KeyLimits{})}
	l := p.start(Options{Archive: f.ledger.vault.address})
	old := &Hold{ID: newID("req_", time.Now().Add(-markerLife-time.Hour)), Account: "acme", Key: keyID("acme", p.key.suffix())}
	b, err := l.bookingOf(ptr(settlement(old, cost(t, "1"))))
	p.must(err)
	_, err = l.log.end(recordSettle, b)
	p.must(err)
	p.die(l)

	f.settle(f.reserve(p.key, cost(t, "2")), cost(t, "2"))
	f.archiveNow()
	f.settle(f.reserve(p.key, cost(t, "3")), cost(t, "3"))
	done, err := f.ledger.AdoptLog(f.ctx(), p.dir)
	f.must(err)
	if done.Settled != 1 {
		t.Errorf("replayed %+v, want the charge booked", done)
	}
	f.balances("acme", "4 0 0")
}

// A call may last longer than its end would be remembered, and its end may be told later than that: while its hold is there, or
// what became of that, it is known that it has not been charged.
func TestCallOlderThanWhatIsRemembered(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		var holds [5]*Hold
		for i := range holds {
			holds[i] = f.reserve(key, cost(f, "1"))
		}
		long, parked, swept, late, nothing := holds[0], holds[1], holds[2], holds[3], holds[4]
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(nothing, meter.Charge{})}))
		f.pass(time.Hour)
		for _, h := range []*Hold{long, parked} {
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, cost(f, "0.1"))}))
		}
		if s := f.sweep(); s != (Swept{Released: 2, Abandoned: 1, Open: 2}) {
			f.Errorf("swept %+v", s)
		}
		f.pass(markerLife + 2*time.Hour)
		f.settle(long, cost(f, "1"))
		f.park(parked, anyTask, cost(f, "1"))
		f.settle(swept, cost(f, "1"))
		f.balances("acme", "8 0 1")
		f.park(late, anyTask+"0", cost(f, "1")) // its time is over: nothing is held for it, and nothing taken back
		f.park(nothing, anyTask+"1", cost(f, "1"))
		f.balances("acme", "8 0 1")
		if n := len(f.entries("acme", TypeRefund)); n != 0 {
			f.Errorf("%d entries take something back", n)
		}
		f.settle(parked, cost(f, "1"))
		f.settle(late, cost(f, "1"))
		f.balances("acme", "6 0 0")
	})
}

// outlive lets days pass: what came of a request is archived and trimmed, and its outcome has expired.
func (f *fixture) outlive(h *Hold) {
	f.Helper()
	f.archiveNow()
	idMS, err := idMillis(h.ID)
	f.must(err)
	f.must(f.server.Client().Del(f.ctx(), f.ledger.markerKey(f.ledger.shardOf(h.Account), idMS)).Err())
	f.pass(markerLife + 2*time.Hour)
}
