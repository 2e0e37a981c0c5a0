package ledger

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/meter"
)

const anyTask = "8353992190812012-17"

// task is what a call has brought, and what it is charged for if nobody asks.
func task(h *Hold, id string, made meter.Charge) Task {
	return Task{Checkpoint: Checkpoint{settlement(h, made)}, ID: id, Memory: `{"u":"bigmodel"}`}
}

func (f *fixture) park(h *Hold, id string, made meter.Charge) {
	f.Helper()
	f.must(f.ledger.Park(f.ctx(), task(h, id, made)))
}

func (f *fixture) find(c Credential, id string) (*FoundObject, error) {
	return f.ledger.FindObject(f.ctx(), c, netip.Addr{}, id)
}

// A task's hold stands for its own time, held as any other, and is no request in flight.
func TestTaskIsHeldFor(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "2", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Unit: "video", Quantity: 1})
		key := f.key("acme", KeyLimits{Parallel: 1, SpendTotal: f.nano("5")})
		h := f.reserve(key, charge(f, "video 2 1"))
		for range 2 {
			f.park(h, anyTask, charge(f, "video 2 1"))
		}
		if use := f.keyUse(key); use.Parallel != 0 || use.SpendHeld != f.nano("1") {
			f.Errorf("use %+v", use)
		}
		f.pack("acme", "p1", 1, 0)
		wants(f, f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, charge(f, "video 0 1"))}), ErrNotFound) // a heartbeat on its way
		f.pass(defaultTaskTTL - time.Minute)
		if s := f.sweep(); s != (Swept{Open: 1}) {
			f.Errorf("swept %+v before its time", s)
		}
		holds, err := f.ledger.OpenHolds(f.ctx(), "acme")
		f.must(err)
		if len(holds) != 1 || holds[0].Task != anyTask || holds[0].Overdue || *holds[0].Delivered != f.nano("2") {
			f.Errorf("holds %+v", holds)
		}
		f.audit()
		_ = isReason(f, f.refused(key, cost(f, "1.5")), InFlight, "balance")
		other := f.reserve(key, cost(f, "1")) // parallel: 1
		f.release(other)

		receipt := f.settle(h, charge(f, "video 2 1"))
		if got := paid(receipt.Paid); got != "pack:p1 1, recharge 1" {
			f.Errorf("paid %s", got)
		}
		if use := f.keyUse(key); use.Parallel != 0 || use.SpendHeld != 0 || use.SpendTotal != f.nano("1") {
			f.Errorf("use %+v", use)
		}
		f.park(h, anyTask, charge(f, "video 2 1")) // a replay of it
		f.balances("acme", "1 0 0")
	})
}

