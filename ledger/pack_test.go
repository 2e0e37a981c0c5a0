package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// The worked example: 300 tokens are left, 1000 go in and 500 come out.
func TestPackCoversPartProRata(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 300})
		used := charge(f, "input 1000 2/1M", "output 500 8/1M")
		hold := f.reserve(key, used)
		if hold.Cash != f.nano("0.0048") || paid(hold.Packs) != "pack:p1 300" {
			f.Errorf("hold %+v", hold)
		}
		f.pack("acme", "p1", 300, 0)
		receipt := f.settle(hold, used)
		if got := paid(receipt.Paid); got != "pack:p1 300, recharge 0.0048" {
			f.Errorf("paid %s", got)
		}
		input, output := receipt.Lines[0], receipt.Lines[1]
		if input.PackQuantity != 200 || input.Amount != f.nano("0.0016") || output.PackQuantity != 100 || output.Amount != f.nano("0.0032") {
			f.Errorf("lines %+v", receipt.Lines)
		}
		f.pack("acme", "p1", 0, 0)
		f.balances("acme", "0.9952 0 0")
	})
}

func TestPackPaysWhatIsUsed(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000})
		f.grant(Grant{Account: "acme", Unit: "image", Quantity: 2, Models: []string{"glm-*"}})

		hold := f.reserve(key, charge(f, "input 100 2/1M", "output 400 8/1M", "image 1 0.06"))
		if paid(hold.Packs) != "pack:p1 500, pack:p2 1" || hold.Cash != 0 {
			f.Errorf("hold %+v", hold)
		}
		if !hold.Standing.HasPacks || hold.Standing.PackFree != 500 {
			f.Errorf("standing %+v", hold.Standing)
		}
		receipt := f.settle(hold, charge(f, "input 100 2/1M", "output 20 8/1M", "image 1 0.06"))
		if got := paid(receipt.Paid); got != "pack:p1 120, pack:p2 1" || *receipt.Fee != 0 {
			f.Errorf("paid %s, fee %s", got, receipt.Fee)
		}
		f.pack("acme", "p1", 880, 880)
		f.pack("acme", "p2", 1, 1)

		// Used more than was held: the free rest of the pack pays first, then cash.
		receipt = f.settle(f.reserve(key, charge(f, "input 80 2/1M")), charge(f, "input 1080 2/1M"))
		if got := paid(receipt.Paid); got != "pack:p1 880, recharge 0.0004" || receipt.Overrun != f.nano("0.0004") {
			f.Errorf("paid %s, overrun %s", got, receipt.Overrun)
		}
		f.balances("acme", "0.9996 0 0")
	})
}

// A pack for one of the units of a request is a pack that fits it, whichever unit that is: the standing says so, and what
// is left of it, and of tokens first.
func TestStandingKnowsPacksOfEachUnit(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		standing := func(want string, lines ...string) {
			f.Helper()
			hold := f.reserve(key, charge(f, lines...))
			atHold := hold.Standing
			atEnd := f.settle(hold, charge(f, lines...)).Standing
			for _, s := range []Standing{atHold, atEnd} {
				if got := fmt.Sprint(s.HasPacks, " ", s.PackFree); got != want {
					f.Errorf("%v: standing %s, want %s", lines, got, want)
				}
			}
		}
		f.grant(Grant{Account: "acme", Unit: "page", Quantity: 5})
		standing("false 0", "input 10 2/1M", "search 1 0.01")
		f.grant(Grant{Account: "acme", Unit: "search", Quantity: 9})
		standing("true 8", "input 10 2/1M", "search 1 0.01")
		standing("true 7", "search 1 0.01", "input 10 2/1M")
		f.grant(Grant{Account: "acme", Quantity: 100})
		standing("true 90", "search 1 0.01", "input 10 2/1M")
	})
}

