package ledger

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// gate lets what goes to the server pass one by one, and remembers what it was.
type gate struct {
	open chan struct{}
	lost error // what comes of what has passed; nil: it goes to the server
	mu   sync.Mutex
	took []string // names of functions
}

func (*gate) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		g.pass(command)
		if g.lost != nil {
			command.SetErr(g.lost)
			return g.lost
		}
		return next(ctx, command)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		g.pass(commands...)
		return next(ctx, commands)
	}
}

func (g *gate) pass(commands ...redis.Cmder) {
	if commands[0].Name() != "fcall" {
		return // a new connection's own
	}
	g.mu.Lock()
	for _, command := range commands {
		g.took = append(g.took, command.Args()[1].(string))
	}
	g.mu.Unlock()
	<-g.open
}

func (g *gate) sent() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.took)
}

// A convoyFixture has a gate before its Redis, and convoys whose queue can be seen.
type convoyFixture struct {
	*fixture
	gate *gate
	key  Credential
	// first is a hold that stands from the start.
	first *Hold
}

func newConvoyFixture(t *testing.T) *convoyFixture {
	f := &convoyFixture{fixture: newFixture(t, Options{Shards: 4}), gate: &gate{open: make(chan struct{}, 1000)}}
	f.key = f.payer("acme")
	f.first = f.reserve(f.key, cost(f, "1"))
	return f
}

// shut lets nothing pass any more but through the gate.
func (f *convoyFixture) shut() { f.ledger.client.AddHook(f.gate) }

// payer opens an account of 1000 with a key.
func (f *convoyFixture) payer(id string) Credential {
	f.account(id, "1000", "0", AccountOptions{})
	return f.fixture.key(id, KeyLimits{})
}

func (f *convoyFixture) convoy() *convoy { return &f.ledger.circuits.of(0).convoy }

func (v *convoy) queue() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.waiting)
}

// occupy puts a call on its way, which so keeps all that come later waiting.
func (f *convoyFixture) occupy(group *sync.WaitGroup) {
	group.Go(func() { f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(f.first, cost(f, "1"))})) })
	eventually(f, "it is on its way", func() bool { return f.gate.sent() == 1 })
	v := f.convoy()
	v.mu.Lock()
	v.left = v.left.Add(time.Hour) // however slow this machine is
	v.mu.Unlock()
}

func (f *convoyFixture) idle() {
	f.Helper()
	if v := f.convoy(); v.onWay != 0 || v.queue() != 0 {
		f.Errorf("%d on their way and %d waiting at the end", v.onWay, v.queue())
	}
}

// What comes while others are on their way makes one trip, of several accounts, shards and scripts, and each gets its own answer.
func TestConvoyMakesOneTrip(t *testing.T) {
	f := newConvoyFixture(t)
	keys := []Credential{f.key}
	for _, id := range []string{"b", "c", "d", "e"} {
		keys = append(keys, f.payer(id))
	}
	var held []*Hold
	for range 2 * len(keys) {
		held = append(held, f.reserve(keys[len(held)%len(keys)], cost(f, "3")))
	}
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	for i, h := range held {
		group.Go(func() {
			if i < len(keys) {
				r, err := f.ledger.Settle(f.ctx(), settlement(h, cost(f, "2")))
				if err != nil || r.RequestID != h.ID || r.Account != h.Account || r.FeeDue() != f.nano("2") {
					f.Errorf("settle %s: %+v, %v", h.ID, r, err)
				}
				return
			}
			if _, err := f.ledger.Release(f.ctx(), h.Account, h.ID); err != nil {
				f.Errorf("release: %v", err)
			}
		})
	}
	for _, key := range keys {
		for _, amount := range []string{"1", "2000"} {
			r := f.reservation(key, cost(f, amount))
			group.Go(func() {
				h, err := f.ledger.Reserve(f.ctx(), r)
				refused := (*Refusal)(nil)
				if amount == "1" && (err != nil || h.ID != r.ID || h.Cash != f.nano("1")) || amount != "1" && !errors.As(err, &refused) {
					f.Errorf("reserve %s: %+v, %v", amount, h, err)
				}
			})
		}
	}
	eventually(t, "the others wait", func() bool { return f.convoy().queue() == 4*len(keys) })
	close(f.gate.open)
	group.Wait()
	if took := f.gate.took[1:]; len(took) != 1 || !strings.HasSuffix(took[0], "_trip") {
		t.Errorf("the others went by %v, want one trip", took)
	}
	f.idle()
	for i, key := range keys {
		want, holds := "998", "1"
		if i == 0 {
			holds = "2" // with the first
		}
		a := f.read(key.Account)
		if a.Wallets[Recharge].Balance != f.nano(want) || a.Held != f.nano(holds) {
			t.Errorf("%s: %s, held %s; want %s and %s", key.Account, a.Wallets[Recharge].Balance, a.Held, want, holds)
		}
	}
}

