package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Calls that a full disk kept out leave no room set aside: when it has room again, the log takes calls.
func TestRefusedCallsTakeNoRoom(t *testing.T) {
	p, l := newLogged(t, Options{LogSize: 1 << 20})
	b := &booking{id: NewRequestID(), account: "acme"}
	l.log.booked(b, l.shardOf("acme"), 1, strings.Repeat("x", 100<<10)) // more than a segment
	p.must(l.log.flush())
	segments := l.log.wal.Segments()
	inTheWay := filepath.Join(l.log.dir, fmt.Sprintf("%012d.log", segments[len(segments)-1]+1))
	p.must(os.Mkdir(inTheWay, 0o700))
	for range 1 << 20 / settleRoom {
		b := &booking{id: NewRequestID(), account: "acme"}
		if err := l.log.open(b); !errors.Is(err, ErrUnavailable) {
			t.Fatalf("a full disk took a call: %v", err)
		}
	}
	wants(t, l.Ready(p.ctx()), ErrUnavailable)
	p.must(os.Remove(inTheWay))
	p.must(l.Ready(p.ctx()))
	p.release(p.reserveOn(l, cost(t, "1")))
}

// However a call ends, also one that is refused, and however often it is asked whether the log takes calls, the room that was
// set aside is there again.
func TestEndedCallsTakeNoRoom(t *testing.T) {
	for name, end := range map[string]func(p *logged, l *Ledger){
		"asked": func(p *logged, l *Ledger) { p.must(l.Ready(p.ctx())) },
		"refused": func(p *logged, l *Ledger) {
			_, err := l.Reserve(p.ctx(), p.reservation(p.key, cost(p, "100")))
			_ = isReason(p, err, InsufficientFunds, "balance")
		},
		"settled": func(p *logged, l *Ledger) {
			hold := p.reserveOn(l, cost(p, "1"))
			_, err := l.Settle(p.ctx(), settlement(hold, cost(p, "1")))
			p.must(err)
			wants(p, l.Extend(p.ctx(), Checkpoint{settlement(hold, cost(p, "0.5"))}), ErrNotFound) // a heartbeat on its way
		},
		"released": func(p *logged, l *Ledger) {
			standing, err := l.Release(p.ctx(), "acme", p.reserveOn(l, cost(p, "1")).ID)
			p.must(err)
			if standing == nil || standing.Recharge != p.nano("10") {
				p.Errorf("what is left: %+v", standing)
			}
		},
		"parked": func(p *logged, l *Ledger) {
			p.must(l.Park(p.ctx(), task(p.reserveOn(l, cost(p, "1")), anyTask, cost(p, "1"))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{LogSize: 1 << 20})
			p.fixture.T = t
			end(p, l)
			if used, bound := l.log.wal.Used(); !l.log.wal.Room(bound - used) {
				t.Error("room is set aside for nobody")
			}
		})
	}
}
