package ledger

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// forge appends an entry to the journal without doing what it says.
func (f *fixture) forge(fields ...any) error {
	shard := f.ledger.shardOf("acme")
	seq := f.shardSeq(shard) + 1
	args := append([]any{"XADD", f.ledger.journalKey(shard), entryID(seq), "m", time.Now().UnixMilli(), "a", "acme"}, fields...)
	if err := f.server.Client().Do(f.ctx(), args...).Err(); err != nil {
		return err
	}
	return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(shard), "seq", seq).Err()
}

// set writes a field of one of the account's hashes behind the ledger's back.
func (f *fixture) set(hash, field string, value any) error {
	own := f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")
	return f.server.Client().HSet(f.ctx(), own+hash, field, value).Err()
}

// Each kind of correction, edited behind the ledger's back, is found and named.
func TestAuditFindsTamperedCorrections(t *testing.T) {
	cases := []struct {
		name   string
		tamper func(f *fixture, refunded *Receipt) error
		law    string
		what   string
	}{
		{"adjust without its money", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "adjust", "w", "bonus", "n", "5", "v", "x")
		}, lawConserve, "bonus"},
		{"adjust downwards without its money", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "adjust", "w", "recharge", "n", "-5", "v", "x")
		}, lawConserve, "recharge"},
		{"adjust without an amount", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "adjust", "w", "recharge", "v", "x", "z", "r=17")
		}, lawChain, ""},
		{"expire without its quantity", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "expire", "g", "p2", "q", "-7")
		}, lawConserve, "pack:p2"},
		{"an expired pack filled again", func(f *fixture, _ *Receipt) error { return f.set(":packs", "p1:b", 40) }, lawConserve, "pack:p1"},
		{"revoke without its quantity", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "revoke", "g", "p2", "q", "-7")
		}, lawStatus, "pack:p2"},
		{"grant without its pack", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "grant", "g", "p9", "q", "7")
		}, lawConserve, "pack:p9"},
		{"topup without its money", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "topup", "w", "bonus", "n", "5")
		}, lawConserve, "bonus"},
		{"refund of no charge", func(f *fixture, _ *Receipt) error {
			return f.forge("t", "refund", "r", NewRequestID(), "f", "0")
		}, lawRefundCap, ""},
		{"refund above what was paid", func(f *fixture, r *Receipt) error {
			return f.forge("t", "refund", "r", r.RequestID, "f", "999999999", "p", "b=999999999", "x", fmt.Sprintf("%d - -", r.seq()))
		}, lawRefundCap, ""},
		{"refund of another entry", func(f *fixture, r *Receipt) error {
			return f.forge("t", "refund", "r", r.RequestID, "f", "1", "p", "b=1", "x", fmt.Sprintf("%d - -", r.seq()-1))
		}, lawRefundCap, ""},
		{"refund to somebody else", func(f *fixture, r *Receipt) error {
			return f.forge("t", "refund", "r", r.RequestID, "f", "0", "p", "p2=1", "x", fmt.Sprintf("%d - -", r.seq()))
		}, lawRefundCap, ""},
		{"memory of a refund gone", func(f *fixture, _ *Receipt) error {
			own := f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")
			return f.server.Client().Del(f.ctx(), own+":refunds").Err()
		}, lawRefundCap, ""},
		{"memory of a refund less", func(f *fixture, r *Receipt) error {
			return f.set(":refunds", fmt.Sprint(r.seq()), "b=400000000,r=600000000 b=1")
		}, lawRefundCap, ""},
		{"memory of a refund that never was", func(f *fixture, _ *Receipt) error { return f.set(":refunds", "3", "r=1 r=1") }, lawRefundCap, "refunds of entry 3-0"},
		{"key spend after a refund", func(f *fixture, r *Receipt) error {
			_, suffix, _ := splitKeyID(r.Key)
			return f.set(":keys", suffix+":s", 1)
		}, lawConserve, ""},
		{"overdraft", func(f *fixture, _ *Receipt) error { return f.set("", "overdraft", 5) }, lawStatus, "overdraft"},
		{"split", func(f *fixture, _ *Receipt) error { return f.set("", "split", "equal") }, lawStatus, "split"},
		{"resumed", func(f *fixture, _ *Receipt) error { return f.forge("t", "suspend") }, lawStatus, "account"},
		{"an unknown type", func(f *fixture, _ *Receipt) error { return f.forge("t", "gift", "n", "5") }, lawConserve, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "6", "4", AccountOptions{})
			f.expiring(100, time.Minute)
			f.grant(Grant{Account: "acme", Quantity: 1000, Models: []string{"other"}})
			receipt := f.settle(f.reserve(f.key("acme", KeyLimits{}), cost(f, "1")), cost(f, "1"))
			f.refund(receipt.RequestID, "0.5")
			_, err := f.tryAdjust(Bonus, "-0.2")
			f.must(err)
			f.pass(time.Hour)
			f.sweep()
			f.audit()
			f.must(c.tamper(f, receipt))
			f.broken = true
			report, err := f.ledger.Audit(f.ctx(), "acme")
			f.must(err)
			for _, d := range report.Differences {
				if d.Law == c.law && (c.what == "" || d.What == c.what) {
					return
				}
			}
			t.Errorf("want a difference by %s in %s, got %+v", c.law, c.what, report.Differences)
		})
	}
}

