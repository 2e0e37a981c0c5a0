package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger/wal"
)

// hideHolds takes an account's holds out of every script's reach, as damage does, until they are brought back.
func (f *fixture) hideHolds(account string) (back func()) {
	f.Helper()
	client, key := f.server.Client(), f.ledger.namesOf(f.ledger.shardOf(account), account).own[scriptKeys-2]
	f.must(client.Rename(f.ctx(), key, key+".hidden").Err())
	f.must(client.Set(f.ctx(), key, "damaged", 0).Err())
	return func() {
		f.Helper()
		f.must(client.Rename(f.ctx(), key+".hidden", key).Err())
	}
}

// NO-LOST: whatever a call's last record is, a replay that cannot bring it keeps it, goes on with those of others, and is not
// done; once the account is repaired, the next one brings it.
func TestWhatCannotBeBroughtWaits(t *testing.T) {
	for name, c := range map[string]struct {
		policy string
		end    func(p *logged, l *Ledger, hold *Hold) error
		want   string // balances
	}{
		"settled": {end: func(p *logged, l *Ledger, hold *Hold) error { return ended(p, l, recordSettle, hold, "0.5") }, want: "9 0 0"},
		"released": {
			end:  func(p *logged, l *Ledger, hold *Hold) error { return ended(p, l, recordRelease, hold, "0.5") },
			want: "10 0 0",
		},
		"begun": {end: func(*logged, *Ledger, *Hold) error { return nil }, want: "10 0 0"},
		"of no progress": {
			end: func(p *logged, l *Ledger, hold *Hold) error {
				return l.Extend(p.ctx(), Checkpoint{settlement(hold, charge(p, "call 0 0.000000001"))})
			},
			want: "10 0 0",
		},
		"in progress": {
			end: func(p *logged, l *Ledger, hold *Hold) error {
				return l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(p, "0.5"))})
			},
			want: "9 0 0",
		},
		"in progress, to be given back": {
			policy: ReleaseAbandoned,
			end: func(p *logged, l *Ledger, hold *Hold) error {
				return l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(p, "0.5"))})
			},
			want: "10 0 0",
		},
		"parked": {
			end: func(p *logged, l *Ledger, hold *Hold) error {
				b, err := l.bookingOf(ptr(settlement(hold, cost(p, "0.5"))))
				p.must(err)
				_, err = l.log.endWith(&logRecord{kind: recordPark, told: "task-" + hold.ID + "\t{}", booking: *b})
				return err
			},
			want: "10 0 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{OnAbandoned: c.policy}
			p, l := newLogged(t, o)
			p.account("bad", "10", "0", AccountOptions{})
			bad := p.fixture.key("bad", KeyLimits{})
			for range 2 {
				hold, err := l.Reserve(p.ctx(), p.reservation(bad, cost(t, "1")))
				p.must(err)
				p.must(c.end(p, l, hold))
				time.Sleep(2 * time.Millisecond) // the next id is a later one, and comes later
			}
			p.must(ended(p, l, recordSettle, p.reserveOn(l, cost(t, "1")), "0.5"))
			p.die(l)
			back := p.hideHolds("bad")
			again := p.start(o)
			p.balances("acme", "9.5 0 0")
			if s, _ := again.LogState(); s.Pending != 2 || s.Doubts != 0 || !again.replayer.unfinished {
				t.Errorf("the log has %+v, and counts as replayed: %t", s, !again.replayer.unfinished)
			}
			p.must(again.log.purge(time.Now().Add(2*time.Hour), nil))
			p.die(again)
			back()
			again = p.start(o)
			p.balances("bad", c.want)
			if s, _ := again.LogState(); s.Pending != 0 || again.replayer.unfinished {
				t.Errorf("the log has %+v, and counts as replayed: %t", s, !again.replayer.unfinished)
			}
		})
	}
}

// ended writes how a call ends into the log alone, as with Redis away.
func ended(t testing.TB, l *Ledger, kind byte, hold *Hold, amount string) error {
	s := settlement(hold, cost(t, amount))
	b, err := l.bookingOf(&s)
	if err == nil {
		_, err = l.log.end(kind, b)
	}
	return err
}

// NO-LOST: a charge is given up only where a person will find it: with no room for doubts.jsonl, it waits.
func TestDoubtThatCannotBeWrittenWaits(t *testing.T) {
	p, l := newLogged(t, Options{})
	hold := p.reserveOn(l, cost(t, "1"))
	p.must(ended(p, l, recordSettle, hold, "1"))
	p.die(l)
	p.settle(hold, cost(t, "0.5")) // it has ended otherwise
	doubts := filepath.Join(p.dir, "0", doubtsFile)
	p.must(os.Symlink("/dev/full", doubts))
	for range 2 {
		if _, err := p.ledger.AdoptLog(p.ctx(), p.dir); err == nil {
			t.Error("the replay counts as done")
		}
	}
	p.must(os.Remove(doubts))
	done, err := p.ledger.AdoptLog(p.ctx(), p.dir)
	p.must(err)
	if len(done.Doubts) != 1 || done.Doubts[0].RequestID != hold.ID || done.Doubts[0].Account != "acme" {
		t.Errorf("replayed %+v", done)
	}
	if text, err := os.ReadFile(doubts); err != nil || strings.Count(string(text), hold.ID) != 1 {
		t.Errorf("doubts: %s, %v", text, err)
	}
}

// A segment that cannot be read is not taken for one of which Redis has all: the replay fails, and it is kept.
func TestSegmentThatCannotBeReadIsKept(t *testing.T) {
	p, l := newLogged(t, Options{})
	_, err := l.Settle(p.ctx(), settlement(p.reserveOn(l, cost(t, "1")), cost(t, "1")))
	p.must(err)
	p.must(l.log.flush())
	p.must(l.log.wal.Rotate())
	first := filepath.Join(l.log.dir, "000000000001.log")
	sound, err := os.ReadFile(first)
	p.must(err)
	damaged := append([]byte(nil), sound...)
	damaged[len(damaged)-1] ^= 1
	later := time.Now().Add(2 * time.Hour)
	p.must(os.WriteFile(first, damaged, 0o600))
	if err := l.replayer.own(p.ctx()); !errors.Is(err, wal.ErrCorrupt) {
		t.Errorf("replayed: %v", err)
	}
	p.must(l.log.purge(later, nil))
	if n := len(l.log.wal.Segments()); n != 2 {
		t.Errorf("%d segments are left", n)
	}
	p.must(os.WriteFile(first, sound, 0o600))
	p.must(l.replayer.own(p.ctx()))
	p.must(l.log.purge(later, nil))
	if n := len(l.log.wal.Segments()); n != 1 {
		t.Errorf("%d segments are left, of which all but the last are booked and hours old", n)
	}
}
