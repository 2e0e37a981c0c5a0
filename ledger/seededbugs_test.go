package ledger

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A suite that cannot fail proves nothing. Here the scripts get bugs, one at a
// time, as patches on their sources, and a short round through the ledger must
// find each by the invariant that it breaks.

// A seededBug is a patch on one of the Lua files. old must be there exactly once.
type seededBug struct {
	name, file, old, new string
	breaks               string // the invariant that must be among those that catch it
}

func seededBugs() []seededBug {
	return []seededBug{
		{"no marker written", "settle", "  mark('c ' .. entry_seq .. ' ' .. ARGV[9], tonumber(ARGV[14]))\n", "", lawOnce},
		{"`..` on an amount", "charge", "str(fee), groups.booked", "fee .. '', groups.booked", lawExactFee},
		{"tostring prints numbers", "numbers", "return format('%d', n)", "return tostring(n)", lawExactFee},
		{
			"floor and ceil swapped, of a fee", "pay", "wanted = muldiv(fee, account.bonus, add(account.recharge, account.bonus), 0)",
			"local sum = add(account.recharge, account.bonus)\n    wanted = muldiv(fee, account.bonus, sum, clamp(sum) - 1)", "SPLIT-FAIR",
		},
		{
			"floor and ceil swapped, of lines", "pay", "muldiv(quantity, sum, group.total, 0)",
			"muldiv(quantity, sum, group.total, group.total - 1)", "SPLIT-FAIR",
		},
		{
			"hold released by TTL", "trip", "  if #of.comes > 0 then",
			"  if #of.comes > 0 then\n    for i = 1, #of.order do call('PEXPIRE', of.order[i].name .. ':holds', 30) end\n  end\n  if #of.comes > 0 then", lawHoldSum,
		},
		{"MAXLEN trim", "trip", "call('XADD', of.journal, ", "call('XADD', of.journal, 'MAXLEN', '20', ", lawDense},
		{
			"remainder to the last source, capped", "pay", "  return fee - from_bonus, from_bonus\n",
			"  return min(recharge, fee - from_bonus), from_bonus\n", "SPLIT-SUM",
		},
		{
			"settle after expiry dropped", "settle", "if entry_seq or marker == 'r' then",
			"if entry_seq or marker == 'r' or sub(marker, 1, 1) == 'x' then", "NO-LOST",
		},
		{"two packs burned in the wrong order", "account", "return p.priority < q.priority", "return p.priority > q.priority", "BURN-ORDER"},
		{"packs burn by id, not by expiry", "account", "return p.expires < q.expires", "return p.number < q.number", "BURN-ORDER"},
		{
			"admission forgets what is held", "pay", "total(account.recharge, account.bonus, account.overdraft, negate(account.held))",
			"total(account.recharge, account.bonus, account.overdraft)", "NONNEG",
		},
		{"packs pay all that they do not have", "pay", "if free_of(group.packs.before, with_held, group.total) < group.total then", "if false then", lawExactFee},
		{"packs pay all with what is held", "pay", "with_held and pack.b or pack.b - pack.h\n", "pack.b\n", "NONNEG"},
		{"settle keeps the hold's cash", "hold", "  account.held = add(account.held, -hold.cash)\n", "", lawHoldSum},
		{"late settle leaves the abandon", "settle", "  if abandon then take_back(", "  if false then take_back(", lawOnce},
		{"lost reply of a reserve holds twice", "reserve", "return already(groups) or admit(groups)", "return admit(groups)", "STICKY"},
		{"a refund is not remembered", "refund", "  put(REFUNDS, charge_seq, paid_by .. ' ' .. given_text)\n", "", lawRefundCap},
		{"a refund goes to recharge alone", "refund", "    if paid[i][1] == 'b' then\n", "    if false then\n", "SPLIT-FAIR"},
		{"a charge is priced anew twice", "reprice", "call('HEXISTS', REFUNDS, ARGV[10]) == 1", "false", lawOnce},
		{"a charge priced anew keeps its key's spend", "reprice", "  if key then key_corrects(", "  if false then key_corrects(", lawConserve},
		{"what is cheaper now comes back to recharge alone", "reprice", "local to_bonus = muldiv(-more, from_bonus, from_recharge + from_bonus, 0)", "local to_bonus = 0", "SPLIT-FAIR"},
		{"an expired pack keeps what is free", "account", "      fill_pack(pack, -free)\n", "", lawConserve},
		{"a pack expires with what is held", "account", "      fill_pack(pack, -free)\n", "      free = pack.b\n      fill_pack(pack, -free)\n", lawHoldCover},
		{"calls of a trip do not see each other", "account", "  account = work.accounts[ACCOUNT]\n", "  account = nil\n", "NONNEG"},
		{"a request twice in a trip is not seen", "library", "      if met[id] then\n", "      if false then\n", lawOnce},
		{"a task stays in flight", "park", "if load_key(hold.key, ARGV[15]) then key_lands() end", "", lawHoldSum},
		{"a task lands again when it is charged", "charge", "key_returns(hold.cash, hold.tokens, hold.task ~= '')", "key_returns(hold.cash, hold.tokens)", lawHoldSum},
		{"a heartbeat takes a task's time and its checkpoint", "extend", " or read_hold(hold).task ~= '' then", " then", "NO-LOST"},
		{"a task of a swept call is held for by nobody", "park", "sub(marker, 1, 2) == 'x ' and left > 0", "false", "NO-LOST"},
		{"a task that has ended is held for again", "park", "if not marker or", "if true or", "STICKY"},
		{"an adjustment takes what is held", "adjust", "clamp(add(balance, change)) >= 0 and clamp(add(free, change)) >= 0", "clamp(add(balance, change)) >= 0", lawHoldCover},
	}
}

