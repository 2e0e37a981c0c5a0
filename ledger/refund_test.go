package ledger

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// paidCall settles a call that pack p1, bonus and recharge pay: 100 units, 0.36 and 0.54.
func (f *fixture) paidCall(key Credential) *Receipt {
	f.Helper()
	hold := f.reserve(key, charge(f, "input 1000 0.001"))
	r := f.settle(hold, charge(f, "input 1000 0.001"))
	if got := paid(r.Paid); got != "pack:p1 100, bonus 0.36, recharge 0.54" {
		f.Fatalf("paid %s", got)
	}
	return r
}

func (f *fixture) refundFixture() (Credential, *Receipt) {
	f.Helper()
	f.account("acme", "6", "4", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	key := f.key("acme", KeyLimits{SpendTotal: f.nano("100"), SpendDaily: f.nano("100")})
	return key, f.paidCall(key)
}

func (f *fixture) tryRefund(request, amount string) (*Entry, error) {
	f.Helper()
	r := Refund{Account: "acme", RequestID: request, Reason: "wrong answer"}
	if amount != "" {
		n := f.nano(amount)
		r.Amount = &n
	}
	return f.ledger.Refund(f.ctx(), r)
}

func (f *fixture) refund(request, amount string) *Entry {
	f.Helper()
	e, err := f.tryRefund(request, amount)
	f.must(err)
	return e
}

// says checks that err is of a kind and says something.
func (f *fixture) says(err, kind error, text string) {
	f.Helper()
	wants(f, err, kind)
	if err == nil || !strings.Contains(err.Error(), text) {
		f.Errorf("error %v, want it to say %q", err, text)
	}
}

func TestRefundWhole(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		key, receipt := f.refundFixture()
		e := f.refund(receipt.RequestID, "")
		if got := paid(e.Paid); got != "pack:p1 100, bonus 0.36, recharge 0.54" || *e.Fee != f.nano("0.9") {
			f.Errorf("refunded %s, fee %s", got, e.Fee)
		}
		if e.Type != TypeRefund || e.RequestID != receipt.RequestID || e.Charge != receipt.ID || e.Reason != "wrong answer" ||
			e.Key != receipt.Key || e.Model != "glm-4" || e.Endpoint != "chat" || after(e, "pack:p1") != int64(100) {
			f.Errorf("entry %+v", e)
		}
		f.balances("acme", "6 4 0")
		f.pack("acme", "p1", 100, 100)
		if use := f.keyUse(key); use.SpendTotal != 0 || use.SpendDaily != 0 || use.Tokens != 0 || use.Requests != 0 {
			f.Errorf("use %+v", use)
		}
		_, err := f.tryRefund(receipt.RequestID, "")
		f.says(err, ErrInvalid, "nothing left to refund")
		_, err = f.tryRefund(receipt.RequestID, "0.01")
		f.says(err, ErrInvalid, "nothing left to refund")
		again, err := f.ledger.Receipt(f.ctx(), "acme", receipt.RequestID)
		f.must(err)
		if again.ID != receipt.ID {
			f.Errorf("the receipt is now %s", again.ID)
		}
		f.settle(f.reserve(key, charge(f, "input 50 0.001")), charge(f, "input 50 0.001"))
		f.pack("acme", "p1", 50, 50) // it pays again
	})
}

func TestRefundInParts(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		key, receipt := f.refundFixture()
		for _, part := range []struct{ amount, want string }{
			{"0.000000001", "recharge 0.000000001"}, // bonus's share, 0.4 nano, rounded down
			{"0.000000002", "bonus 0.000000001, recharge 0.000000001"},
			{"0.5", "bonus 0.2, recharge 0.3"},
		} {
			e := f.refund(receipt.RequestID, part.amount)
			if got := paid(e.Paid); got != part.want || *e.Fee != f.nano(part.amount) {
				f.Errorf("%s: refunded %s, fee %s; want %s", part.amount, got, e.Fee, part.want)
			}
		}
		f.pack("acme", "p1", 0, 0)
		if use := f.keyUse(key); use.SpendTotal != f.nano("0.399999997") || use.Tokens != 1000 || use.Requests != 1 {
			f.Errorf("use %+v", use)
		}
		_, err := f.tryRefund(receipt.RequestID, "0.4")
		f.says(err, ErrInvalid, "at most 0.399999997 is left")
		for _, rest := range []struct{ amount, want string }{
			{"0.399999997", "bonus 0.159999999, recharge 0.239999998"}, // just what is left
			{"", "pack:p1 100"},
		} {
			if got := paid(f.refund(receipt.RequestID, rest.amount).Paid); got != rest.want {
				f.Errorf("%q: refunded %s, want %s", rest.amount, got, rest.want)
			}
		}
		f.balances("acme", "6 4 0")
		f.pack("acme", "p1", 100, 100)
		if use := f.keyUse(key); use.SpendTotal != 0 || use.Tokens != 0 || use.Requests != 0 {
			f.Errorf("use %+v", use)
		}
	})
}

func TestRefundIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	key, receipt := f.refundFixture()
	open := f.reserve(key, cost(f, "1"))
	released := f.reserve(key, cost(f, "1"))
	f.release(released)
	f.account("other", "1", "0", AccountOptions{})
	negative, zero := meter.Nano(-1), meter.Nano(0)
	for name, c := range map[string]struct {
		refund Refund
		kind   error
	}{
		"no reason":     {Refund{Account: "acme", RequestID: receipt.RequestID, Reason: " "}, ErrInvalid},
		"nothing":       {Refund{Account: "acme", RequestID: receipt.RequestID, Reason: "x", Amount: &zero}, ErrInvalid},
		"negative":      {Refund{Account: "acme", RequestID: receipt.RequestID, Reason: "x", Amount: &negative}, ErrInvalid},
		"in flight":     {Refund{Account: "acme", RequestID: open.ID, Reason: "x"}, ErrNotFound},
		"released":      {Refund{Account: "acme", RequestID: released.ID, Reason: "x"}, ErrNotFound},
		"never":         {Refund{Account: "acme", RequestID: NewRequestID(), Reason: "x"}, ErrNotFound},
		"no id":         {Refund{Account: "acme", RequestID: "7", Reason: "x"}, ErrNotFound},
		"other account": {Refund{Account: "other", RequestID: receipt.RequestID, Reason: "x"}, ErrNotFound},
		"ref":           {Refund{Account: "acme", RequestID: receipt.RequestID, Reason: "x", Ref: "a\n"}, ErrInvalid},
	} {
		if _, err := f.ledger.Refund(f.ctx(), c.refund); err == nil {
			t.Errorf("%s: booked", name)
		} else {
			wants(t, err, c.kind)
		}
	}
	free := f.settle(f.reserve(key, meter.Charge{}), meter.Charge{})
	_, err := f.tryRefund(free.RequestID, "")
	f.says(err, ErrInvalid, "nothing left to refund")
}

func TestRefundByReference(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		_, receipt := f.refundFixture()
		amount := f.nano("0.1")
		r := Refund{Account: "acme", RequestID: receipt.RequestID, Amount: &amount, Reason: "slow", Ref: "ticket 7"}
		first, err := f.ledger.Refund(f.ctx(), r)
		f.must(err)
		again, err := f.ledger.Refund(f.ctx(), r)
		f.must(err)
		if diff := sameEntry(first, again); diff != "" {
			f.Error(diff)
		}
		f.balances("acme", "5.52 3.68 0")
		r.Amount = nil
		_, err = f.ledger.Refund(f.ctx(), r)
		wants(f, err, ErrConflict)
		_, err = f.ledger.TopUp(f.ctx(), Topup{Account: "acme", Amount: 5, Ref: "ticket 7"})
		wants(f, err, ErrConflict)
		r.Ref = "ticket 8"
		first, err = f.ledger.Refund(f.ctx(), r)
		f.must(err)
		again, err = f.ledger.Refund(f.ctx(), r) // whole, again: the reference answers before "nothing left" does
		f.must(err)
		if diff := sameEntry(first, again); diff != "" {
			f.Error(diff)
		}
		f.balances("acme", "6 4 0")
	})
}

// A day and a month that are over keep what was spent in them.
func TestRefundOnAnotherDay(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		key, receipt := f.refundFixture()
		f.pass(24 * time.Hour)
		f.settle(f.reserve(key, cost(f, "0.3")), cost(f, "0.3"))
		f.refund(receipt.RequestID, "")
		if use := f.keyUse(key); use.SpendTotal != f.nano("0.3") || use.SpendDaily != f.nano("0.3") {
			f.Errorf("use %+v", use)
		}
	})
}

