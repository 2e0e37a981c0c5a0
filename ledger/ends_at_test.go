package ledger

import (
	"testing"
	"time"
)

// What ends at a time has ended in that very millisecond, and not in the one before.
func TestWhatEndsAtATime(t *testing.T) {
	f := newFixture(t, Options{})
	f.ledger.scripts = f.stillScripts()
	f.must(f.ledger.openServer(f.ctx(), f.server.Client()))
	f.account("acme", "10", "0", AccountOptions{})
	start := f.entries("acme")[0].At
	// at sets the clock to so long after the start.
	at := func(d time.Duration) { f.ledger.clockOffset.Store(d.Milliseconds()) }
	const ms = time.Millisecond

	end := start.Add(time.Minute)
	_, secret, err := f.ledger.CreateKey(f.ctx(), "acme", NewKey{Limits: KeyLimits{ExpiresAt: &end}})
	f.must(err)
	expiring, _ := ParseCredential(secret)
	at(time.Minute - ms)
	f.release(f.reserve(expiring, cost(f, "1")))
	at(time.Minute)
	_ = isReason(t, f.refused(expiring, cost(f, "1")), KeyExpired, "key.expires")

	key, used := f.key("acme", KeyLimits{}), charge(f, "input 10 0.1")
	packEnd := start.Add(2 * time.Minute)
	f.grant(Grant{Account: "acme", Quantity: 30, ExpiresAt: &packEnd})
	at(2*time.Minute - ms)
	f.sweep()
	f.pack("acme", "p1", 30, 30)
	held, free := f.reserve(key, used), f.reserve(key, used)
	if got := paid(held.Packs); got != "pack:p1 10" {
		t.Errorf("held of %q", got)
	}
	at(2 * time.Minute)
	if late := f.reserve(key, used); len(late.Packs) != 0 {
		t.Errorf("a pack that has expired is held of: %s", paid(late.Packs))
	} else {
		f.release(late)
	}
	f.release(free) // what comes back to it goes at once, and what was free with the sweeper
	f.pack("acme", "p1", 20, 10)
	if s := f.sweep(); s.Expired != 1 {
		t.Errorf("swept %+v", s)
	}
	f.pack("acme", "p1", 10, 0)

	at(held.Deadline.Sub(start) - ms)
	if s := f.sweep(); s != (Swept{Open: 1}) {
		t.Errorf("swept %+v before the deadline", s)
	}
	at(held.Deadline.Sub(start))
	if s := f.sweep(); s != (Swept{Released: 1}) {
		t.Errorf("swept %+v", s)
	}

	limited := f.key("acme", KeyLimits{RPM: 7})
	for range 7 {
		f.release(f.reserve(limited, cost(f, "1")))
	}
	no := isReason(t, f.refused(limited, cost(f, "1")), RateLimited, "key.rpm")
	at(held.Deadline.Sub(start) + no.RetryAfter - ms)
	_ = isReason(t, f.refused(limited, cost(f, "1")), RateLimited, "key.rpm")
	at(held.Deadline.Sub(start) + no.RetryAfter)
	f.release(f.reserve(limited, cost(f, "1")))
}
