package ledger

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
)

// settledBesideAnArchive is a ledger with an archive, and a proxy with a log that has settled a call.
func settledBesideAnArchive(t *testing.T) (f *fixture, p *logged, l *Ledger, hold *Hold) {
	t.Helper()
	f = archived(t, Options{ArchiveKeep: time.Millisecond})
	f.account("acme", "10", "0", AccountOptions{})
	p = &logged{fixture: f, dir: t.TempDir(), key: f.key("acme", KeyLimits{})}
	l = p.start(Options{Archive: f.ledger.vault.address})
	hold = p.reserveOn(l, cost(t, "1"))
	_, err := l.Settle(p.ctx(), settlement(hold, cost(t, "1")))
	p.must(err)
	return f, p, l, hold
}

// A replay that lacks the archive which the ledger has gives up nothing: with the
// archive it is known what has been booked.
func TestReplayWithoutTheLedgersArchive(t *testing.T) {
	f, p, l, hold := settledBesideAnArchive(t)
	p.die(l) // before it has noted that the charge is booked
	f.outlive(hold)

	bare := f.open(Options{})
	bare.clockOffset.Store(f.ledger.clockOffset.Load())
	if done, err := bare.AdoptLog(f.ctx(), p.dir); err == nil || len(done.Doubts) > 0 {
		t.Errorf("without the archive: %+v, %v", done, err)
	}
	done, err := f.ledger.AdoptLog(f.ctx(), p.dir)
	f.must(err)
	if done.There != 1 || len(done.Doubts) > 0 {
		t.Errorf("with the archive: %+v, want the charge found", done)
	}
}

// ONCE: nor does it book again what is noted as booked, where it cannot look whether that is so.
func TestNoteThatCannotBeLookedUp(t *testing.T) {
	f, p, l, hold := settledBesideAnArchive(t)
	p.must(l.log.flush())
	p.die(l)
	f.topup("acme", Bonus, "1") // the last entry stays in Redis; the charge is the one before
	time.Sleep(2 * time.Millisecond)
	f.archiveNow()
	p.must(f.server.Client().Del(f.ctx(), f.markerOf(hold)).Err()) // its clock stood ahead for a moment
	if done, err := f.open(Options{}).AdoptLog(f.ctx(), p.dir); err == nil || done.Settled > 0 || len(done.Doubts) > 0 {
		t.Errorf("without the archive: %+v, %v", done, err)
	}
	done, err := f.ledger.AdoptLog(f.ctx(), p.dir)
	f.must(err)
	if done.There != 1 || done.Settled > 0 {
		t.Errorf("with the archive: %+v, want the charge found", done)
	}
	p.charges(1)
}

// A process that lacks the archive by which a server would be opened to it is told what is
// so: that the server came up anew, or that only other versions have used it.
func TestNotOpenedWithoutTheLedgersArchive(t *testing.T) {
	f := archived(t, Options{}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	refused := func(want string) {
		t.Helper()
		_, err := Open(f.ctx(), Options{URL: f.server.URL(), Existing: true})
		wants(t, err, ErrUnavailable)
		wants(t, err, ErrArchiveNotNamed)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q", err, want)
		}
	}
	f.must(f.server.Client().FunctionDelete(f.ctx(), f.ledger.scripts.name).Err())
	refused("does not have the scripts of this version")
	f.topup("acme", Bonus, "1") // whoever has the archive opens it
	f.must(f.open(Options{Existing: true}).Ready(f.ctx()))
	f.server.Stop()
	f.server.Start()
	refused("came up anew")
}
