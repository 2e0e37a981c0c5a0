package ledger

import (
	"slices"
	"testing"
)

// A pack is shown with the patterns that it was granted with, whatever Unicode takes for a space.
func TestPackModelsAreShownAsGranted(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	models := []string{"glm\u00a04", "模型\u3000*", "x\u0085y", "plain"}
	if p := f.grant(Grant{Account: "acme", Quantity: 10, Models: models}); !slices.Equal(p.Models, models) {
		t.Errorf("granted for %q, shown for %q", models, p.Models)
	}
	if p := f.grant(Grant{Account: "acme", Quantity: 10}); p.Models == nil || len(p.Models) != 0 {
		t.Errorf("granted for all models, shown for %q", p.Models)
	}
	r := f.reservation(f.key("acme", KeyLimits{}), charge(t, "input 10 1"))
	r.Model = models[0]
	if _, err := f.ledger.Reserve(f.ctx(), r); err != nil {
		t.Errorf("the pack does not pay for %q: %v", models[0], err)
	}
}