// A task is its account's, whichever of its keys asks, and nobody else's.
func TestTaskIsItsAccounts(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("other", "10", "0", AccountOptions{})
	key, second, others := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{Models: []string{"x"}}), f.key("other", KeyLimits{})
	h := f.reserve(key, cost(t, "1"))
	f.park(h, anyTask, cost(t, "1"))
	for range 2 {
		found, err := f.find(second, anyTask)
		f.must(err)
		if found.RequestID != h.ID || found.Key != h.Key || found.Memory != `{"u":"bigmodel"}` || found.Standing.Recharge != f.nano("9") && found.Standing.Recharge != f.nano("10") {
			t.Errorf("found %+v", found)
		}
		f.settle(h, cost(t, "1")) // it is known after its end, too
	}
	for _, id := range []string{anyTask + "0", anyTask[1:]} {
		_, err := f.find(key, id)
		wants(t, err, ErrNotFound)
	}
	_, err := f.find(others, anyTask)
	wants(t, err, ErrNotFound)
	stranger := key
	stranger.Hash = strings.Repeat("0", 64)
	_, err = f.find(stranger, anyTask)
	_ = isReason(t, err, KeyInvalid, "key")

	theirs := f.reserve(others, cost(t, "1"))
	f.park(theirs, anyTask, cost(t, "1")) // another upstream's
	found, err := f.find(others, anyTask)
	f.must(err)
	if found.RequestID != theirs.ID {
		t.Errorf("found %+v", found)
	}
	again := f.reserve(key, cost(t, "1"))
	wants(t, f.ledger.Park(f.ctx(), task(again, anyTask, cost(t, "1"))), ErrConflict)
	if left := f.server.Client().PTTL(f.ctx(), f.ledger.taskKey(0, anyTask)).Val(); left < taskMemoryLife-time.Hour || left > taskMemoryLife {
		t.Errorf("it is remembered for %s", left)
	}
	for _, bad := range []Task{{ID: ""}, {ID: "a b"}, {ID: "a/b"}, {ID: "a%2Fb"}, {ID: "a?b"}, {ID: "a#b"}, {ID: "a;b"}, {ID: "a\x7f"}, {ID: "ä"}, {ID: strings.Repeat("x", 200)}, {ID: "x", Memory: "a\tb"}, {ID: "x", Memory: strings.Repeat("x", MaxTaskMemory+1)}} {
		bad.Checkpoint = Checkpoint{settlement(again, cost(t, "1"))}
		wants(t, f.ledger.Park(f.ctx(), bad), ErrInvalid)
	}
	f.release(again)
	f.release(theirs)
}

// A task that nobody asks for is charged as made, or what the policy says; who asks
// after that puts it right.
func TestTaskThatNobodyAsksFor(t *testing.T) {
	for _, c := range []struct {
		policy, swept, settled, released string
		want                             Swept
	}{
		{ChargeCheckpoint, "9 0 0", "9.5 0 0", "10 0 0", Swept{Abandoned: 1}},
		{ReleaseAbandoned, "10 0 0", "9.5 0 0", "10 0 0", Swept{Released: 1}},
		{HoldAbandoned, "10 0 2", "9.5 0 0", "10 0 0", Swept{Kept: 1, Open: 1}},
	} {
		for _, end := range []string{"settled", "released"} {
			t.Run(c.policy+", then "+end, func(t *testing.T) {
				f := newFixture(t, Options{OnAbandoned: c.policy, TaskTTL: time.Hour})
				f.account("acme", "10", "0", AccountOptions{})
				h := f.reserve(f.key("acme", KeyLimits{Parallel: 1}), cost(t, "2"))
				f.park(h, anyTask, cost(t, "1"))
				f.pass(time.Hour)
				if s := f.sweep(); s != c.want {
					t.Errorf("swept %+v, want %+v", s, c.want)
				}
				f.balances("acme", c.swept)
				f.park(h, anyTask, cost(t, "1")) // a replay, which must place nothing
				f.balances("acme", c.swept)
				if end == "settled" {
					for range 2 {
						f.settle(h, cost(t, "0.5"))
					}
					f.balances("acme", c.settled)
				} else {
					for range 2 {
						f.release(h)
					}
					f.balances("acme", c.released)
				}
				f.audit()
			})
		}
	}
}

// A hold that was swept before its task came is placed anew: nothing that is made upstream is held for by nobody.
func TestTaskWhoseHoldWasSwept(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Unit: "video", Quantity: 1, Models: []string{"glm-*"}})
		key := f.key("acme", KeyLimits{Parallel: 1, SpendTotal: f.nano("20")})
		h := f.reserve(key, charge(f, "video 2 1"))
		f.pass(defaultHoldTTL)
		f.sweep()
		f.balances("acme", "10 0 0")
		for range 2 {
			f.park(h, anyTask, charge(f, "video 2 1"))
		}
		f.balances("acme", "10 0 1")
		f.pack("acme", "p1", 1, 0)
		if use := f.keyUse(key); use.Parallel != 0 || use.SpendHeld != f.nano("1") {
			f.Errorf("use %+v", use)
		}
		f.audit()
		f.pass(defaultTaskTTL - defaultHoldTTL) // of its time some was over when it was placed anew
		if s := f.sweep(); s != (Swept{Abandoned: 1}) {
			f.Errorf("swept %+v", s)
		}
		f.balances("acme", "9 0 0")
		f.settle(h, charge(f, "video 2 1"))
		f.balances("acme", "9 0 0")
		f.audit()
	})
}

