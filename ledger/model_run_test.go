package ledger

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// TestModel drives the ledger and its model with the same random steps, and
// compares all of their state after each. More steps: -rapid.checks and -rapid.steps.
func TestModel(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true // the machine audits by itself, and empties the server
	steps, met := 0, make(map[string]int)
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(f, t)
		m.met = met
		t.Repeat(someOf(t, map[string]func(*rapid.T){
			"topup":    m.topup,
			"grant":    m.grant,
			"revoke":   m.revoke,
			"reserve":  m.reserve,
			"reserve2": m.reserve,
			"settle":   m.settle,
			"settle2":  m.settle,
			"late":     m.settleEnded,
			"lost":     m.settleLost,
			"release":  m.release,
			"extend":   m.extend,
			"park":     m.park,
			"tick":     m.tick,
			"back":     m.stepBack,
			"abandon":  m.abandon,
			"sweep":    m.sweep,
			"suspend":  m.suspend,
			"refund":   m.refund,
			"refund2":  m.refund,
			"reprice":  m.reprice,
			"reprice2": m.reprice,
			"adjust":   m.adjust,
			"set":      m.set,
			"":         func(t *rapid.T) { steps++; m.compare(t) },
		}))
		m.audit(t)
	})
	t.Logf("%d steps; met %v", steps, met)
	for _, what := range mustMeet {
		if met[what] == 0 && steps > enoughSteps && !t.Failed() {
			t.Errorf("%d steps, and never %s: they prove little", steps, what)
		}
	}
}

// someOf leaves some kinds of steps out of a run, so that of the others more come together: of all kinds, each run has a little.
// Without money and calls nothing happens.
func someOf(t *rapid.T, steps map[string]func(*rapid.T)) map[string]func(*rapid.T) {
	if rapid.Bool().Draw(t, "all kinds of steps") {
		return steps
	}
	some := maps.Clone(steps)
	for _, kind := range slices.Sorted(maps.Keys(steps)) {
		if !slices.Contains([]string{"", "topup", "reserve", "settle"}, kind) && rapid.Bool().Draw(t, "without "+kind) {
			delete(some, kind)
		}
	}
	return some
}

// enoughSteps must come to everything in mustMeet.
const enoughSteps = 2000

var mustMeet = []string{
	"settled within its hold", "settled over its hold", "settled late", "settled without a hold", "repeated", "conflict",
	"refund", "refund refused", "repriced", "abandoned", "swept", "kept", "expired", "clock ahead", "clock back",
	"parked", "parked without a hold", "task swept", "task settled",
}

// machine holds the ledger against the model.
type machine struct {
	f          *fixture
	model      *model
	key        Credential
	start      time.Time
	requests   []string       // all that ever were, in order
	begun      map[string]int // in which minute
	references int
	shard      int
	most       int            // lines of a quote or a charge
	riches     bool           // whether so much money comes in that no wallet runs short
	met        map[string]int // what has happened so far, over all runs
}

func newMachine(f *fixture, t *rapid.T) *machine {
	f.server.Flush()
	f.ledger = f.reopen()
	split := rapid.SampledFrom([]Split{Proportional, Equal, BonusFirst, RechargeFirst}).Draw(t, "split")
	overdraft := rapid.SampledFrom([]int64{0, 0, 500}).Draw(t, "overdraft")
	policy := rapid.SampledFrom([]string{ChargeCheckpoint, ChargeCheckpoint, ReleaseAbandoned, HoldAbandoned}).Draw(t, "on abandoned")
	f.ledger.onAbandoned = policy
	f.account("acme", "0", "0", AccountOptions{Split: split, Overdraft: meter.Nano(overdraft)})
	k := modelKey{
		spendTotal: rapid.SampledFrom([]int64{0, 0, 5000}).Draw(t, "spend limit"),
		tokens:     rapid.SampledFrom([]int64{0, 0, 20_000}).Draw(t, "token limit"),
		parallel:   rapid.SampledFrom([]int64{0, 0, 4}).Draw(t, "parallel limit"),
	}
	key := f.key("acme", KeyLimits{SpendTotal: meter.Nano(k.spendTotal), Tokens: k.tokens, Parallel: k.parallel})
	most, riches := rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "most lines"), rapid.Bool().Draw(t, "riches")
	return &machine{f: f, key: key, begun: map[string]int{}, start: time.Now(), shard: f.ledger.shardOf("acme"), most: most, riches: riches, model: &model{
		split: split, overdraft: overdraft, policy: policy, key: k, ttl: int(defaultHoldTTL / time.Minute), taskTTL: int(modelTaskTTL / time.Minute),
		holds: map[string]*modelHold{}, ended: map[string]*modelEnd{},
	}}
}