// A trip that Redis refuses goes by single calls, and only those that have a part in the reason fail.
func TestConvoyErrorIsOnesOwn(t *testing.T) {
	f := newConvoyFixture(t)
	broken := f.payer("broken")
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(f.ledger.shardOf("broken"), "broken"), "recharge", "nonsense").Err())
	f.broken = true
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	for i := range 9 {
		r := f.reservation(f.key, cost(f, "1"))
		if i%3 == 0 {
			r = f.reservation(broken, cost(f, "1"))
		}
		group.Go(func() {
			if _, err := f.ledger.Reserve(f.ctx(), r); (err != nil) != (i%3 == 0) {
				f.Errorf("%d: %v", i, err)
			}
		})
	}
	eventually(t, "the others wait", func() bool { return f.convoy().queue() == 9 })
	close(f.gate.open)
	group.Wait()
	f.idle()
	if a := f.read(f.key.Account); a.Held != f.nano("1")*7 {
		t.Errorf("held %s", a.Held)
	}
}

// Settlements that make a trip while Redis is full are booked; the reserves beside them are refused.
func TestConvoyWhenRedisIsFull(t *testing.T) {
	f := newConvoyFixture(t)
	var held []*Hold
	for range 4 {
		held = append(held, f.reserve(f.key, cost(f, "1")))
	}
	f.shut()
	for _, withReserve := range []bool{false, true} {
		var group sync.WaitGroup
		f.occupy(&group)
		f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "1").Err())
		for _, h := range held[:2] {
			group.Go(func() {
				if _, err := f.ledger.Settle(f.ctx(), settlement(h, cost(f, "1"))); err != nil {
					f.Errorf("settle: %v", err)
				}
			})
		}
		want := 2
		if withReserve {
			want++
			r := f.reservation(f.key, cost(f, "1"))
			group.Go(func() {
				if _, err := f.ledger.Reserve(f.ctx(), r); err == nil {
					f.Error("a reserve came in")
				}
			})
		}
		eventually(t, "the others wait", func() bool { return f.convoy().queue() == want })
		held = held[2:]
		passes := 2
		if withReserve {
			passes++ // the trip is refused, and its calls go one by one
		}
		for range passes {
			f.gate.open <- struct{}{}
		}
		group.Wait()
		f.must(f.server.Client().ConfigSet(f.ctx(), "maxmemory", "0").Err())
		f.idle()
		f.gate.took = nil
	}
	close(f.gate.open)
}