func TestSeededBugs(t *testing.T) {
	if found := runSeeded(t, seededBug{}); len(found) > 0 {
		t.Fatalf("found without any bug: %v", found)
	}
	var table strings.Builder
	for _, bug := range seededBugs() {
		found := runSeeded(t, bug)
		laws := slices.Sorted(maps.Keys(found))
		if _, caught := found[bug.breaks]; !caught {
			t.Errorf("%s: not caught by %s, but by %v", bug.name, bug.breaks, found)
		}
		laws = slices.DeleteFunc(laws, func(law string) bool { return law == bug.breaks })
		fmt.Fprintf(&table, "%-38s  %-10s  %-60s  also %s\n", bug.name, bug.breaks, found[bug.breaks], strings.Join(laws, ", "))
	}
	t.Logf("seeded bugs, and what caught them\n%s", &table)
}

// runSeeded runs all scenarios with a bug in the scripts, and returns the
// invariants that they found broken, each with what it was seen by.
func runSeeded(t *testing.T, bug seededBug) map[string]string {
	f := newFixture(t, Options{HoldTTL: 30 * time.Millisecond, Shards: 1})
	f.broken = true
	f.patch(bug.file, bug.old, bug.new)
	w := &witness{fixture: f, found: make(map[string]string)}
	for _, scenario := range []func(*witness){
		(*witness).once, (*witness).late, (*witness).lateAbandon, (*witness).lostReply, (*witness).burn, (*witness).proRata,
		(*witness).splits, (*witness).big, (*witness).admission, (*witness).corrections, (*witness).repricing, (*witness).expiry, (*witness).patience, (*witness).together, (*witness).tasks,
	} {
		w.number++
		w.id = fmt.Sprintf("s%d", w.number)
		w.play(scenario)
	}
	w.audits()
	return w.found
}

// A witness plays scenarios, each with an account of its own, and notes which invariants it saw broken.
type witness struct {
	*fixture
	number int
	id     string
	key    Credential
	found  map[string]string
}

func (w *witness) broken(law, format string, args ...any) {
	if _, known := w.found[law]; !known {
		w.found[law] = fmt.Sprintf(format, args...)
	}
}

func (w *witness) want(law string, is bool, format string, args ...any) {
	if !is {
		w.broken(law, format, args...)
	}
}

// stopped ends a scenario that cannot go on.
type stopped struct{}

func (w *witness) play(scenario func(*witness)) {
	defer func() {
		if r := recover(); r != nil && r != (stopped{}) {
			panic(r)
		}
	}()
	scenario(w)
}

// must ends the scenario when a call fails that has to succeed: a number that
// cannot be read is an amount that is not exact; anything else is something lost.
func (w *witness) must(err error) {
	switch {
	case err == nil:
		return
	case strings.Contains(err.Error(), "invalid syntax"):
		w.broken(lawExactFee, "%.120s", err)
	default:
		w.broken("NO-LOST", "%.120s", err)
	}
	panic(stopped{})
}