// reopen opens the ledger anew, on the server that has been emptied, and closes the old one.
func (f *fixture) reopen() *Ledger {
	_ = f.ledger.Close()
	l, err := Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY", Shards: 2, TaskTTL: modelTaskTTL})
	f.must(err)
	f.Cleanup(func() { _ = l.Close() })
	return l
}

const modelTaskTTL = 40 * time.Minute

var modelRates = []struct {
	text string
	pico int64
}{{"0.0000000007", 700}, {"0.000000003", 3000}, {"0.0000000015", 1500}, {"0", 0}, {"0.000000000001", 1}}

func drawLines(t *rapid.T, most int64, lines int) []modelLine {
	dimensions := []meter.Dimension{meter.Input, meter.CachedInput, meter.Output, meter.Image}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelLine {
		rate := rapid.SampledFrom(modelRates).Draw(t, "rate")
		return modelLine{
			dimension: rapid.SampledFrom(dimensions).Draw(t, "dimension"),
			quantity:  rapid.Int64Range(0, most).Draw(t, "quantity"), pico: rate.pico, rate: rate.text,
		}
	}), 0, lines).Draw(t, "lines")
}

func (m *machine) lines(t *rapid.T, most int64) []modelLine { return drawLines(t, most, m.most) }

func chargeOf(t *rapid.T, lines []modelLine) meter.Charge {
	c := meter.Charge{PriceVersion: "model"}
	for _, l := range lines {
		rate, err := meter.ParseRate(l.rate, l.dimension)
		if err != nil {
			t.Fatal(err)
		}
		amount, err := rate.Amount(l.quantity)
		if err != nil {
			t.Fatal(err)
		}
		c.Lines = append(c.Lines, meter.Line{Dimension: l.dimension, Quantity: l.quantity, Rate: rate, Amount: amount})
		c.Fee += amount
	}
	return c
}

func (m *machine) topup(t *rapid.T) {
	wallet := rapid.SampledFrom([]Wallet{Recharge, Bonus}).Draw(t, "wallet")
	amounts := rapid.Int64Range(1, 3000)
	if m.riches {
		amounts = rapid.OneOf(amounts, amounts, amounts, rapid.Just(int64(1<<53+1)), rapid.Just(int64(4e18)))
	}
	amount := amounts.Draw(t, "amount")
	balance := &m.model.recharge
	if wallet == Bonus {
		balance = &m.model.bonus
	}
	_, err := m.f.ledger.TopUp(m.f.ctx(), Topup{Account: "acme", Wallet: wallet, Amount: meter.Nano(amount)})
	if *balance > int64(meter.MaxBalance)-amount {
		m.is(t, err, ErrInvalid)
		return
	}
	m.is(t, err, nil)
	*balance += amount
}