// What goes back to a pack that is no more is withdrawn, or expires, at once.
func TestRefundToAPackThatIsNoMore(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		expires := time.Now().Add(time.Hour)
		f.account("acme", "6", "4", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100, ExpiresAt: &expires})
		f.grant(Grant{Account: "acme", Quantity: 100})
		receipt := f.settle(f.reserve(f.key("acme", KeyLimits{}), charge(f, "input 180 0.001")), charge(f, "input 180 0.001"))
		f.pass(2 * time.Hour)
		if s := f.sweep(); s.Expired != 0 {
			f.Errorf("swept %+v, but p1 was used up", s)
		}
		_, err := f.ledger.RevokePack(f.ctx(), "acme", "p2", "sent back")
		f.must(err)
		f.refund(receipt.RequestID, "")
		f.pack("acme", "p1", 0, 0)
		f.pack("acme", "p2", 0, 0)
		list := f.entries("acme", TypeRefund, TypeExpire, TypeRevoke)
		var got []string
		for _, e := range list {
			if e.Type == TypeRefund {
				got = append(got, e.Type)
				continue
			}
			got = append(got, e.Type+" "+e.Pack+" "+meter.Nano(*e.Quantity*int64(meter.NanoPerUnit)).String()+" "+e.Reason)
		}
		want := "revoke p2 -20 sent back, refund, expire p1 -100 came back by a refund, revoke p2 -80 came back by a refund"
		if strings.Join(got, ", ") != want {
			f.Errorf("entries %s\nwant    %s", strings.Join(got, ", "), want)
		}
	})
}

// An abandoned call is refunded like a charge. Should it end after all, what is
// left of the abandon is taken back, and no more.
func TestRefundOfAnAbandon(t *testing.T) {
	for name, c := range map[string]struct {
		refunds  []string
		settles  bool
		balances string
		pack     int64
	}{
		"part, then settled":   {[]string{"0.5"}, true, "5.1 3.4 0", 0},
		"part, then released":  {[]string{"0.5"}, false, "6 4 0", 100},
		"whole, then settled":  {[]string{""}, true, "5.1 3.4 0", 0},
		"whole, then released": {[]string{"0.1", ""}, false, "6 4 0", 100},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "6", "4", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			key := f.key("acme", KeyLimits{SpendTotal: f.nano("100")})
			hold := f.reserve(key, charge(f, "input 300 0.01"))
			f.abandoned(hold, charge(f, "input 200 0.01"))
			for _, amount := range c.refunds {
				f.refund(hold.ID, amount)
			}
			if receipt, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID); err != nil || receipt.Type != TypeAbandon {
				t.Errorf("the receipt is %+v, %v", receipt, err)
			}
			if strings.HasPrefix(name, "whole") {
				_, err := f.tryRefund(hold.ID, "")
				f.says(err, ErrInvalid, "nothing left")
			}
			f.audit()
			use := KeyUse{}
			if c.settles {
				for range 2 {
					f.settle(hold, charge(f, "input 250 0.01"))
				}
				use = KeyUse{SpendTotal: f.nano("1.5"), SpendDaily: f.nano("1.5"), SpendMonthly: f.nano("1.5"), Tokens: 250, Requests: 1}
			} else {
				for range 2 {
					f.release(hold)
				}
				_, err := f.tryRefund(hold.ID, "")
				wants(f, err, ErrNotFound)
			}
			f.balances("acme", c.balances)
			f.pack("acme", "p1", c.pack, c.pack)
			if got := f.keyUse(key); got != use {
				t.Errorf("use %+v, want %+v", got, use)
			}
		})
	}
}