// So it is where a heartbeat had said that nothing was delivered, and the sweeper has charged just that.
func TestTaskWhoseHoldWasSweptWithACheckpoint(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		for i, end := range []func(*Hold){
			func(h *Hold) { f.settle(h, cost(f, "1")) },
			func(h *Hold) { f.release(h) },
			func(*Hold) { f.pass(defaultTaskTTL); f.sweep() },
		} {
			h := f.reserve(key, cost(f, "2"))
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, meter.Charge{})}))
			f.pass(defaultHoldTTL)
			if s := f.sweep(); s != (Swept{Abandoned: 1}) {
				f.Errorf("swept %+v", s)
			}
			for range 2 {
				f.park(h, anyTask+strings.Repeat("0", i), cost(f, "1"))
			}
			if use := f.keyUse(key); use.SpendHeld != f.nano("1") {
				f.Errorf("%d: use %+v", i, use)
			}
			f.audit()
			end(h)
			f.audit()
		}
		f.balances("acme", "8 0 0")
		if use := f.keyUse(key); use.Requests != 2 || use.SpendTotal != f.nano("2") {
			f.Errorf("use %+v", use)
		}
	})
}

// What the sweeper has charged stands until the task's end is told: parking it takes nothing back, and holds nothing beside it.
func TestTaskWhoseHoldWasSweptAndCharged(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		h := f.reserve(key, cost(f, "2"))
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, cost(f, "1"))}))
		f.pass(defaultHoldTTL)
		f.sweep()
		f.park(h, anyTask, cost(f, "2"))
		f.balances("acme", "9 0 0")
		if use := f.keyUse(key); use.SpendHeld != 0 || use.Requests != 1 {
			f.Errorf("use %+v", use)
		}
		f.audit()
		f.settle(h, cost(f, "2"))
		f.balances("acme", "8 0 0")
		f.audit()
	})
}

// Of a call that is older than what Redis remembers nobody knows whether it has ended: nothing is held for its task.
func TestTaskOfAForgottenCall(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		old := &Hold{ID: newID("req_", time.Now().Add(-markerLife-time.Hour)), Account: "acme"}
		wants(t, f.ledger.Park(f.ctx(), task(old, anyTask, cost(f, "1"))), ErrConflict)
		f.balances("acme", "10 0 0")
		f.audit()
	})
}

// The time of a task counts from its call: one that has no hold and comes after its time is due when that was over, also by a clock
// that is set back then.
func TestTaskAfterItsTime(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "2", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		r := f.reservation(key, cost(f, "3"))
		_, err := f.ledger.Reserve(f.ctx(), r)
		_ = isReason(f, err, InsufficientFunds, "balance")
		f.pass(defaultTaskTTL + 20*time.Minute)
		f.park(&Hold{ID: r.ID, Account: "acme", Key: keyID("acme", key.suffix())}, anyTask, cost(f, "1"))
		f.balances("acme", "2 0 1")
		f.pass(-10 * time.Minute)
		if s := f.sweep(); s != (Swept{Abandoned: 1}) {
			f.Errorf("swept %+v", s)
		}
		f.balances("acme", "1 0 0")
	})
}