func (m *machine) grant(t *rapid.T) {
	p := &modelPack{
		number: len(m.model.packs) + 1, unit: rapid.SampledFrom([]string{"token", "token", "image"}).Draw(t, "unit"),
		pattern: rapid.SampledFrom([]string{"", "glm-*", "glm-4"}).Draw(t, "models"), quantity: rapid.Int64Range(1, 1500).Draw(t, "quantity"),
		priority: rapid.Int64Range(-1, 1).Draw(t, "priority"), after: rapid.Bool().Draw(t, "after"),
		expires: rapid.SampledFrom([]int{-1, -1, m.model.minute + 3, m.model.minute + 20}).Draw(t, "expires"),
	}
	p.remaining = p.quantity
	g := Grant{Account: "acme", Unit: p.unit, Quantity: p.quantity, Priority: p.priority}
	if p.pattern != "" {
		g.Models = []string{"other", p.pattern}
	}
	if p.after {
		g.Order = AfterBalance
	}
	if p.expires >= 0 {
		at := m.start.Add(time.Duration(p.expires)*time.Minute + 30*time.Second)
		g.ExpiresAt = &at
	}
	got, err := m.f.ledger.GrantPack(m.f.ctx(), g)
	m.is(t, err, nil)
	if got.ID != "p"+strconv.Itoa(p.number) {
		t.Fatalf("granted as %s, want p%d", got.ID, p.number)
	}
	m.model.packs = append(m.model.packs, p)
}

func (m *machine) revoke(t *rapid.T) {
	if len(m.model.packs) == 0 {
		t.Skip("no packs")
	}
	p := rapid.SampledFrom(m.model.packs).Draw(t, "pack")
	_, err := m.f.ledger.RevokePack(m.f.ctx(), "acme", "p"+strconv.Itoa(p.number), "model")
	m.is(t, err, nil)
	p.revoked = true
	m.model.reap(nil)
}

func (m *machine) reserve(t *rapid.T) {
	quote := m.lines(t, 1000)
	r := m.f.reservation(m.key, chargeOf(t, quote))
	if len(m.requests) > 0 && rapid.IntRange(0, 9).Draw(t, "again") == 0 {
		r.ID = rapid.SampledFrom(m.requests).Draw(t, "id")
	} else {
		m.begin(r.ID)
	}
	open, ended := m.model.holds[r.ID], m.model.ended[r.ID]
	var reason Reason
	var limit string
	if open == nil && ended == nil {
		reason, limit = m.model.reserve(r.ID, quote)
	}
	hold, err := m.f.ledger.Reserve(m.f.ctx(), r)
	switch {
	case ended != nil:
		m.is(t, err, ErrConflict)
	case reason != "":
		var no *Refusal
		if !errors.As(err, &no) || no.Reason != reason || no.Limit != limit {
			t.Fatalf("reserve: %v, want a refusal: %s (%s)", err, reason, limit)
		}
	default:
		m.is(t, err, nil)
		if want := m.model.holds[r.ID].cash; int64(hold.Cash) != want {
			t.Fatalf("EXACT-FEE: held %d, want %d", hold.Cash, want)
		}
	}
}

func (m *machine) begin(id string) {
	m.requests = append(m.requests, id)
	m.begun[id] = m.model.minute
}

// pick draws one of the requests that are in flight, or skips the step.
func (m *machine) pick(t *rapid.T) string {
	var open []string
	for _, id := range m.requests {
		if m.model.holds[id] != nil {
			open = append(open, id)
		}
	}
	if len(open) == 0 {
		t.Skip("nothing in flight")
	}
	return rapid.SampledFrom(open).Draw(t, "hold")
}

func (m *machine) settle(t *rapid.T) {
	m.book(t, m.pick(t), m.lines(t, rapid.SampledFrom([]int64{100, 1000, 2500}).Draw(t, "size")))
}

func (m *machine) settleEnded(t *rapid.T) {
	var ended []string
	for _, id := range m.requests {
		if m.model.ended[id] != nil {
			ended = append(ended, id)
		}
	}
	if len(ended) == 0 {
		t.Skip("nothing has ended")
	}
	id := rapid.SampledFrom(ended).Draw(t, "request")
	lines := m.model.ended[id].lines
	if lines == nil || rapid.Bool().Draw(t, "other content") {
		lines = m.lines(t, 1000)
	}
	m.book(t, id, lines)
}

func (m *machine) settleLost(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rare") > 0 {
		t.Skip("rare")
	}
	id := newID("req_", m.f.ledger.now())
	m.begin(id)
	m.book(t, id, m.lines(t, 1000))
}