// What packs pay of the lines of a charge, and what is then due of each.
func TestPacksPayLineByLine(t *testing.T) {
	before := func(quantity int64) Grant { return Grant{Quantity: quantity} }
	after := func(quantity int64) Grant { return Grant{Quantity: quantity, Order: AfterBalance} }
	cases := []struct {
		name    string
		balance string
		pack    Grant
		lines   []string
		paid    string
	}{
		{"what is left is rounded half up", "1", before(2), []string{"input 3 0.0005/1M"}, "pack:p1 2, recharge 0.000000001"},
		{"after the wallets, the least of which the rest is what they have", "0.000000005", after(100), []string{"input 100 0.0001/1M"}, "pack:p1 46, recharge 0.000000005"},
		{"also where the pack has little more", "0.000000005", after(50), []string{"input 100 0.0001/1M"}, "pack:p1 46, recharge 0.000000005"},
		{"in debt, the least of which the rest is nothing", "-1", after(100), []string{"input 100 0.0001/1M"}, "pack:p1 96"},
		{"beside a line that no pack pays", "0.003", after(5000), []string{"input 1000 2/1M", "call 1 0.002"}, "pack:p1 500, recharge 0.003"},
		{"no more than the quantity, though more is due", "0", after(5000), []string{"input 1000 2/1M", "call 1 0.002"}, "pack:p1 1000, recharge 0.002"},
	}
	onRealRedis(t, func(f *fixture) {
		for i, c := range cases {
			id := fmt.Sprint("acme", i)
			f.account(id, strings.TrimPrefix(c.balance, "-"), "0", AccountOptions{})
			key := f.key(id, KeyLimits{})
			book := func(actual meter.Charge) *Receipt {
				return f.settle(&Hold{ID: newID("req_", f.ledger.now()), Account: id, Key: keyID(id, key.suffix())}, actual)
			}
			if strings.HasPrefix(c.balance, "-") {
				book(cost(f, "2"))
			}
			c.pack.Account = id
			f.grant(c.pack)
			if got := paid(book(charge(f, c.lines...)).Paid); got != c.paid {
				f.Errorf("%s: paid %s, want %s", c.name, got, c.paid)
			}
		}
	})
}

// A line of a quote can come to some nano more than its quantity at its rate, for what the parts of the bill lose by being rounded
// apart: these are held with what packs leave of the line.
func TestPackCoversALineThatIsAboveItsRate(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		for _, c := range []struct {
			lines []string
			held  string
		}{
			{[]string{"input 250 0.001"}, "pack:p1 100 and 0.150000003"},
			{[]string{"input 100 0.001", "call 1 0.01"}, "pack:p1 100 and 0.01"},          // nothing is left of the line
			{[]string{"input 0 0.01", "output 100 0.001"}, "pack:p1 100 and 0.000000003"}, // a pack pays for a quantity
		} {
			quote := charge(f, c.lines...)
			quote.Lines[0].Amount += 3
			quote.Fee += 3
			hold := f.reserve(key, quote)
			if got := paid(hold.Packs) + " and " + hold.Cash.String(); got != c.held {
				f.Errorf("%v: held %s, want %s", c.lines, got, c.held)
			}
			f.release(hold)
		}
	})
}

// A line of a quote can come to far less than its quantity at its rate, where its tier ends: so much less that the product is
// beyond what a Lua number holds.
func TestPackCoversPartOfALineThatItsTierBounds(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1000", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000})
		for _, quantity := range []int64{1500, 100_000_000} {
			quote := charge(f, "output 199 1")
			quote.Lines[0].Quantity = quantity
			hold := f.reserve(key, quote)
			if hold.Cash != f.nano("199") || paid(hold.Packs) != "pack:p1 1000" {
				f.Errorf("%d: hold %+v", quantity, hold)
			}
			f.release(hold)
		}
	})
}

// A settlement takes from packs what is free and its own, never what others hold.
func TestPackHeldByOthersIsNotTouched(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000})
		mine, other := f.reserve(key, charge(f, "input 400 2/1M")), f.reserve(key, charge(f, "input 600 2/1M"))
		receipt := f.settle(mine, charge(f, "input 900 2/1M"))
		if got := paid(receipt.Paid); got != "pack:p1 400, recharge 0.001" {
			f.Errorf("paid %s", got)
		}
		f.pack("acme", "p1", 600, 0)
		if got := paid(f.settle(other, charge(f, "input 600 2/1M")).Paid); got != "pack:p1 600" {
			f.Errorf("paid %s", got)
		}
	})
}

func TestPackFreeOfChargeRequestsDrawNothing(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 1000})
	key := f.key("acme", KeyLimits{})
	receipt := f.settle(f.reserve(key, charge(f, "input 400 0")), charge(f, "input 400 0"))
	if len(receipt.Paid) != 0 {
		f.Errorf("paid %s", paid(receipt.Paid))
	}
	// Nor does one of which nobody hears again.
	hold := f.reserve(key, charge(f, "input 400 0"))
	f.abandoned(hold, charge(f, "input 400 0"))
	f.pack("acme", "p1", 1000, 1000)
}

