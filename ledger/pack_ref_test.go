package ledger

import (
	"testing"
	"time"
)

// A reference stands for one pack. Another pack under it, be it for other models, of another end or order, is a conflict and not
// taken for granted.
func TestPackUnderTheReferenceOfAnother(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	end := time.Now().Add(24 * time.Hour).Truncate(time.Millisecond)
	g := Grant{Account: "acme", Quantity: 5, Ref: "order 1", ExpiresAt: &end, Models: []string{"glm-4"}}
	f.grant(g)
	if p := f.grant(g); p.ID != "p1" {
		t.Errorf("granted again as %s", p.ID)
	}
	for name, change := range map[string]func(*Grant){
		"models":  func(g *Grant) { g.Models = nil },
		"expiry":  func(g *Grant) { g.ExpiresAt = nil },
		"unit":    func(g *Grant) { g.Unit = "image" },
		"order":   func(g *Grant) { g.Order = AfterBalance },
		"first":   func(g *Grant) { g.Priority = -1 },
		"smaller": func(g *Grant) { g.Quantity = 4 },
	} {
		other := g
		change(&other)
		if _, err := f.ledger.GrantPack(f.ctx(), other); err == nil {
			t.Errorf("%s: it passes for the first", name)
		} else {
			wants(t, err, ErrConflict)
		}
	}
	if packs := f.read("acme").Packs; len(packs) != 1 {
		t.Errorf("packs %+v", packs)
	}
}