func (m *machine) book(t *rapid.T, id string, lines []modelLine) {
	hold, before := m.model.holds[id], m.model.ended[id]
	want := m.model.settle(id, lines)
	m.meet(want, hold, before, m.model.ended[id])
	h := &Hold{ID: id, Account: "acme", Key: keyID("acme", m.key.suffix())}
	receipt, err := m.f.ledger.Settle(m.f.ctx(), settlement(h, chargeOf(t, lines)))
	if want == "conflict" {
		m.is(t, err, ErrConflict)
		return
	}
	m.is(t, err, nil)
	end := m.model.ended[id]
	if receipt.Repeated != (want == "repeated") || int64(*receipt.Fee) != end.fee {
		t.Fatalf("settled: repeated %t, fee %d; want %s, fee %d", receipt.Repeated, *receipt.Fee, want, end.fee)
	}
	m.checkPaid(t, receipt.Paid, end)
}

// meet counts what kind of settlement one was.
func (m *machine) meet(outcome string, hold *modelHold, before, after *modelEnd) {
	switch {
	case outcome != "booked":
		m.met[outcome]++
	case hold != nil && hold.task:
		m.met["task settled"]++
	case before != nil:
		m.met["settled late"]++
	case hold == nil:
		m.met["settled without a hold"]++
	case after.fee > hold.cash:
		m.met["settled over its hold"]++
	default:
		m.met["settled within its hold"]++
	}
}

// checkPaid compares who paid: BURN-ORDER and the split.
func (m *machine) checkPaid(t *rapid.T, list []Payment, end *modelEnd) {
	sameParts(t, "paid", list, modelBack{recharge: end.fromRecharge, bonus: end.fromBonus, packs: end.fromPacks})
}

func sameParts(t *rapid.T, what string, list []Payment, parts modelBack) {
	got, want := map[string]int64{}, map[string]int64{}
	for _, p := range list {
		got[p.From] += p.Quantity + int64(p.Amount)
	}
	for p, n := range parts.packs {
		want["pack:p"+strconv.Itoa(p.number)] = n
	}
	if parts.bonus > 0 {
		want["bonus"] = parts.bonus
	}
	if parts.recharge > 0 {
		want["recharge"] = parts.recharge
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s %v, want %v", what, got, want)
	}
}

// refund gives back a part, or all, of a request in any state, twice in a row
// at times, also by a reference that is used again.
func (m *machine) refund(t *rapid.T) {
	if len(m.requests) == 0 {
		t.Skip("no requests")
	}
	id := rapid.SampledFrom(m.requests).Draw(t, "request")
	r := Refund{Account: "acme", RequestID: id, Reason: "model"}
	if rapid.Bool().Draw(t, "part") {
		n := meter.Nano(rapid.OneOf(rapid.Int64Range(1, 10), rapid.Int64Range(1, 5000)).Draw(t, "amount"))
		r.Amount = &n
	}
	if rapid.Bool().Draw(t, "by reference") {
		m.references++
		r.Ref = "ref " + strconv.Itoa(m.references)
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		e, err := m.f.ledger.Refund(m.f.ctx(), r)
		if m.checkRefund(t, &r, e, err) && r.Ref != "" {
			again, err := m.f.ledger.Refund(m.f.ctx(), r)
			m.is(t, err, nil)
			if again.ID != e.ID {
				t.Fatalf("ONCE: refunded by one reference in %s and %s", e.ID, again.ID)
			}
			return
		}
	}
}

func (m *machine) checkRefund(t *rapid.T, r *Refund, e *Entry, err error) bool {
	amount := int64(0)
	if r.Amount != nil {
		amount = int64(*r.Amount)
	}
	back, no := m.model.refund(r.RequestID, amount)
	if no != "" {
		m.met["refund refused"]++
	}
	switch no {
	case "":
		m.met["refund"]++
		m.is(t, err, nil)
		sameParts(t, "refunded", e.Paid, back)
		return true
	case "not found":
		m.is(t, err, ErrNotFound)
	default:
		m.is(t, err, ErrInvalid)
	}
	return false
}