// One request twice in a trip: a client that tries again while the first try is on its way.
func TestConvoySameRequestTwice(t *testing.T) {
	f := newConvoyFixture(t)
	h := f.reserve(f.key, cost(f, "1"))
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	receipts := make([]*Receipt, 3)
	r := f.reservation(f.key, cost(f, "1"))
	for i := range receipts {
		group.Go(func() {
			var err error
			if receipts[i], err = f.ledger.Settle(f.ctx(), settlement(h, cost(f, "1"))); err != nil {
				f.Error(err)
			}
		})
		group.Go(func() {
			if _, err := f.ledger.Reserve(f.ctx(), r); err != nil {
				f.Error(err)
			}
		})
	}
	eventually(t, "the others wait", func() bool { return f.convoy().queue() == 6 })
	close(f.gate.open)
	group.Wait()
	repeated := 0
	for _, receipt := range receipts {
		if receipt.Repeated {
			repeated++
		}
		if receipt.ID != receipts[0].ID {
			t.Errorf("entries %s and %s of one settlement", receipt.ID, receipts[0].ID)
		}
	}
	a := f.read(f.key.Account)
	if repeated != 2 || a.Wallets[Recharge].Balance != f.nano("999") || a.Held != f.nano("1")*2 {
		t.Errorf("%d repeated; %s left, %s held", repeated, a.Wallets[Recharge].Balance, a.Held)
	}
}

// A call may begin and end in one trip, and what one takes another gives back: what a trip has written already, and then has again
// as it found it, is written once more.
func TestConvoyGoesThereAndBack(t *testing.T) {
	for name, c := range map[string]struct{ recharge, bonus, paid string }{
		"of one wallet": {"10", "0", "9 0 0"}, "of the other": {"0", "10", "0 9 0"}, "of both": {"6", "4", "5.4 3.6 0"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.account("acme", c.recharge, c.bonus, AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			key := f.key("acme", KeyLimits{TPM: 1000, SpendTotal: f.nano("100")})
			quote := charge(t, "input 50 0.02", "call 1 1") // a pack pays the tokens, wallets the call

			r := f.reservation(key, quote)
			if got := f.trip(f.reserveCall(r), f.releaseCall(&Hold{ID: r.ID, Account: "acme"})); !slices.Equal(got, []string{"OK", "OK"}) {
				t.Errorf("the trip brought %v", got)
			}
			f.balances("acme", c.recharge+" "+c.bonus+" 0")
			f.pack("acme", "p1", 100, 100)
			if use := f.keyUse(key); use.Parallel != 0 || use.SpendHeld != 0 || use.TokensHeld != 0 {
				t.Errorf("use %+v", use)
			}
			standing, err := f.ledger.Authenticate(f.ctx(), key, netip.Addr{})
			f.must(err)
			if standing.Tokens.Remaining != 1000 {
				t.Errorf("%d tokens remain", standing.Tokens.Remaining)
			}

			abandoned := f.reserve(key, quote)
			f.abandoned(abandoned, quote)
			f.balances("acme", c.paid)
			s := settlement(f.reserve(key, quote), quote)
			if got := f.trip(f.settleCall(s), f.settleCall(s), f.releaseCall(abandoned)); !slices.Equal(got, []string{"OK", "SAME", "OK"}) {
				t.Errorf("the trip brought %v", got)
			}
			f.balances("acme", c.paid)
			f.pack("acme", "p1", 50, 50)
			if use := f.keyUse(key); use.SpendTotal != f.nano("1") || use.Requests != 1 || use.Tokens != 50 {
				t.Errorf("use %+v", use)
			}
		})
	}
}

// Where the convoy before does not come back, those who wait go with the next that comes.
func TestConvoyDoesNotWaitForever(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	reserve := func() {
		r := f.reservation(f.key, cost(f, "1"))
		group.Go(func() {
			if _, err := f.ledger.Reserve(f.ctx(), r); err != nil {
				f.Error(err)
			}
		})
	}
	for i := range 3 {
		reserve()
		eventually(t, "it waits", func() bool { return f.convoy().queue() == i+1 })
	}
	v := f.convoy()
	v.mu.Lock()
	v.left = time.Now().Add(-2 * convoyPatience)
	v.mu.Unlock()
	reserve()
	eventually(t, "they go", func() bool { return f.gate.sent() == 2 && v.queue() == 0 })
	close(f.gate.open)
	group.Wait()
	f.idle()
}

