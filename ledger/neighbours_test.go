package ledger

import (
	"path/filepath"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger/wal"
)

// A proxy was killed, or its disk was full, between making its log and writing down whose it is: nobody else is stopped by that.
func TestNeighbourThatNeverBegan(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.must(l.Close())
	w, err := wal.Open(wal.Options{Dir: filepath.Join(p.dir, "1")})
	p.must(err)
	p.must(w.Close())
	again, err := Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
	if err != nil {
		t.Fatalf("a start beside a log without records: %v", err)
	}
	p.must(again.Close())
}

// Redis was emptied, and there is no archive that knows: the ledger that is made in its place is told beside the log of the one that was.
func TestNewLedgerBesideTheLogOfAnother(t *testing.T) {
	p, l := newLogged(t, Options{})
	p.settle(p.reserveOn(l, cost(t, "1")), cost(t, "1"))
	p.must(l.Close())
	p.broken = true
	for _, state := range []struct {
		name  string
		flush bool
		want  int
	}{{"the same ledger", false, 0}, {"a new one", true, 1}, {"the new one again", false, 0}} {
		if state.flush {
			p.must(p.server.Client().FlushAll(p.ctx()).Err())
		}
		core, logged := observer.New(zap.WarnLevel)
		again, err := Open(p.ctx(), Options{URL: p.server.URL(), Currency: "CNY", Log: p.dir, Logger: zap.New(core)})
		p.must(err)
		p.must(again.Close())
		if n := logged.FilterMessageSnippet("a new one was made").Len(); n != state.want {
			t.Errorf("%s: told %d times: %v", state.name, n, logged.All())
		}
	}
}

// A start that could not come to the end of its neighbours' logs comes back to them.
func TestNeighboursLogIsBookedLater(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	neighbour, err := Open(p.ctx(), Options{URL: p.server.URL(), Log: p.dir})
	p.must(err)
	promised := p.reserveOn(neighbour, cost(t, "1"))
	p.server.Kill()
	_, err = neighbour.Settle(p.ctx(), settlement(promised, cost(t, "0.5")))
	p.must(err)
	p.die(neighbour)
	p.must(l.replayer.atStart(p.ctx())) // Redis fell between the opening of the servers and this
	p.server.Start()
	p.replaying(l)
	eventually(t, "it is booked", func() bool { return len(p.entries("acme", TypeCharge)) > 0 })
	p.charges(1)
}
