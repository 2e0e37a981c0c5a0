package ledger

import "testing"

// Outcomes of an hour that cannot be read, in one shard, keep those of no other from being looked at.
func TestOneMarkerDoesNotStopWhatWasLost(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.broken = true
	other := ""
	for i := 0; other == ""; i++ {
		if id := string(rune('a'+i)) + "cme"; l.shardOf(id) != l.shardOf("acme") {
			other = id
		}
	}
	p.account(other, "10", "0", AccountOptions{})
	first, err := l.Reserve(p.ctx(), p.reservation(p.fixture.key(other, KeyLimits{}), cost(t, "1")))
	p.must(err)
	second := p.reserveOn(l, cost(t, "1"))
	before := p.snapshot()
	for _, h := range []*Hold{first, second} {
		_, err := l.Settle(p.ctx(), settlement(h, cost(t, "1")))
		p.must(err)
	}
	p.must(l.log.flush())
	p.die(l)
	p.goBack(before)
	marker := l.markerKey(l.shardOf(other), mustMillis(t, first.ID))
	p.must(p.server.Client().Set(p.ctx(), marker, "damaged", 0).Err())

	again := p.start(Options{})
	p.balances("acme", "9 0 0")
	p.balances(other, "10 0 1")
	if !again.replayer.unfinished {
		t.Error("the replay counts as done")
	}
	p.must(p.server.Client().Del(p.ctx(), marker).Err()) // somebody has repaired it
	p.must(again.replayer.all(p.ctx()))
	p.balances(other, "9 0 0")
}