// reprice prices one request at other rates, and all others as they are.
func (m *machine) reprice(t *rapid.T) {
	if len(m.requests) == 0 {
		t.Skip("no requests")
	}
	id := rapid.SampledFrom(m.requests).Draw(t, "request")
	before := modelEnd{}
	if e := m.model.ended[id]; e != nil {
		before = *e
	}
	lines := slices.Clone(before.lines)
	for i := range lines {
		rate := rapid.SampledFrom(modelRates).Draw(t, "rate")
		lines[i].pico, lines[i].rate = rate.pico, rate.text
	}
	var got []*Repriced
	_, err := m.f.ledger.Reprice(m.f.ctx(), Repricing{Account: "acme", Reason: "model"}, func(e *Entry) (meter.Charge, error) {
		if e.RequestID == id {
			return chargeOf(t, lines), nil
		}
		return sameAs(e), nil
	}, func(r *Repriced) { got = append(got, r) })
	m.is(t, err, nil)
	switch want := m.model.reprice(id, lines); {
	case want == "" && len(got) == 0:
	case want == "range" && len(got) == 1 && got[0].Left != nil:
	case want == "repriced" && len(got) == 1 && got[0].Left == nil && got[0].Entry != nil:
		if end := m.model.ended[id]; int64(got[0].Fee) != end.fee {
			t.Fatalf("EXACT-FEE: repriced to %d, want %d", got[0].Fee, end.fee)
		}
		m.checkPaid(t, got[0].Entry.Paid, m.model.ended[id])
		m.met[want]++
	default:
		t.Fatalf("repriced %d, want %q", len(got), want)
	}
}

func (m *machine) adjust(t *rapid.T) {
	wallet := rapid.SampledFrom([]Wallet{Recharge, Bonus}).Draw(t, "wallet")
	amount := rapid.OneOf(rapid.Int64Range(-2000, 500), rapid.Int64Range(-4e18, -1)).Draw(t, "amount")
	if amount == 0 {
		t.Skip("nothing")
	}
	balance := &m.model.recharge
	if wallet == Bonus {
		balance = &m.model.bonus
	}
	after, limit := *balance+amount, int64(meter.MaxBalance)
	free := new(big.Int).Add(big.NewInt(m.model.recharge), big.NewInt(m.model.bonus))
	free.Add(free, big.NewInt(amount-m.model.held()))
	_, err := m.f.ledger.Adjust(m.f.ctx(), Adjustment{Account: "acme", Wallet: wallet, Amount: meter.Nano(amount), Reason: "model"})
	if after > limit || amount < 0 && (after < 0 || free.Sign() < 0) {
		m.is(t, err, ErrInvalid)
		return
	}
	m.is(t, err, nil)
	*balance = after
}

func (m *machine) set(t *rapid.T) {
	split := rapid.SampledFrom([]Split{Proportional, Equal, BonusFirst, RechargeFirst}).Draw(t, "split")
	overdraft := meter.Nano(rapid.SampledFrom([]int64{0, 500}).Draw(t, "overdraft"))
	a, err := m.f.ledger.SetAccount(m.f.ctx(), "acme", AccountChange{Split: &split, Overdraft: &overdraft})
	m.is(t, err, nil)
	if a.Split != split || a.Overdraft != overdraft {
		t.Fatalf("set %s, %s, want %s, %s", a.Split, a.Overdraft, split, overdraft)
	}
	m.model.split, m.model.overdraft = split, int64(overdraft)
}

func (m *machine) release(t *rapid.T) {
	if len(m.requests) == 0 {
		t.Skip("no requests")
	}
	m.releaseID(t, rapid.SampledFrom(m.requests).Draw(t, "request"))
}

func (m *machine) releaseID(t *rapid.T, id string) {
	want := m.model.release(id)
	_, err := m.f.ledger.Release(m.f.ctx(), "acme", id)
	if want == "conflict" {
		m.is(t, err, ErrConflict)
	} else {
		m.is(t, err, nil)
	}
}