// P5 in words: granted = free + held + charged + expired + withdrawn.
func TestConservationInWords(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "60", "40", AccountOptions{})
		f.expiring(100, time.Minute)
		f.grant(Grant{Account: "acme", Quantity: 500, Models: []string{"glm-4"}, Order: AfterBalance})
		f.grant(Grant{Account: "acme", Quantity: 30, Unit: "image"})
		key := f.key("acme", KeyLimits{})
		first := f.settle(f.reserve(key, charge(f, "input 70 0.001")), charge(f, "input 70 0.001"))
		f.refund(first.RequestID, "")
		f.settle(f.reserve(key, charge(f, "input 70 0.001")), charge(f, "input 70 0.001"))
		f.settle(f.reserve(key, cost(f, "10")), cost(f, "10"))
		f.reserve(key, cost(f, "7"))
		f.reserve(key, charge(f, "image 4 1"))
		_, err := f.tryAdjust(Bonus, "-1.5")
		f.must(err)
		_, err = f.tryAdjust(Recharge, "2")
		f.must(err)
		_, err = f.ledger.RevokePack(f.ctx(), "acme", "p2", "")
		f.must(err)
		f.pass(2 * time.Minute)
		f.sweep()
		report, err := f.ledger.Audit(f.ctx(), "acme")
		f.must(err)
		var got []string
		for _, c := range report.Conservation {
			got = append(got, strings.Join([]string{c.What, c.Granted, c.Free, c.Held, c.Charged, c.Expired, c.Withdrawn}, " "))
		}
		want := "cash 102 83.5 7 10 0 1.5, pack:p1 100 0 0 70 30 0, pack:p2 500 0 0 0 0 500, pack:p3 30 26 4 0 0 0"
		if strings.Join(got, ", ") != want || !report.OK {
			f.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
		}
	})
}

func TestFlowsBeyondAnInt64(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "9000000000", "9000000000", AccountOptions{})
	for range 2 {
		_, err := f.tryAdjust(Recharge, "-9000000000")
		f.must(err)
		f.topup("acme", Recharge, "8999999999.999999999")
		_, err = f.tryAdjust(Recharge, "0.000000001")
		f.must(err)
	}
	report, err := f.ledger.Audit(f.ctx(), "acme")
	f.must(err)
	if c := report.Conservation[0]; c.Granted != "36000000000" || c.Withdrawn != "18000000000" || c.Free != "18000000000" {
		t.Errorf("cash %+v", c)
	}
}
