package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// lives is how long the markers of a hold's hour live from now on.
func (f *fixture) lives(l *Ledger, h *Hold) time.Duration {
	f.Helper()
	left, err := l.client.PTTL(f.ctx(), f.markerOf(h)).Result()
	f.must(err)
	return left
}

// The outcome of a call that ends after the hour of its id is remembered as long as any, though others of that hour ended before.
func TestOutcomeOfALateCallIsRememberedLongEnough(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		early := f.reserve(key, cost(f, "1"))
		var late [3]*Hold
		for i := range late {
			late[i] = f.reserve(key, cost(f, "1"))
		}
		f.settle(early, cost(f, "1"))
		pass := func(d time.Duration) { // for the markers, too
			left := f.lives(f.ledger, early)
			f.pass(d)
			f.must(f.server.Client().PExpire(f.ctx(), f.markerOf(early), left-d).Err())
		}
		pass(time.Until(time.Now().Truncate(time.Hour).Add(110 * time.Minute)))
		for i, until := range []time.Duration{40 * time.Minute, 5 * time.Hour, 0} {
			f.settle(late[i], cost(f, "1"))
			if left := f.lives(f.ledger, late[i]); left < markerLife {
				f.Errorf("it is forgotten after %s", left)
			}
			pass(until)
		}
	})
}

// Two ledgers in two databases of one server name their markers alike, and each has to say how long its own live.
func TestMarkersOfEachLedgerOfAServerGoInTime(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	url := f.server.URL()
	other, err := Open(f.ctx(), Options{URL: url[:strings.LastIndex(url, "/")] + "/1", Currency: "CNY", Shards: 1})
	f.must(err)
	f.Cleanup(func() { _ = other.Close() })
	first := f.ledger
	for _, l := range []*Ledger{first, other} {
		f.ledger = l
		f.account("acme", "10", "0", AccountOptions{})
		h := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
		f.settle(h, cost(f, "1"))
		if left := f.lives(l, h); left < markerLife {
			t.Errorf("the markers live %s", left)
		}
	}
	f.ledger = first
}

// What an operator has given back of an abandoned call is remembered as long as any outcome, from then on: a settlement that
// comes late takes back what is left alone.
func TestRefundOfAnAbandonedCallIsRememberedLongEnough(t *testing.T) {
	for name, amount := range map[string]*meter.Nano{"in part": new(meter.Nano(250_000_000)), "as a whole": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			h := f.reserve(f.key("acme", KeyLimits{}), cost(t, "2"))
			f.abandoned(h, cost(t, "1"))
			f.must(f.server.Client().PExpire(f.ctx(), f.markerOf(h), time.Hour).Err())
			f.pass(markerLife)
			_, err := f.ledger.Refund(f.ctx(), Refund{Account: "acme", RequestID: h.ID, Amount: amount, Reason: "cut", Ref: "ticket-7"})
			f.must(err)
			if left := f.lives(f.ledger, h); left < markerLife {
				t.Errorf("it is forgotten after %s", left)
			}
			f.settle(h, cost(t, "1.5"))
			f.balances("acme", "8.5 0 0")
		})
	}
}