// The script holds what the caller read against what is there.
func TestRefundIsNotForged(t *testing.T) {
	f := newFixture(t, Options{})
	key, receipt := f.refundFixture()
	other := f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	forged := func(change func(*Entry)) error {
		e := receipt.Entry
		e.Paid = append([]Payment{}, e.Paid...)
		change(&e)
		q, err := f.ledger.refundOf(&Refund{Account: "acme", RequestID: receipt.RequestID, Reason: "x"}, &e)
		f.must(err)
		reply, err := q.run(f.ctx(), "")
		f.must(err)
		_, err = f.ledger.refunded(f.ctx(), reply, &Refund{Account: "acme", RequestID: receipt.RequestID})
		return err
	}
	forgeries := map[string]func(*Entry){
		"more":          func(e *Entry) { e.Paid[1].Amount++ },
		"another payer": func(e *Entry) { e.Paid[1].From = string(Recharge) },
		"another entry": func(e *Entry) { e.ID = other.ID },
		"the future":    func(e *Entry) { e.ID = entryID(other.seq() + 1) },
		"another type":  func(e *Entry) { e.Type = TypeAbandon },
	}
	for name, change := range forgeries {
		if err := forged(change); err == nil {
			t.Errorf("%s: booked", name)
		} else {
			wants(t, err, ErrConflict)
		}
	}
	// With the entry trimmed the marker still knows which entry it was, and after a first refund who paid.
	n := f.nano("0.1")
	f.refund(receipt.RequestID, n.String())
	f.must(f.server.Client().XDel(f.ctx(), f.ledger.journalKey(f.ledger.shardOf("acme")), receipt.ID).Err())
	f.broken = true
	for name, change := range forgeries {
		if err := forged(change); err == nil {
			t.Errorf("%s, trimmed: booked", name)
		} else {
			wants(t, err, ErrConflict)
		}
	}
	// Without the marker, too, there is no charge beyond the journal's head.
	marker := f.ledger.markerKey(f.ledger.shardOf("acme"), mustMillis(t, receipt.RequestID))
	f.must(f.server.Client().HDel(f.ctx(), marker, receipt.RequestID).Err())
	wants(t, forged(func(e *Entry) { e.ID = entryID(e.seq() + 100) }), ErrConflict)
	if err := forged(func(*Entry) {}); err != nil {
		t.Errorf("the true one: %v", err)
	}
	wants(t, forged(func(*Entry) {}), ErrInvalid)
	f.balances("acme", "5.4 3.6 0")
}

// Nor is an abandon given back once more whose call was released, or charged anew, after it had been read.
func TestRefundOfAnAbandonThatIsNoMore(t *testing.T) {
	for why, end := range map[string]func(*fixture, *Hold){
		"ended without a charge that stands": func(f *fixture, h *Hold) { f.release(h) },
		"has been charged anew":              func(f *fixture, h *Hold) { f.settle(h, cost(f, "0.5")) },
	} {
		t.Run(why, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "6", "4", AccountOptions{})
			hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
			f.abandoned(hold, cost(f, "0.5"))
			read, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
			f.must(err)
			end(f, hold)
			ended := f.read("acme").Wallets
			refund := &Refund{Account: "acme", RequestID: hold.ID, Reason: "x"}
			q, err := f.ledger.refundOf(refund, &read.Entry)
			f.must(err)
			reply, err := q.run(f.ctx(), "-") // the journal has been looked through, too
			f.must(err)
			_, err = f.ledger.refunded(f.ctx(), reply, refund)
			f.says(err, ErrConflict, why)
			if now := f.read("acme").Wallets; !maps.Equal(now, ended) {
				t.Errorf("%+v became %+v", ended, now)
			}
		})
	}
}

// What an abandon gave back is known to its marker alone; without one the journal is asked.
func TestRefundOfAForgottenAbandon(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "6", "4", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 30})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, charge(f, "input 200 0.01"))
	f.abandoned(hold, charge(f, "input 80 0.01"))
	f.refund(hold.ID, "0.1")
	abandon, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
	f.must(err)
	f.release(hold) // takes the rest back
	idMS, err := idMillis(hold.ID)
	f.must(err)
	f.must(f.server.Client().Del(f.ctx(), f.ledger.markerKey(f.ledger.shardOf("acme"), idMS)).Err())
	q, err := f.ledger.refundOf(&Refund{Account: "acme", RequestID: hold.ID, Reason: "x"}, &abandon.Entry)
	f.must(err)
	reply, err := q.run(f.ctx(), "")
	f.must(err)
	if reply.text(0) != "LOOK" {
		t.Fatalf("the script says %v", reply.values)
	}
	given, err := f.ledger.givenBack(f.ctx(), &abandon.Entry)
	f.must(err)
	reply, err = q.run(f.ctx(), given)
	f.must(err)
	if reply.text(0) != "NONE" {
		t.Errorf("the script says %v", reply.values)
	}
	f.balances("acme", "6 4 0")
	f.pack("acme", "p1", 30, 30)
}

func TestRefundTooMuchForAWallet(t *testing.T) {
	requireNotIntoFullWallets(t, func(f *fixture, r *Receipt) error {
		_, err := f.tryRefund(r.RequestID, "")
		return err
	})
}

