package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Redis has lost charges that only another proxy's log has. Until that proxy
// has replayed them, the balance is too high, and nobody is admitted by it: not
// by the process that recovered, nor by one that learns of it from its call.
func TestAdmissionWaitsForReplays(t *testing.T) {
	address := sqlite(t)
	f := archived(t, Options{Shards: 1, Archive: address, Log: t.TempDir()}, redistest.WithAOF("always"))
	other := f.open(Options{Shards: 1, Archive: address, Log: t.TempDir()})
	f.ledger.losses.patience, other.losses.patience = reconcileTime, reconcileTime
	f.account("acme", "1", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	size := f.aofSize()
	for _, l := range []*Ledger{f.ledger, other} {
		hold, err := l.Reserve(f.ctx(), f.reservation(key, cost(f, "0.5")))
		f.must(err)
		_, err = l.Settle(f.ctx(), settlement(hold, cost(f, "0.5")))
		f.must(err)
	}
	f.cut(func(int64) int64 { return size })
	f.balances("acme", "1 0 0") // f.ledger has recovered; the account is empty, by right

	for _, l := range []*Ledger{f.ledger, other} {
		_, err := l.Reserve(f.ctx(), f.reservation(key, cost(f, "0.5")))
		wants(t, err, ErrUnavailable)
		if err == nil || !strings.Contains(err.Error(), "replayed their settlement logs") {
			t.Errorf("NONNEG: an admission between the loss and its replay: %v", err)
		}
		wants(t, l.Ready(f.ctx()), ErrUnavailable)
		f.must(l.replayer.own(f.ctx()))
	}
	f.balances("acme", "0 0 0")
	for _, l := range []*Ledger{f.ledger, other} {
		var no error
		eventually(t, "admission goes on", func() bool {
			_, no = l.Reserve(f.ctx(), f.reservation(key, cost(f, "0.5")))
			return !strings.Contains(no.Error(), "settlement logs")
		})
		_ = isReason(t, no, InsufficientFunds, "balance")
	}
}

// Its own log is waited for longer than the others' time.
func TestAdmissionWaitsForItsOwnReplay(t *testing.T) {
	f := newFixture(t, Options{Log: t.TempDir()})
	f.account("acme", "1", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.ledger.losses.add()
	_, err := f.tryReserve(key, cost(f, "0.5"))
	wants(t, err, ErrUnavailable)
	f.must(f.ledger.replayer.own(f.ctx()))
	f.release(f.reserve(key, cost(f, "0.5")))
	f.ledger.losses.add()
	f.ledger.losses.othersUntil.Store(time.Now().Add(-2 * reconcilePatience).UnixNano())
	f.release(f.reserve(key, cost(f, "0.5"))) // a bounded time
}

// A process without calls notices a recovery, too, and replays.
func TestIdleProxyReplays(t *testing.T) {
	address := sqlite(t)
	f := archived(t, Options{Shards: 1, Archive: address}, redistest.WithAOF("always"))
	f.account("acme", "1", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	size := f.aofSize()
	p := &logged{fixture: f, dir: t.TempDir(), key: key}
	idle := p.start(Options{Shards: 1, Archive: address})
	_, err := idle.Settle(f.ctx(), settlement(p.reserveOn(idle, cost(f, "0.5")), cost(f, "0.5")))
	f.must(err)
	p.replaying(idle)
	f.cut(func(int64) int64 { return size })
	eventually(t, "the idle proxy's charge is there again", func() bool { return len(f.entries("acme", TypeCharge)) == 1 })
}