// Where a convoy finds the server away, those who wait do not find out one convoy
// after the other.
func TestConvoyTurnsBackWhenTheServerIsAway(t *testing.T) {
	f := newConvoyFixture(t)
	f.gate.lost = os.ErrDeadlineExceeded
	f.shut()
	var group sync.WaitGroup
	call := func() {
		r := f.reservation(f.key, cost(f, "1"))
		group.Go(func() {
			if _, err := f.ledger.Reserve(f.ctx(), r); !errors.Is(err, ErrUnavailable) {
				f.Errorf("reserve: %v", err)
			}
		})
	}
	call()
	eventually(t, "it is on its way", func() bool { return f.gate.sent() == 1 })
	v := f.convoy()
	v.mu.Lock()
	v.left = v.left.Add(time.Hour) // however slow this machine is
	v.mu.Unlock()
	for range 3 * convoySize {
		call()
	}
	eventually(t, "the others wait", func() bool { return v.queue() == 3*convoySize })
	close(f.gate.open)
	group.Wait()
	if sent := f.gate.sent(); sent != 1 {
		t.Errorf("%d convoys were sent to find out that the server is away", sent)
	}
	f.idle()
	f.gate.lost = nil
}

// A trip whose reply was lost is made again: every call gets the answer it had, and nothing is booked twice.
func TestTripRunsTwice(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 5, Unit: "call"})
		key := f.key("acme", KeyLimits{})
		used := cost(f, "0.000000008")
		first, second := f.reserve(key, used), f.reserve(key, used)
		third := f.reservation(key, used)
		calls := func() []*scriptCall {
			return []*scriptCall{f.settleCall(settlement(first, used)), f.releaseCall(second), f.reserveCall(third)}
		}
		once := f.trip(calls()...)
		balance, held, entries := f.read("acme").Wallets[Recharge].Balance, f.read("acme").Held, len(f.entries("acme"))
		twice := f.trip(calls()...)
		if fmt.Sprint(once) != "[OK OK OK]" || fmt.Sprint(twice) != "[SAME OK OK]" {
			f.Errorf("once %v, twice %v", once, twice)
		}
		if a := f.read("acme"); a.Wallets[Recharge].Balance != balance || a.Held != held || len(f.entries("acme")) != entries {
			f.Errorf("%s and %s held in %d entries; then %s and %s held in %d", balance, held, entries,
				a.Wallets[Recharge].Balance, a.Held, len(f.entries("acme")))
		}
	})
}

// Who leaves while waiting keeps nobody, wherever in the queue he was.
func TestConvoyLeaving(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	var group sync.WaitGroup
	f.occupy(&group)
	leaving, leave := context.WithCancel(t.Context())
	for i := range 9 {
		ctx, want := t.Context(), error(nil)
		if i%2 == 0 {
			ctx, want = leaving, context.Canceled
		}
		r := f.reservation(f.key, cost(f, "1"))
		group.Go(func() {
			if err := f.convoy().send(ctx, f.reserveCall(r)); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		})
		eventually(t, "it waits", func() bool { return f.convoy().queue() == i+1 })
	}
	leave()
	eventually(t, "they left", func() bool { return f.convoy().queue() == 4 })
	close(f.gate.open)
	group.Wait()
	f.idle()
}

// Whoever is told to lead in the moment in which he leaves passes it on.
func TestConvoyLeavingLeader(t *testing.T) {
	f := newConvoyFixture(t)
	f.shut()
	close(f.gate.open)
	for range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for i := range 12 {
			call := f.reserveCall(f.reservation(f.key, cost(f, "0.001")))
			group.Go(func() {
				if i%2 == 0 {
					_ = f.convoy().send(ctx, call)
				} else if err := f.convoy().send(t.Context(), call); err != nil {
					t.Error(err)
				}
			})
		}
		cancel()
		group.Wait()
	}
	f.idle()
}