// requireNotIntoFullWallets sees a charge of 1 stay as it is that giveBack would give back, some of it at least, to the one wallet
// that paid it, and is full by now.
func requireNotIntoFullWallets(t *testing.T, giveBack func(*fixture, *Receipt) error) {
	t.Helper()
	for full, balances := range map[Wallet]string{Recharge: "9000000000 0 0", Bonus: "0 9000000000 0"} {
		t.Run(string(full), func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "0", "0", AccountOptions{})
			f.topup("acme", full, "6")
			r := f.settle(f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 1 1")), charge(t, "input 1 1"))
			f.topup("acme", full, "8999999995")
			f.says(giveBack(f, r), ErrInvalid, "would hold more than")
			f.balances("acme", balances)
		})
	}
}

// A pack that paid, and is not in Redis any more, gets nothing back: who asks is told so.
func TestRefundToAPackThatIsLost(t *testing.T) {
	f := newFixture(t, Options{})
	f.broken = true
	_, receipt := f.refundFixture()
	packs := f.ledger.accountKey(f.ledger.shardOf("acme"), "acme") + ":packs"
	f.must(f.server.Client().Del(f.ctx(), packs).Err())
	_, err := f.tryRefund(receipt.RequestID, "")
	f.says(err, ErrConflict, "there is no pack p1")
	f.says(f.leftOf(receipt, at(t, "input 1000 0.002")), ErrConflict, "a pack that paid is not there")
	f.balances("acme", "5.46 3.64 0")
}

// A charge that only the archive has is refunded like any other, and an
// abandoned one that was taken back there is not, when Redis has forgotten its
// outcome too.
func TestRefundOfATrimmedCharge(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	key, receipt := f.refundFixture()
	taken := f.reserve(key, cost(f, "1"))
	left := f.reserve(key, cost(f, "1"))
	for _, h := range []*Hold{taken, left} {
		f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(h, cost(f, "0.5"))}))
	}
	f.pass(time.Hour)
	f.sweep()
	f.release(taken)
	f.archiveNow()
	if n := f.hot(0); n > 1 { // the last one of a shard may stay
		t.Fatalf("%d entries are still in Redis", n)
	}
	f.pass(markerLife + time.Hour)
	for _, id := range []string{receipt.RequestID, taken.ID, left.ID} {
		idMS, err := idMillis(id)
		f.must(err)
		f.must(f.server.Client().Del(f.ctx(), f.ledger.markerKey(0, idMS)).Err())
	}
	first := f.refund(receipt.RequestID, "0.3")
	f.archiveNow()
	if got := paid(first.Paid); got != "bonus 0.12, recharge 0.18" {
		t.Errorf("refunded %s", got)
	}
	f.refund(receipt.RequestID, "")
	_, err := f.tryRefund(receipt.RequestID, "")
	f.says(err, ErrInvalid, "nothing left to refund")
	f.refund(left.ID, "0.2")
	f.archiveNow()
	f.refund(left.ID, "")
	if _, err = f.tryRefund(taken.ID, ""); err == nil {
		t.Error("a call that was taken back is refunded")
	}
	f.balances("acme", "6 4 0")
	f.pack("acme", "p1", 100, 100)
}

// A verb may be configured with another time zone. The day that a key spends in is
// the proxies', and does not end because of that.
func TestRefundByAnotherCalendar(t *testing.T) {
	for name, hours := range map[string]int{"east": 8, "west": -8} {
		t.Run(name, func(t *testing.T) {
			zone := time.FixedZone(name, hours*3600)
			f := newFixture(t, Options{Timezone: zone})
			f.account("acme", "100", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{SpendDaily: f.nano("2"), SpendMonthly: f.nano("9")})
			// Four hours from midnight, on the side where UTC has another day.
			now := time.Now().In(zone)
			f.pass(time.Date(now.Year(), now.Month()+1, 1, (24+hours/2)%24, 0, 0, 0, zone).Sub(now))
			receipt := f.settle(f.reserve(key, cost(f, "2")), cost(f, "2"))

			verb := f.open(Options{Timezone: time.UTC})
			verb.clockOffset.Store(f.ledger.clockOffset.Load())
			amount := f.nano("0.5")
			_, err := verb.Refund(f.ctx(), Refund{Account: "acme", RequestID: receipt.RequestID, Amount: &amount, Reason: "wrong answer"})
			f.must(err)
			if use := f.keyUse(key); use.SpendDaily < f.nano("1.5") || use.SpendMonthly < f.nano("1.5") || use.SpendTotal != f.nano("1.5") {
				f.Errorf("use %+v", use)
			}
			_ = isReason(f, f.refused(key, cost(f, "1")), KeySpendExhausted, "key.spend_daily")
		})
	}
}