// open makes the scenario's account with a key.
func (w *witness) open(recharge, bonus string) {
	_, err := w.ledger.CreateAccount(w.ctx(), w.id, AccountOptions{})
	w.must(err)
	for wallet, amount := range map[Wallet]string{Recharge: recharge, Bonus: bonus} {
		if amount != "0" {
			_, err = w.ledger.TopUp(w.ctx(), Topup{Account: w.id, Wallet: wallet, Amount: w.nano(amount)})
			w.must(err)
		}
	}
	_, secret, err := w.ledger.CreateKey(w.ctx(), w.id, NewKey{})
	w.must(err)
	w.key, _ = ParseCredential(secret)
}

func (w *witness) grant(g Grant) {
	_, err := w.ledger.GrantPack(w.ctx(), g)
	w.must(err)
}

func (w *witness) reserve(c Credential, quote meter.Charge) *Hold {
	h, err := w.tryReserve(c, quote)
	w.must(err)
	return h
}

func (w *witness) read(id string) *Account {
	a, err := w.ledger.Account(w.ctx(), id)
	w.must(err)
	return a
}

func (w *witness) sweep() {
	_, err := w.ledger.Sweep(w.ctx())
	w.must(err)
}

// book settles a hold; an error is the loss of an answer that was delivered.
func (w *witness) book(h *Hold, c meter.Charge) *Receipt {
	r, err := w.ledger.Settle(w.ctx(), settlement(h, c))
	if err != nil {
		w.broken("NO-LOST", "settle: %.80s", err)
		return &Receipt{}
	}
	return r
}

func (w *witness) once() {
	w.open("10", "0")
	h := w.reserve(w.key, cost(w, "1"))
	first := w.book(h, cost(w, "1"))
	again := w.book(h, cost(w, "1"))
	w.want(lawOnce, first.ID == again.ID, "one settlement, entries %s and %s", first.ID, again.ID)
	_, err := w.ledger.Settle(w.ctx(), settlement(h, cost(w, "2")))
	w.want("STICKY", err != nil, "another charge under the same id was taken")
}

// late: the sweeper was faster, and gave the hold back.
func (w *witness) late() {
	w.open("10", "0")
	h := w.reserve(w.key, cost(w, "1"))
	w.pass(time.Hour)
	w.sweep()
	w.book(h, cost(w, "1"))
	w.want("NO-LOST", w.read(w.id).Wallets[Recharge].Balance == w.nano("9"), "a late settlement left %s", w.read(w.id).Wallets[Recharge].Balance)
}

// lateAbandon: the sweeper was faster, and charged the checkpoint.
func (w *witness) lateAbandon() {
	w.open("10", "0")
	h := w.reserve(w.key, cost(w, "2"))
	w.must(w.ledger.Extend(w.ctx(), Checkpoint{settlement(h, cost(w, "1"))}))
	w.pass(time.Hour)
	w.sweep()
	w.book(h, cost(w, "2"))
}

// tasks: nobody asks for one, though a heartbeat came after it, and one whose hold was swept; one is asked for, and parked again by a replay.
func (w *witness) tasks() {
	w.open("10", "0")
	for i, before := range []func(*Hold){
		func(*Hold) {},
		func(*Hold) { w.pass(time.Hour); w.sweep() },
	} {
		h := w.reserve(w.key, cost(w, "1"))
		before(h)
		w.must(w.ledger.Park(w.ctx(), task(h, fmt.Sprint(w.id, i), cost(w, "1"))))
		_ = w.ledger.Extend(w.ctx(), Checkpoint{settlement(h, meter.Charge{})})
	}
	h := w.reserve(w.key, cost(w, "1"))
	for range 2 {
		w.must(w.ledger.Park(w.ctx(), task(h, w.id, cost(w, "1"))))
		w.book(h, cost(w, "1"))
	}
	w.must(w.ledger.Park(w.ctx(), task(h, w.id, cost(w, "1"))))
	w.want("STICKY", w.read(w.id).Held == w.nano("2"), "two tasks of 1 that have not ended, held %s", w.read(w.id).Held)
	w.pass(defaultTaskTTL)
	w.sweep()
	w.want("NO-LOST", w.read(w.id).Wallets[Recharge].Balance == w.nano("7"), "three tasks of 1 left %s of 10", w.read(w.id).Wallets[Recharge].Balance)
}

func (w *witness) lostReply() {
	w.open("10", "0")
	r := w.reservation(w.key, cost(w, "1"))
	for range 2 {
		_, err := w.ledger.Reserve(w.ctx(), r)
		w.want("STICKY", err == nil, "reserve: %.80v", err)
	}
	w.want("STICKY", w.read(w.id).Held == w.nano("1"), "one hold of 1, held %s", w.read(w.id).Held)
}