// Packs after the balance pay only for what the wallets cannot.
func TestPackAfterBalance(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "0.002", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 5000, Order: AfterBalance})

		if hold := f.reserve(key, charge(f, "input 1000 2/1M")); hold.Cash != f.nano("0.002") || len(hold.Packs) != 0 {
			f.Errorf("the wallets can pay, but the hold is %+v", hold)
		} else {
			f.release(hold)
		}
		// 2500 tokens cost 0.005; the wallets pay 1000 of them, the pack the least that brings the rest down.
		used := charge(f, "input 2500 2/1M")
		hold := f.reserve(key, used)
		if hold.Cash != f.nano("0.002") || paid(hold.Packs) != "pack:p1 1500" || hold.Standing.PackFree != 3500 {
			f.Errorf("hold %+v", hold)
		}
		if got := paid(f.settle(hold, used).Paid); got != "pack:p1 1500, recharge 0.002" {
			f.Errorf("paid %s", got)
		}
		// With nothing left in the wallets, the pack pays all there is, and no more is admitted than it has.
		if got := paid(f.settle(f.reserve(key, charge(f, "input 3000 2/1M")), charge(f, "input 3000 2/1M")).Paid); got != "pack:p1 3000" {
			f.Errorf("paid %s", got)
		}
		no := f.refused(key, charge(f, "input 501 2/1M"))
		_ = isReason(f, no, InsufficientFunds, "balance")
		if no.PackFree != 500 || no.Required != 2000 {
			f.Errorf("refusal %+v", no)
		}
	})
}

// BURN-ORDER: priority, then soonest expiry, then narrower scope, then older.
func TestPackOrder(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		soon, later := time.Now().Add(time.Hour), time.Now().Add(48*time.Hour)
		f.account("acme", "0", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		grants := []Grant{
			{Models: nil},                                    // p1: all models
			{Models: []string{"glm-4*"}},                     // p2: a pattern
			{Models: []string{"*", "glm-4"}},                 // p3: names it exactly
			{Models: []string{"glm-*"}, ExpiresAt: &later},   // p4
			{Models: nil, ExpiresAt: &soon},                  // p5: expires first
			{Models: nil, Priority: -5},                      // p6: lowest number, so first
			{Models: []string{"gl*"}},                        // p7: a shorter pattern than p2
			{Models: []string{"glm-4"}},                      // p8: as narrow as p3, but younger
			{Models: []string{"embedding-*"}, Priority: -9},  // p9: another model
			{Models: nil, Unit: "image", Priority: -9},       // p10: another unit
			{Models: nil, Priority: -9, Order: AfterBalance}, // p11: after the wallets
			{Models: nil, Priority: 1, ExpiresAt: &soon},     // p12: highest number, so last
			{Models: []string{"*"}},                          // p13: a pattern, the shortest
		}
		for _, g := range grants {
			g.Account, g.Quantity = "acme", 10
			f.grant(g)
		}
		want := []string{"p6", "p5", "p4", "p3", "p8", "p2", "p7", "p13", "p1", "p12", "p11"}
		ask := charge(f, fmt.Sprintf("input %d 2/1M", 10*len(want)))
		hold := f.reserve(key, ask)
		for i, p := range hold.Packs {
			if p.From != "pack:"+want[i] {
				f.Errorf("%d. pays %s, want %s: %s", i+1, p.From, want[i], paid(hold.Packs))
			}
		}
		f.settle(hold, ask)
		f.pack("acme", "p9", 10, 10)
		f.pack("acme", "p10", 10, 10)
	})
}

func TestPackExpiry(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		expires := time.Now().Add(time.Hour)
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000, ExpiresAt: &expires})
		later := expires.Add(24 * time.Hour)
		f.grant(Grant{Account: "acme", Quantity: 50, ExpiresAt: &later})
		f.grant(Grant{Account: "acme", Quantity: 30})
		hold := f.reserve(key, charge(f, "input 400 2/1M"))
		f.pass(2 * time.Hour)
		if status := f.read("acme").Packs[0].Status; status != "expired" {
			f.Errorf("status %s, want expired", status)
		}
		if late := f.reserve(key, charge(f, "input 100 2/1M")); paid(late.Packs) != "pack:p2 50, pack:p3 30" || late.Cash != f.nano("0.00004") {
			f.Errorf("held of %s, and %s: want of those that have not expired", paid(late.Packs), late.Cash)
		} else {
			f.settle(late, charge(f, "input 100 2/1M"))
		}
		// The hold was placed in time: the pack pays for it, overrun and all.
		if got := paid(f.settle(hold, charge(f, "input 450 2/1M")).Paid); got != "pack:p1 450" {
			f.Errorf("paid %s", got)
		}
	})
}

