package ledger

import (
	"testing"
	"time"
)

// An outcome that is put back is remembered for as long as its request can be taken for one that was never booked: that goes by the time
// in its id, and a proxy's clock may stand ahead.
func TestPutBackRemembersLongEnough(t *testing.T) {
	const ahead = 5 * time.Hour
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	there := f.dump()
	h := &Hold{ID: newID("req_", time.Now().Add(ahead)), Account: "acme", Key: keyID("acme", key.suffix())}
	f.settle(h, cost(t, "1"))
	f.archiveNow()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	if left := f.lives(f.ledger, h); left < markerLife+ahead-time.Minute {
		t.Errorf("it is remembered for %s", left)
	}
	if r := f.settle(h, cost(t, "1")); !r.Repeated {
		t.Error("it is booked again")
	}
}

// What Redis would have forgotten by its clock is not remembered anew; what it would not have, is.
func TestPutBackRemembersWhatIsAlive(t *testing.T) {
	for since, want := range map[time.Duration]bool{markerLife - 2*time.Hour: true, markerLife + 2*time.Hour: false} {
		t.Run(since.String(), func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: 1000 * time.Hour})
			f.account("acme", "10", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{})
			f.archiveNow()
			there := f.dump()
			h := f.reserve(key, cost(t, "1"))
			f.settle(h, cost(t, "1"))
			f.topup("acme", Bonus, "1")
			f.archiveNow()
			f.lose(there)
			f.pass(since)
			f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
			if is := f.outcomes(h.ID)[h.ID] != ""; is != want {
				t.Errorf("remembered: %t", is)
			}
			f.balances("acme", "9 1 0")
		})
	}
}
