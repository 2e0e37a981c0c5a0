package ledger

import "testing"

// Wherever a rebuild dies before it has founded all shards, it can be taken up again.
func TestRebuildDiesWhileFounding(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.broken = true // a rebuild audits it
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	before := f.books()
	o := Options{URL: f.server.URL(), Archive: f.ledger.vault.address}
	report, owner, err := readOwner(f.ctx(), o.Archive)
	f.must(err)
	for _, after := range []bool{false, true} {
		for n, died := 1, true; died; n++ {
			f.must(f.server.Client().FlushAll(f.ctx()).Err())
			client, closeClient, err := connect(o.URL)
			f.must(err)
			m := &mortal{left: n, after: after}
			client.AddHook(m)
			s := &shards{client: client, scripts: new(scripts), identity: owner.Identity, currency: owner.Currency}
			s.divide(owner.Shards)
			if err := s.createRebuilt(f.ctx(), report.Archive); m.left > 0 {
				f.must(err)
				died = false
			}
			f.must(closeClient())
			if _, err := Rebuild(f.ctx(), o); err != nil {
				t.Fatalf("it died at command %d, after it was executed: %t; then %v", n, after, err)
			}
			f.sameBooks(before, f.books())
		}
	}
}