// Redis away when the task comes: it is in the log, and parked when Redis is back; with the proxy dead, by its next start.
func TestTaskIsParkedLater(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(map[bool]string{false: "by itself", true: "by the next"}[dies], func(t *testing.T) {
			p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
			h := p.reserveOn(l, cost(t, "2"))
			p.server.Stop()
			p.must(l.Park(p.ctx(), task(h, anyTask, cost(t, "2"))))
			_, err := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
			wants(t, err, ErrUnavailable)
			p.server.Start()
			if dies {
				p.die(l)
				l = p.start(Options{})
			} else {
				_, err = l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
				wants(t, err, ErrUnavailable) // and not ErrNotFound
			}
			p.replaying(l)
			eventually(t, "the task is found", func() bool {
				found, err := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
				return err == nil && found.RequestID == h.ID
			})
			p.balances("acme", "10 0 2")
			if s, _ := l.LogState(); s.Pending != 0 || s.InFlight != 0 {
				t.Errorf("the log has %+v", s)
			}
			_, err = l.Settle(p.ctx(), settlement(h, cost(t, "2")))
			p.must(err)
			p.balances("acme", "8 0 0")
			p.charges(1)
		})
	}
}

// A task that Redis does not have may be in a log: in this one, or for a while after Redis was away in another's.
func TestTaskThatMayBeInALog(t *testing.T) {
	p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
	h := p.reserveOn(l, cost(t, "2"))
	find := func() error {
		_, err := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
		return err
	}
	eventually(t, "nobody has the task", func() bool { return errors.Is(find(), ErrNotFound) })
	l.circuits.last.Store(time.Now().Add(time.Hour).UnixNano())
	wants(t, find(), ErrUnavailable)
	l.circuits.last.Store(time.Now().Add(-time.Hour).UnixNano())
	wants(t, find(), ErrNotFound)
	s := settlement(h, cost(t, "2"))
	b, err := l.bookingOf(&s)
	p.must(err)
	_, err = l.log.endWith(&logRecord{kind: recordPark, told: anyTask + "\t{}", booking: *b})
	p.must(err)
	wants(t, find(), ErrUnavailable)
	p.account("other", "10", "0", AccountOptions{})
	_, err = l.FindObject(p.ctx(), p.fixture.key("other", KeyLimits{}), netip.Addr{}, anyTask)
	wants(t, err, ErrNotFound) // it is its account's business, and nobody else's
	_, err = l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask+"0")
	wants(t, err, ErrNotFound)
}

// The next start of a proxy leaves the holds of tasks as they are, also where its log has lost that they are.
func TestTaskOutlivesItsProxy(t *testing.T) {
	p, l := newLogged(t, Options{})
	known, lost := p.reserveOn(l, cost(t, "1")), p.reserveOn(l, cost(t, "2"))
	p.must(l.Park(p.ctx(), task(known, anyTask, cost(t, "1"))))
	if s, _ := l.LogState(); s.InFlight != 1 || s.Pending != 0 {
		t.Errorf("%+v: the log is kept for a call that is parked", s)
	}
	p.park(lost, anyTask+"0", cost(t, "2")) // by a ledger without this log
	p.must(l.log.flush())
	p.die(l)
	l = p.start(Options{})
	p.replaying(l)
	eventually(t, "the log is brought", func() bool { s, _ := l.LogState(); return s.Pending == 0 })
	p.balances("acme", "10 0 3")
	for _, h := range []*Hold{known, lost} {
		_, err := l.Settle(p.ctx(), settlement(h, cost(t, "1")))
		p.must(err)
	}
	p.balances("acme", "8 0 0")
}