func (w *witness) burn() {
	w.open("10", "0")
	soon, later := w.ledger.now().Add(time.Hour), w.ledger.now().Add(2*time.Hour)
	w.grant(Grant{Account: w.id, Quantity: 10, Priority: 2, ExpiresAt: &soon})
	w.grant(Grant{Account: w.id, Quantity: 10, Priority: 1, ExpiresAt: &later})
	w.grant(Grant{Account: w.id, Quantity: 10, Priority: 1, ExpiresAt: &soon})
	got := paid(w.book(w.reserve(w.key, charge(w, "input 15 0.001")), charge(w, "input 15 0.001")).Paid)
	w.want("BURN-ORDER", got == "pack:p3 10, pack:p2 5", "%s", got)
}

func (w *witness) proRata() {
	w.open("10", "0")
	w.grant(Grant{Account: w.id, Quantity: 3})
	used := charge(w, "input 5 0.001", "output 2 0.001")
	r := w.book(w.reserve(w.key, used), used)
	if len(r.Lines) == 2 {
		w.want("SPLIT-FAIR", r.Lines[0].PackQuantity == 2, "a pack of 3 covers %d of 5 and %d of 2", r.Lines[0].PackQuantity, r.Lines[1].PackQuantity)
	}
}

// splits books charges on wallets of odd balances, above the hold and into debt, too.
func (w *witness) splits() {
	own := w.id
	for i, c := range []struct{ recharge, bonus, hold, fee string }{
		{"5", "5", "0.000000001", "0.000000001"}, {"2", "1", "1", "1"}, {"7.3", "2.7", "10", "10"}, {"0.3", "0.1", "0.1", "0.7"},
	} {
		w.id = fmt.Sprintf("%s.%d", own, i)
		w.open(c.recharge, c.bonus)
		r := w.book(w.reserve(w.key, cost(w, c.hold)), cost(w, c.fee))
		_, bonus, recharge := r.PaidBy()
		fee, hasBonus := w.nano(c.fee), w.nano(c.bonus)
		w.want("SPLIT-SUM", recharge+bonus == fee, "of %s: recharge %s, bonus %s", c.fee, recharge, bonus)
		w.want("SPLIT-CAP", bonus <= hasBonus, "bonus pays %s of %s", bonus, c.bonus)
		exact := new(big.Int).Mul(big.NewInt(int64(fee)), big.NewInt(int64(hasBonus)))
		exact.Quo(exact, big.NewInt(int64(w.nano(c.recharge)+hasBonus)))
		w.want("SPLIT-FAIR", min(exact.Int64(), int64(hasBonus)) == int64(bonus), "of %s bonus pays %s", c.fee, bonus)
	}
}

// big books what a double prints as 1e+14.
func (w *witness) big() {
	w.open("1000000", "0")
	h, err := w.tryReserve(w.key, cost(w, "100000"))
	if err != nil {
		w.broken(lawExactFee, "reserve: %.80s", err)
		return
	}
	r, err := w.ledger.Settle(w.ctx(), settlement(h, cost(w, "100000")))
	if err != nil {
		w.broken(lawExactFee, "settle: %.120s", err)
		return
	}
	w.want(lawExactFee, r.FeeDue() == w.nano("100000"), "fee %s", r.FeeDue())
}

func (w *witness) admission() {
	own := w.id
	w.open("2", "0")
	admitted := w.admitted(cost(w, "1"))
	w.want("NONNEG", admitted == 2, "a balance of 2 admits %d calls of 1", admitted)
	w.id = own + ".pack"
	w.open("0", "0")
	w.grant(Grant{Account: w.id, Quantity: 2})
	admitted = w.admitted(charge(w, "input 1 0.001"))
	w.want("NONNEG", admitted == 2, "a pack of 2 admits %d calls of 1", admitted)
}

// admitted is how many of five calls are.
func (w *witness) admitted(quote meter.Charge) (n int) {
	for range 5 {
		if _, err := w.tryReserve(w.key, quote); err == nil {
			n++
		}
	}
	return n
}

