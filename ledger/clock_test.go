package ledger

import (
	"math"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Redis's clock was days ahead for a moment: nothing is charged twice.
func TestClockJumpForgetsNoCharge(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithFaults(t))
	h := p.reserveOn(l, cost(t, "1"))
	_, err := l.Settle(p.ctx(), settlement(h, cost(t, "1")))
	p.must(err)
	p.server.SetClock(74 * time.Hour)
	time.Sleep(1500 * time.Millisecond)
	p.server.SetClock(0)
	p.must(l.Close())
	p.start(Options{}) // the proxy is restarted, and replays its log
	p.charges(1)
	p.balances("acme", "9 0 0")
}

// A request id from a clock that stands ahead is remembered as long as it can be settled.
func TestIDFromTheFutureIsRememberedLongEnough(t *testing.T) {
	p, l := newLogged(t, Options{})
	r := p.reservation(p.key, cost(t, "1"))
	r.ID = newID("req_", time.Now().Add(48*time.Hour)) // the proxy's clock is two days ahead
	h, err := l.Reserve(p.ctx(), r)
	p.must(err)
	_, err = l.Settle(p.ctx(), settlement(h, cost(t, "1")))
	p.must(err)
	p.die(l) // before it has noted that the charge is booked
	bucket := l.markerKey(l.shardOf("acme"), mustMillis(t, h.ID))
	ttl, err := p.server.Client().PTTL(p.ctx(), bucket).Result()
	p.must(err)
	// Its log is adopted 100 hours later.
	p.pass(100 * time.Hour)
	if ttl < 100*time.Hour {
		p.must(p.server.Client().Del(p.ctx(), bucket).Err()) // as Redis does by then
	}
	_, err = p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	p.charges(1)
}

// A process whose clock is more than a day behind Redis's can admit nothing: it says so, and is not ready.
func TestNoCallsADayBehindRedis(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithFaults(t))
	p.must(l.Ready(p.ctx()))
	p.server.SetClock(admissible + time.Hour)
	_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(t, "1")))
	wants(t, err, ErrClock)
	if state, _ := l.LogState(); state.Pending != 0 {
		t.Errorf("%d calls wait in the log, for which nothing was held", state.Pending)
	}
	err = l.Ready(p.ctx())
	wants(t, err, ErrUnavailable)
	wants(t, err, ErrClock)
	p.server.SetClock(0)
	p.must(l.Ready(p.ctx()))
	p.reserveOn(l, cost(t, "1"))
}

// A lease taken by a clock that stands ahead, by a time zone or by days, does not keep the others from archiving once its holder is
// dead: not for so long that admission stops.
func TestLeaseFromAClockAhead(t *testing.T) {
	for _, ahead := range []time.Duration{staleAfter, time.Hour, 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			f := archived(t, Options{Shards: 1})
			f.account("acme", "10", "0", AccountOptions{})
			_, err := f.store().Lease(f.ctx(), archiverLease, "archiver_dead", ahead+f.ledger.archiver.leaseTTL())
			f.must(err)
			w := f.ledger.archiver
			w.round(f.ctx())
			if w.state.Archived == 0 {
				t.Errorf("nothing is archived: %+v", w.state)
			}
		})
	}
}

// A proxy's clock that once stood ahead does not keep its log from being purged.
func TestClockAheadDoesNotFillTheLog(t *testing.T) {
	p, l := newLogged(t, Options{})
	_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
	p.must(err)
	r := &logRecord{kind: noteDone, atMS: time.Now().Add(365 * 24 * time.Hour).UnixMilli(), booking: booking{id: NewRequestID(), account: "acme"}}
	_, err = l.log.wal.Append(r.appendTo([]byte{recordVersion})) // written a year ahead
	p.must(err)
	p.must(l.log.wal.Rotate())
	p.must(l.Close())
	again := p.start(Options{})
	all := func(int) int64 { return math.MaxInt64 }
	now := time.Now()
	for i := range 10 {
		p.must(again.log.purge(now.Add(time.Duration(i)*time.Hour), all))
		_, err := again.Settle(p.ctx(), settlement(p.reserveOn(again, cost(t, "0.1")), cost(t, "0.1")))
		p.must(err)
		p.must(again.log.flush())
	}
	if n := len(again.log.wal.Segments()); n > 3 {
		t.Errorf("%d segments are kept, of which all but the last two are archived and hours old", n)
	}
}
