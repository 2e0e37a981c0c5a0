package ledger

import (
	"maps"
	"testing"
	"time"
)

// outcomes is what Redis remembers of the ends of requests.
func (f *fixture) outcomes(ids ...string) map[string]string {
	f.Helper()
	all := make(map[string]string)
	for _, id := range ids {
		all[id] = f.server.Client().HGet(f.ctx(), f.markerOf(&Hold{ID: id, Account: "acme"}), id).Val()
	}
	return all
}

// What is remembered of an abandoned call is put back with it, whatever has become of it: a settlement that comes late goes by that.
func TestPutBackOfAnAbandonedCall(t *testing.T) {
	for name, c := range map[string]struct {
		pack      int64 // that is granted, of tokens
		delivered string
		since     func(f *fixture, h *Hold)
		late      string // the balances after a late settlement, "" where it is a conflict
	}{
		"as it was":           {0, "input 100 0.01", func(*fixture, *Hold) {}, "8.5 0 0"},
		"that cost nothing":   {0, "input 100 0", func(*fixture, *Hold) {}, "8.5 0 0"},
		"refunded in part":    {0, "input 100 0.01", func(f *fixture, h *Hold) { f.refund(h.ID, "0.25") }, "8.5 0 0"},
		"refunded as a whole": {0, "input 100 0.01", func(f *fixture, h *Hold) { f.refund(h.ID, "") }, "8.5 0 0"},
		"released late":       {0, "input 100 0.01", func(f *fixture, h *Hold) { f.release(h) }, ""},
		"settled late":        {0, "input 100 0.01", func(f *fixture, h *Hold) { f.settle(h, charge(f, "input 150 0.01")) }, "8.5 0 0"},
		"settled late, repriced": {0, "input 100 0.01", func(f *fixture, h *Hold) {
			f.settle(h, charge(f, "input 150 0.01"))
			f.reprice(Repricing{}, at(f, "input 150 0.02"))
		}, "7 0 0"},
		"refunded in cash, paid by a pack, too": {40, "input 100 0.01", func(f *fixture, h *Hold) { f.refund(h.ID, "0.6") }, "8.9 0 0"},
	} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour, HoldTTL: time.Minute})
			f.account("acme", "10", "0", AccountOptions{})
			if c.pack > 0 {
				f.grant(Grant{Account: "acme", Quantity: c.pack})
			}
			h := f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 200 0.01"))
			f.archiveNow()
			there := f.dump()
			f.abandoned(h, charge(t, c.delivered))
			c.since(f, h)
			f.archiveNow()
			before, outcomes := f.books(), f.outcomes(h.ID)
			f.lose(there)
			f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
			f.sameBooks(before, f.books())
			if is := f.outcomes(h.ID); !maps.Equal(is, outcomes) {
				t.Errorf("remembered is %q, was %q", is, outcomes)
			}
			if _, err := f.ledger.Settle(f.ctx(), settlement(h, charge(t, "input 150 0.01"))); c.late == "" {
				wants(t, err, ErrConflict)
			} else {
				f.must(err)
				f.balances("acme", c.late)
			}
		})
	}
}