func (w *witness) corrections() {
	w.open("6", "4")
	r := w.book(w.reserve(w.key, cost(w, "1")), cost(w, "1"))
	amount := w.nano("0.5")
	refund := Refund{Account: w.id, RequestID: r.RequestID, Amount: &amount, Reason: "x"}
	e, err := w.ledger.Refund(w.ctx(), refund)
	if err == nil {
		w.want("SPLIT-FAIR", paid(e.Paid) == "bonus 0.2, recharge 0.3", "refunded %s", paid(e.Paid))
	}
	for range 2 {
		refund.Amount = nil
		_, err = w.ledger.Refund(w.ctx(), refund)
	}
	w.want(lawRefundCap, err != nil, "the same charge is refunded again and again")
	_, err = w.tryReserve(w.key, cost(w, "9.5"))
	w.want(lawRefundCap, err == nil, "what was refunded is not there: %.80v", err)
	_, err = w.ledger.Adjust(w.ctx(), Adjustment{Account: w.id, Amount: w.nano("-1"), Reason: "x"})
	a := w.read(w.id)
	w.want(lawHoldCover, err != nil, "held %s of %s and %s", a.Held, a.Wallets[Recharge].Balance, a.Wallets[Bonus].Balance)
}

// repricing books a charge at half of its price, and again by somebody who has not seen that, long after.
func (w *witness) repricing() {
	w.open("6", "4")
	r := w.book(w.reserve(w.key, cost(w, "1")), cost(w, "1"))
	half := cost(w, "0.5")
	lines, fee, err := atPrice(&r.Entry, &half)
	w.must(err)
	raw, err := w.ledger.entryFrom(w.ctx(), r.Shard, r.seq())
	w.must(err)
	for i := range 2 {
		again := &repricing{Repricing: Repricing{Reason: "x"}, ledger: w.ledger, shard: r.Shard}
		out := &Repriced{Charge: &r.Entry, Fee: fee}
		if err := again.book(w.ctx(), raw, out, &half, lines); err == nil && i == 0 {
			w.want("SPLIT-FAIR", paid(out.Entry.Paid) == "bonus 0.2, recharge 0.3", "half of it is paid by %s", paid(out.Entry.Paid))
		}
		w.must(w.server.Client().Del(w.ctx(), w.markerOf(&Hold{ID: r.RequestID, Account: w.id})).Err())
	}
}

func (w *witness) expiry() {
	w.open("10", "0")
	at := w.ledger.now().Add(time.Minute)
	w.grant(Grant{Account: w.id, Quantity: 100, ExpiresAt: &at})
	h := w.reserve(w.key, charge(w, "input 60 0.001"))
	w.must(w.ledger.Extend(w.ctx(), Checkpoint{settlement(h, charge(w, "input 60 0.001"))}))
	w.pass(2 * time.Minute)
	// Packs alone: the hold is past its short life, and stays for this.
	var swept Swept
	w.must(w.ledger.expireShard(w.ctx(), 0, &swept))
	w.audits()
	w.book(h, charge(w, "input 20 0.001"))
	w.must(w.ledger.expireShard(w.ctx(), 0, &swept))
	packs, err := w.ledger.Packs(w.ctx(), w.id)
	w.must(err)
	w.want(lawConserve, packs[0].Remaining == 0, "%d are left of an expired pack", packs[0].Remaining)
}

// together sends calls in one trip: one more than the balance is for, and one settlement twice.
func (w *witness) together() {
	w.open("3", "0")
	h := w.reserve(w.key, cost(w, "1"))
	settle := settlement(h, cost(w, "1"))
	calls := []*scriptCall{w.settleCall(settle), w.settleCall(settle)}
	for range 3 {
		calls = append(calls, w.reserveCall(w.reservation(w.key, cost(w, "1"))))
	}
	got := w.trip(calls...)
	w.want("NONNEG", slices.Equal(got[2:], []string{"OK", "OK", "NO"}), "a balance of 2 in a trip of three calls of 1: %v", got[2:])
	w.want(lawOnce, slices.Equal(got[:2], []string{"OK", "SAME"}), "a settlement twice in a trip: %v", got[:2])
}

// patience waits longer than a hold lives, in Redis's own time.
func (w *witness) patience() {
	w.open("10", "0")
	w.reserve(w.key, cost(w, "1"))
	time.Sleep(60 * time.Millisecond)
}

// audits looks at the books of all scenarios.
func (w *witness) audits() {
	report, err := w.ledger.Audit(w.ctx(), "")
	if err != nil {
		w.broken(lawChain, "audit: %.80s", err)
		return
	}
	for _, d := range report.Differences {
		w.broken(d.Law, "audit: %s: %s; %s", d.What, d.Journal, d.Ledger)
	}
}