func (m *machine) extend(t *rapid.T) {
	if len(m.requests) == 0 {
		t.Skip("no requests")
	}
	m.extendHold(t, rapid.SampledFrom(m.requests).Draw(t, "request"))
}

func (m *machine) extendHold(t *rapid.T, id string) {
	lines := m.lines(t, 500)
	h := &Hold{ID: id, Account: "acme", Key: keyID("acme", m.key.suffix())}
	err := m.f.ledger.Extend(m.f.ctx(), Checkpoint{settlement(h, chargeOf(t, lines))})
	hold := m.model.holds[id]
	if hold == nil || hold.task {
		m.is(t, err, ErrNotFound)
		return
	}
	m.is(t, err, nil)
	hold.deadline = m.model.minute + m.model.ttl
	hold.checkpoint = append([]modelLine{}, lines...)
}

// park says that a call has brought a task; at times again, or of one whose hold is gone.
func (m *machine) park(t *rapid.T) {
	var id string
	if len(m.requests) > 0 && rapid.IntRange(0, 2).Draw(t, "of any") == 0 {
		id = rapid.SampledFrom(m.requests).Draw(t, "request")
	} else {
		id = m.pick(t)
	}
	m.parkOf(t, id)
}

func (m *machine) parkOf(t *rapid.T, id string) {
	lines, hold := m.lines(t, 1000), m.model.holds[id]
	m.model.park(id, lines, min(m.begun[id], m.model.minute)+m.model.taskTTL)
	switch now := m.model.holds[id]; {
	case hold != nil && now == hold:
		m.met["parked"]++
	case now != nil:
		m.met["parked without a hold"]++
	}
	h := &Hold{ID: id, Account: "acme", Key: keyID("acme", m.key.suffix())}
	m.is(t, m.f.ledger.Park(m.f.ctx(), Task{Checkpoint: Checkpoint{settlement(h, chargeOf(t, lines))}, ID: "task-" + id}), nil)
}

// abandon lets a proxy die with a call in flight: what it had last said of it,
// if anything, is all that the sweeper finds when the hold's time is over.
func (m *machine) abandon(t *rapid.T) {
	id := m.pick(t)
	if rapid.IntRange(0, 2).Draw(t, "said something") > 0 {
		m.extendHold(t, id)
	}
	if m.model.holds[id].task {
		m.met["task swept"]++
		m.wait(m.model.taskTTL)
	} else {
		m.wait(m.model.ttl)
	}
	m.sweep(t)
	switch rapid.SampledFrom([]string{"", "settles after all", "releases after all", "brings a task after all"}).Draw(t, "and then it") {
	case "settles after all":
		m.book(t, id, m.lines(t, 1000))
	case "releases after all":
		m.releaseID(t, id)
	case "brings a task after all":
		m.parkOf(t, id)
	}
}

func (m *machine) tick(t *rapid.T) {
	m.met["clock ahead"]++
	m.wait(rapid.SampledFrom([]int{1, 2, 5, 16}).Draw(t, "minutes"))
}

func (m *machine) wait(minutes int) {
	m.model.minute += minutes
	m.f.pass(time.Duration(minutes) * time.Minute)
}

// stepBack sets the clock back, as one that ran ahead is put right.
func (m *machine) stepBack(t *rapid.T) {
	if m.model.minute == 0 || rapid.IntRange(0, 2).Draw(t, "rare") > 0 {
		t.Skip("rare")
	}
	minutes := rapid.IntRange(1, min(20, m.model.minute)).Draw(t, "minutes")
	m.met["clock back"]++
	m.model.minute -= minutes
	m.f.pass(-time.Duration(minutes) * time.Minute)
}