// Redis away when a task has ended: the charge is in the log, though its parking is, too, and is booked once; who asks again is
// told so.
func TestTaskEndsWhileRedisIsAway(t *testing.T) {
	for name, bring := range map[string]func(p *logged, l *Ledger) *Ledger{
		"by itself": func(p *logged, l *Ledger) *Ledger {
			l.replayer.awaitRedis(p.ctx())
			p.must(l.replayer.waiting(p.ctx())) // what waits, and not the whole log
			return l
		},
		"by the next": func(p *logged, l *Ledger) *Ledger {
			p.die(l)
			l = p.start(Options{})
			p.replaying(l)
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, l := newLogged(t, Options{}, redistest.WithAOF("always"))
			parked, never := p.reserveOn(l, cost(t, "2")), p.reserveOn(l, cost(t, "3"))
			p.must(l.Park(p.ctx(), task(parked, anyTask, cost(t, "2"))))
			p.server.Stop()
			p.must(l.Park(p.ctx(), task(never, anyTask+"0", cost(t, "3"))))
			for _, h := range []*Hold{parked, never} {
				r, err := l.Settle(p.ctx(), settlement(h, cost(t, "1")))
				p.must(err)
				if !r.Pending {
					t.Error("booked without Redis")
				}
			}
			p.server.Start()
			l = bring(p, l)
			eventually(t, "both are booked", func() bool { return len(p.entries("acme", TypeCharge)) == 2 })
			p.balances("acme", "8 0 0")
			for id, h := range map[string]*Hold{anyTask: parked, anyTask + "0": never} {
				if found, err := l.FindObject(p.ctx(), p.key, netip.Addr{}, id); err != nil || found.RequestID != h.ID {
					t.Errorf("task %s: %+v, %v", id, found, err)
				}
			}
			p.audit()
		})
	}
}

// Redis loses its last moments, and a task with them: the log brings it back, hold and memory, and what it had booked is
// not held again.
func TestLostTaskComesBack(t *testing.T) {
	for name, noted := range map[string]bool{"noted as parked": true, "not noted": false} {
		t.Run(name, func(t *testing.T) { lostTaskComesBack(t, noted) })
	}
}

func lostTaskComesBack(t *testing.T, noted bool) {
	p, l := newLogged(t, Options{})
	before := p.snapshot()
	h, ended := p.reserveOn(l, cost(t, "2")), p.reserveOn(l, cost(t, "1"))
	p.must(l.Park(p.ctx(), task(h, anyTask, cost(t, "2"))))
	p.must(l.Park(p.ctx(), task(ended, anyTask+"0", cost(t, "1"))))
	_, err := l.Settle(p.ctx(), settlement(ended, cost(t, "1")))
	p.must(err)
	p.balances("acme", "9 0 2")
	if noted {
		p.must(l.log.flush())
	}
	p.die(l)
	p.goBack(before)
	l = p.start(Options{})
	p.replaying(l)
	eventually(t, "the tasks are back", func() bool {
		_, one := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask)
		_, two := l.FindObject(p.ctx(), p.key, netip.Addr{}, anyTask+"0")
		return one == nil && two == nil && len(p.entries("acme", TypeCharge)) == 1
	})
	p.balances("acme", "9 0 2")
	if use := p.keyUse(p.key); use.Parallel != 0 || use.SpendHeld != p.nano("2") {
		t.Errorf("use %+v", use)
	}
	p.audit()
	_, err = l.Settle(p.ctx(), settlement(h, cost(t, "2")))
	p.must(err)
	p.balances("acme", "7 0 0")
}

// The charge of a task that Redis has lost, and the archive has, is put back onto its hold.
func TestPutBackOfATask(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{Parallel: 2})
	h := f.reserve(key, cost(t, "2"))
	f.park(h, anyTask, cost(t, "2"))
	f.archiveNow()
	there := f.dump()
	f.settle(h, cost(t, "2"))
	f.archiveNow()
	before := f.books()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.sameBooks(before, f.books())
	f.balances("acme", "8 0 0")
	if use := f.keyUse(key); use.Parallel != 0 || use.SpendHeld != 0 {
		t.Errorf("use %+v", use)
	}
	if found, err := f.find(key, anyTask); err != nil || found.RequestID != h.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	f.settle(h, cost(t, "2"))
	f.balances("acme", "8 0 0")
	f.audit()
}

// A task of which neither Redis nor a log knows any more does not exist, and holds nothing.
func TestTaskThatIsLostForGood(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	before := f.snapshot()
	f.park(f.reserve(key, cost(t, "2")), anyTask, cost(t, "2"))
	f.goBack(before)
	_, err := f.find(key, anyTask)
	wants(t, err, ErrNotFound)
	f.balances("acme", "10 0 0")
	f.audit()
}
