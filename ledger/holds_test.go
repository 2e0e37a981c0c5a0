package ledger

import (
	"testing"
	"time"
)

// RESOLVE: where holds of dead proxies are kept until somebody has looked, they
// can be looked at, and ended, each as it is decided.
func TestEndHold(t *testing.T) {
	f := newFixture(t, Options{OnAbandoned: HoldAbandoned})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("other", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 60})
	key := f.key("acme", KeyLimits{})
	silent := f.reserve(key, charge(f, "input 50 0.01"))
	heard := f.reserve(key, charge(f, "input 50 0.01", "output 100 0.02"))
	spared := f.reserve(f.key("other", KeyLimits{}), cost(f, "1"))
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(heard, charge(f, "input 50 0.01", "output 30 0.02"))}))
	f.pass(time.Hour)
	alive := f.reserve(key, cost(f, "1"))
	if s := f.sweep(); s != (Swept{Kept: 3, Open: 4}) {
		t.Fatalf("swept %+v", s)
	}

	holds, err := f.ledger.OpenHolds(f.ctx(), "acme")
	f.must(err)
	if len(holds) != 3 || holds[2].RequestID != alive.ID || holds[2].Overdue || holds[2].Cash != f.nano("1") || holds[2].Delivered != nil {
		t.Fatalf("open %+v", holds)
	}
	overdue, err := f.ledger.OverdueHolds(f.ctx())
	f.must(err)
	byID := make(map[string]OpenHold)
	for _, h := range overdue {
		byID[h.RequestID] = h
	}
	first, second := byID[silent.ID], byID[heard.ID]
	if len(overdue) != 3 || byID[spared.ID].Account != "other" {
		t.Errorf("overdue %+v", overdue)
	}
	if !first.Overdue || first.Delivered != nil || len(first.Packs) != 1 || first.Packs[0] != (Payment{From: "pack:p1", Quantity: 50}) || first.Cash != 0 {
		t.Errorf("the silent one: %+v", first)
	}
	if second.Delivered == nil || *second.Delivered != f.nano("1.1") || second.Key == "" || second.Account != "acme" || !second.EndsAt.After(second.PlacedAt) {
		t.Errorf("the one that was heard of: %+v", second)
	}

	entry, err := f.ledger.EndHold(f.ctx(), "acme", silent.ID, true) // of which nothing is known
	f.must(err)
	if entry != nil {
		t.Errorf("charged %+v", entry)
	}
	entry, err = f.ledger.EndHold(f.ctx(), "acme", heard.ID, true)
	f.must(err)
	if entry == nil || entry.Type != TypeAbandon || entry.RequestID != heard.ID || entry.tokens() != 80 {
		t.Errorf("charged %+v", entry)
	}
	given, err := f.ledger.EndHold(f.ctx(), "other", spared.ID, false)
	f.must(err)
	if given != nil {
		t.Errorf("charged %+v", given)
	}
	f.balances("other", "10 0 0")
	again, err := f.ledger.EndHold(f.ctx(), "acme", heard.ID, true) // whose answer was lost
	f.must(err)
	if again == nil || again.ID != entry.ID || again.FeeDue() != entry.FeeDue() {
		t.Errorf("charged %+v, and told again %+v", entry, again)
	}
	for what, c := range map[string]struct {
		account, id string
		charge      bool
		want        error
	}{
		"in flight":                    {"acme", alive.ID, true, ErrConflict},
		"is charged, and not released": {"acme", heard.ID, false, ErrConflict},
		"had nothing to be charged":    {"acme", silent.ID, true, ErrNotFound},
		"was released":                 {"other", spared.ID, false, ErrNotFound},
		"is another's":                 {"other", alive.ID, true, ErrNotFound},
		"is another's charge":          {"other", heard.ID, true, ErrNotFound},
		"is none":                      {"acme", NewRequestID(), true, ErrNotFound},
		"no account":                   {"nobody", alive.ID, true, ErrNotFound},
		"not a request id":             {"acme", "x", true, ErrInvalid},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := f.ledger.EndHold(f.ctx(), c.account, c.id, c.charge)
			wants(f, err, c.want)
		})
	}
	f.settle(heard, charge(f, "input 50 0.01", "output 100 0.02")) // late after all
	_, err = f.ledger.EndHold(f.ctx(), "acme", heard.ID, true)
	wants(f, err, ErrConflict)
	f.settle(alive, cost(f, "1"))
	if s := f.sweep(); s != (Swept{}) {
		t.Errorf("left %+v", s)
	}
	f.audit()
}

// A reservation that costs nothing has a hold all the same, which can be listed and ended.
func TestEndAFreeHold(t *testing.T) {
	f := newFixture(t, Options{OnAbandoned: HoldAbandoned})
	f.account("acme", "10", "0", AccountOptions{})
	free := f.reserve(f.key("acme", KeyLimits{}), charge(f, "input 50 0"))
	f.pass(time.Hour)
	overdue, err := f.ledger.OverdueHolds(f.ctx())
	f.must(err)
	if len(overdue) != 1 || overdue[0].RequestID != free.ID || overdue[0].Cash != 0 || len(overdue[0].Packs) != 0 {
		t.Errorf("overdue %+v", overdue)
	}
	_, err = f.ledger.EndHold(f.ctx(), "acme", free.ID, false)
	f.must(err)
}

// A hold that is kept has the last checkpoint, also one that came while Redis was away: the log had it.
func TestKeptHoldHasTheLastCheckpoint(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "3"))
	p.must(l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "0.1"))}))
	away := l.circuits.of(l.shardOf("acme"))
	away.until.Store(time.Now().Add(time.Hour).UnixNano())
	wants(t, l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(t, "2.5"))}), ErrUnavailable)
	p.die(l)
	for range 2 {
		p.die(p.start(Options{OnAbandoned: HoldAbandoned}))
		p.balances("acme", "10 0 3")
	}
	p.pass(2 * defaultHoldTTL)
	entry, err := p.ledger.EndHold(p.ctx(), "acme", hold.ID, true)
	p.must(err)
	if entry.FeeDue() != p.nano("2.5") {
		t.Errorf("charged %s, want what was delivered, 2.5", entry.FeeDue())
	}
	p.balances("acme", "7.5 0 0")
}