// sweep lets the ledger say in which order it took the holds that are due:
// deadlines in a minute differ by milliseconds that the model does not know.
func (m *machine) sweep(t *rapid.T) {
	members, err := m.f.server.Client().ZRange(m.f.ctx(), m.f.ledger.dueKey(m.shard), 0, -1).Result()
	m.is(t, err, nil)
	order := map[string]int{}
	for i, member := range members {
		order[strings.TrimSpace(strings.TrimPrefix(member, "acme "))] = i
	}
	var due []string
	for id, h := range m.model.holds {
		if h.deadline <= m.model.minute {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b string) int { return order[a] - order[b] })
	want := Swept{Open: len(m.model.holds)}
	if m.model.policy == HoldAbandoned {
		want.Kept = len(due)
	} else {
		want.Abandoned, want.Released = m.model.sweepIn(due)
		want.Open -= len(due)
	}
	want.Expired = m.model.expire()
	for what, n := range map[string]int{"abandoned": want.Abandoned, "swept": want.Released, "kept": want.Kept, "expired": want.Expired} {
		m.met[what] += n
	}
	if got := m.f.sweep(); got != want {
		t.Fatalf("swept %+v, want %+v", got, want)
	}
}

func (m *machine) suspend(t *rapid.T) {
	m.model.suspended = !m.model.suspended && rapid.IntRange(0, 3).Draw(t, "rare") == 0
	if m.model.suspended {
		m.is(t, m.f.ledger.SuspendAccount(m.f.ctx(), "acme", ""), nil)
	} else {
		m.is(t, m.f.ledger.ResumeAccount(m.f.ctx(), "acme", ""), nil)
	}
}

func (m *machine) is(t *rapid.T, err, want error) {
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// compare checks the whole state: CONSERVE, HOLD-SUM, HOLD-COVER, STICKY by way of what follows.
func (m *machine) compare(t *rapid.T) {
	state, err := m.f.ledger.state(m.f.ctx(), "acme")
	m.is(t, err, nil)
	a, err := state.account()
	m.is(t, err, nil)
	k, err := state.key(m.key.suffix(), time.UTC)
	m.is(t, err, nil)
	status := "active"
	if m.model.suspended {
		status = "suspended"
	}
	got := fmt.Sprint(a.Status, " ", int64(a.Wallets[Recharge].Balance), " ", int64(a.Wallets[Bonus].Balance), " ", int64(a.Held),
		" key ", int64(k.Use.SpendTotal), " ", int64(k.Use.SpendHeld), " ", k.Use.Tokens, " ", k.Use.TokensHeld, " ", k.Use.Requests, " ", k.Use.Parallel)
	want := fmt.Sprint(status, " ", m.model.recharge, " ", m.model.bonus, " ", m.model.held(),
		" key ", m.model.key.spent, " ", m.model.held(), " ", m.model.key.used, " ", m.model.tokensHeld(), " ", m.model.key.requests, " ", m.model.inFlight())
	for _, p := range a.Packs {
		got += fmt.Sprintf(", %s %d %d %s", p.ID, p.Remaining, p.Remaining-p.Free, p.Status)
	}
	for _, p := range m.model.packs {
		held := m.model.heldOf(p)
		want += fmt.Sprintf(", p%d %d %d %s", p.number, p.remaining, held, m.packStatus(p))
		if held > p.remaining {
			t.Fatalf("HOLD-COVER: pack p%d holds %d of %d", p.number, held, p.remaining)
		}
	}
	if got != want {
		t.Fatalf("ledger: %s\nmodel:  %s", got, want)
	}
	if holds := len(state.holds); holds < len(m.model.holds) {
		t.Fatalf("%d fields for %d holds", holds, len(m.model.holds))
	}
}

func (m *machine) packStatus(p *modelPack) string {
	switch {
	case p.revoked:
		return "revoked"
	case m.model.over(p):
		return "expired"
	case p.remaining == 0:
		return "used_up"
	}
	return "active"
}

// audit: DENSE, CHAIN, ONCE, EXACT-FEE, CONSERVE and the rest, from the journal.
func (m *machine) audit(t *rapid.T) {
	report, err := m.f.ledger.Audit(m.f.ctx(), "")
	m.is(t, err, nil)
	for _, d := range report.Differences {
		t.Errorf("audit: %+v", d)
	}
}
