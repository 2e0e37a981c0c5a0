package ledger

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Redis away, a call has brought a task under an id that another call of its account has: nobody can ask for it by that id, and it
// costs nothing. What it has ended in meanwhile is charged all the same.
func TestTaskUnderAnothersIDIsParkedLater(t *testing.T) {
	for name, c := range map[string]struct {
		ends     bool
		balances string
		charges  int
	}{
		"it has not ended": {false, "10 0 1", 0},
		"it has ended":     {true, "8 0 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
			first, second := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "3"))
			p.must(l.Park(p.ctx(), task(first, anyTask, cost(t, "1"))))
			p.server.Stop()
			p.must(l.Park(p.ctx(), task(second, anyTask, cost(t, "3"))))
			if c.ends {
				_, err := l.Settle(p.ctx(), settlement(second, cost(t, "2")))
				p.must(err)
			}
			p.server.Start()
			p.die(l)
			l = p.start(Options{})
			p.replaying(l)
			eventually(t, "the log is brought", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
			p.balances("acme", c.balances)
			p.charges(c.charges)
			found, err := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
			p.must(err)
			if found.RequestID != first.ID {
				t.Errorf("the task is that of %s, want %s", found.RequestID, first.ID)
			}
		})
	}
}
