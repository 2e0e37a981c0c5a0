package ledger

import (
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Two versions use one ledger side by side: one ends what the other began, neither's
// library keeps the other's out, and each goes on after a restart of Redis.
func TestTwoVersionsSideBySide(t *testing.T) {
	for name, address := range map[string]string{"with an archive": sqlite(t), "without": ""} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Archive: address}, redistest.WithAOF("always"), redistest.WithConfig("--save", ""))
			f.account("acme", "10", "0", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			key := f.key("acme", KeyLimits{SpendTotal: f.nano("5")})
			old := &fixture{T: t, server: f.server, ledger: f.open(Options{Archive: address})}
			old.patch("settle", "return settle\n", "return settle -- in another version\n")
			f.must(f.server.Client().FunctionDelete(f.ctx(), old.ledger.scripts.name).Err()) // its first call loads it

			turn := func() {
				t.Helper()
				begun, begunThere := f.reserve(key, charge(f, "input 10 0.01")), old.reserve(key, charge(f, "input 10 0.01"))
				first := old.settle(begun, charge(f, "input 10 0.01"))
				if again := f.settle(begun, charge(f, "input 10 0.01")); again.ID != first.ID {
					t.Errorf("settled again by the other: entry %s, not %s", again.ID, first.ID)
				}
				f.release(begunThere)
				f.audit()
				old.audit()
			}
			bothOpen := func() {
				t.Helper()
				for _, version := range []*fixture{f, old} {
					open, err := version.ledger.areOpen(f.ctx())
					f.must(err)
					if !open {
						t.Errorf("the library %s is closed", version.ledger.scripts.name)
					}
				}
			}
			turn()
			bothOpen()
			f.server.Stop()
			f.server.Start()
			turn()
			bothOpen()
			if n := len(f.entries("acme", TypeCharge)); n != 2 {
				t.Errorf("%d charges, want 2", n)
			}
		})
	}
}