func TestPackGrantedLaterDoesNotPay(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, charge(f, "input 100 2/1M"))
	f.grant(Grant{Account: "acme", Quantity: 1000})
	if got := paid(f.settle(hold, charge(f, "input 100 2/1M")).Paid); got != "recharge 0.0002" {
		f.Errorf("paid %s", got)
	}
}

// A revoked pack gives up what is free at once, what is held when it comes back.
func TestPackRevocation(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		f.grant(Grant{Account: "acme", Quantity: 1000})
		settled, released := f.reserve(key, charge(f, "input 300 2/1M")), f.reserve(key, charge(f, "input 200 2/1M"))
		entry, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "contract ended")
		f.must(err)
		if *entry.Quantity != -500 || entry.Reason != "contract ended" || after(entry, "pack:p1") != int64(500) {
			f.Errorf("entry %+v", entry)
		}
		again, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "contract ended")
		f.must(err)
		if again.ID != entry.ID {
			f.Errorf("revoked again: %s, want %s", again.ID, entry.ID)
		}
		f.pack("acme", "p1", 500, 0)
		if hold := f.reserve(key, charge(f, "input 10 2/1M")); len(hold.Packs) != 0 || hold.Standing.HasPacks {
			f.Errorf("a revoked pack is drawn on: %+v", hold)
		} else {
			f.release(hold)
		}
		if got := paid(f.settle(settled, charge(f, "input 250 2/1M")).Paid); got != "pack:p1 250" {
			f.Errorf("paid %s", got)
		}
		f.pack("acme", "p1", 200, 0)
		f.release(released)
		f.pack("acme", "p1", 0, 0)
		withdrawn := int64(0)
		for _, e := range f.entries("acme", TypeRevoke) {
			withdrawn += *e.Quantity
		}
		if withdrawn != -750 {
			f.Errorf("withdrawn %d, want -750", withdrawn)
		}
		if status := f.read("acme").Packs[0].Status; status != "revoked" {
			f.Errorf("status %s", status)
		}
		_, err = f.ledger.RevokePack(f.ctx(), "acme", "p2", "")
		wants(f, err, ErrNotFound)
	})
}

// So it is when the call whose hold comes back makes its trip behind one that has looked at the pack already.
func TestPackRevocationInATrip(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	holder := f.reserve(key, charge(f, "input 100 2/1M"))
	other := f.reserve(key, charge(f, "input 10 2/1M")) // the pack could pay, but all of it is held
	_, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "contract ended")
	f.must(err)
	got := f.trip(f.settleCall(settlement(other, charge(f, "input 10 2/1M"))), f.releaseCall(holder))
	if !slices.Equal(got, []string{"OK", "OK"}) {
		t.Errorf("the trip brought %v", got)
	}
	f.pack("acme", "p1", 0, 0)
}

// The list of packs that fit is kept by unit and model; whatever changes the
// set of packs must make it anew.
func TestPackScopeIsRenewed(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		use := func(quantity int, want string) *Receipt {
			f.Helper()
			c := charge(f, fmt.Sprintf("input %d 2/1M", quantity))
			hold := f.reserve(key, c)
			receipt := f.settle(hold, c)
			if got := paid(receipt.Paid); got != want || hold.Standing.HasPacks != strings.Contains(want, "pack") {
				f.Errorf("paid %s, want %s; a pack fits: %v", got, want, hold.Standing.HasPacks)
			}
			return receipt
		}
		use(100, "recharge 0.0002")
		f.grant(Grant{Account: "acme", Quantity: 150})
		use(100, "pack:p1 100")
		f.grant(Grant{Account: "acme", Quantity: 150, Priority: -1})
		use(100, "pack:p2 100")
		last := use(100, "pack:p2 50, pack:p1 50")
		use(100, "recharge 0.0002")
		f.refund(last.RequestID, "")
		use(100, "pack:p2 50, pack:p1 50")
		use(100, "recharge 0.0002")
		f.grant(Grant{Account: "acme", Quantity: 1000})
		use(100, "pack:p3 100")
		_, err := f.ledger.RevokePack(f.ctx(), "acme", "p3", "")
		f.must(err)
		use(100, "recharge 0.0002")
	})
}

func TestGrantIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	// The end of the year 9999 in New York: a pack that expires then could be shown by nobody.
	year10000 := time.Date(10000, 1, 1, 0, 0, 0, -1, time.FixedZone("", -5*3600))
	for name, g := range map[string]Grant{
		"no quantity": {}, "negative": {Quantity: -1}, "too much": {Quantity: maxPackQuantity + 1},
		"unit": {Quantity: 1, Unit: "output"}, "order": {Quantity: 1, Order: "first"},
		"pattern": {Quantity: 1, Models: []string{"a b"}}, "pattern that is not UTF-8": {Quantity: 1, Models: []string{"a\xff"}}, "priority": {Quantity: 1, Priority: maxPriority + 1},
		"ref": {Quantity: 1, Ref: "a\tb"}, "expiry": {Quantity: 1, ExpiresAt: &year10000},
		"expiry in 1970": {Quantity: 1, ExpiresAt: new(time.UnixMilli(0))}, // 0 is never
	} {
		g.Account = "acme"
		if _, err := f.ledger.GrantPack(f.ctx(), g); err == nil {
			f.Errorf("%s: granted", name)
		} else {
			wants(f, err, ErrInvalid)
		}
	}
	_, err := f.ledger.GrantPack(f.ctx(), Grant{Account: "nobody", Quantity: 1})
	wants(f, err, ErrNotFound)
}

// A pack that holds more than it has, as after a loss in Redis, has nothing to withdraw, and takes nothing from what others pay.
func TestPackThatHoldsMoreThanItHas(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	f.grant(Grant{Account: "acme", Quantity: 50})
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")+":packs", "p1:b", "40", "p1:h", "60").Err())
	used := charge(t, "input 60 0.001")
	if got := paid(f.settle(f.reserve(f.key("acme", KeyLimits{}), used), used).Paid); got != "pack:p2 50, recharge 0.01" {
		t.Errorf("paid %s", got)
	}
	e, err := f.ledger.RevokePack(f.ctx(), "acme", "p1", "")
	f.must(err)
	if *e.Quantity != 0 {
		t.Errorf("withdrawn were %d", *e.Quantity)
	}
}

// A charge may be paid by more packs than a command of Redis is given at once.
func TestManyPacks(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.patch("lib", "MOST_ARGS = 4000", "MOST_ARGS = 4")
	f.account("acme", "10", "0", AccountOptions{})
	const packs = 11
	for range packs {
		f.grant(Grant{Account: "acme", Quantity: 1})
	}
	charge := charge(t, fmt.Sprintf("input %d 2/1M", packs))
	h := f.reserve(f.key("acme", KeyLimits{}), charge)
	r := f.settle(h, charge)
	if len(r.Paid) != packs || *r.Fee != 0 {
		t.Errorf("paid by %d packs, and %s in cash", len(r.Paid), r.Fee)
	}
	for i, p := range r.Paid { // as they were granted
		if want := fmt.Sprint("pack:p", i+1); p.From != want {
			t.Errorf("%d. pays %s, want %s", i+1, p.From, want)
		}
	}
}

// What packs fit is remembered by names of models, which clients make up: of many, few are remembered.
func TestManyModels(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.patch("account", "SCOPE_LIMIT = 1000", "SCOPE_LIMIT = 4")
	f.account("acme", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	key := f.key("acme", KeyLimits{})
	for i := range 11 {
		r := f.reservation(key, charge(t, "input 1 2/1M"))
		r.Model = fmt.Sprint("model-", i)
		hold, err := f.ledger.Reserve(f.ctx(), r)
		f.must(err)
		if got := paid(hold.Packs); got != "pack:p1 1" {
			t.Errorf("%s: held of %q", r.Model, got)
		}
	}
	if n := f.server.Client().HLen(f.ctx(), f.ledger.accountKey(0, "acme")+":scope").Val(); n > 4 {
		t.Errorf("%d are remembered", n)
	}
}

// Packs are listed in the order in which they were granted, the tenth behind the ninth.
func TestPacksAreListedAsGranted(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	for range 11 {
		f.grant(Grant{Account: "acme", Quantity: 1})
	}
	for i, p := range f.read("acme").Packs {
		if packNumber(p.ID) != int64(i+1) {
			t.Errorf("pack %s is number %d", p.ID, i+1)
		}
	}
}
