package ledger

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// An audit must be able to fail: whatever is changed behind the ledger's back is found, and named.
func TestAuditFindsWhatWasTampered(t *testing.T) {
	cases := []struct {
		name   string
		tamper func(f *fixture, own string) error
		law    string
		what   string
	}{
		{"recharge", func(f *fixture, own string) error {
			return f.server.Client().HIncrBy(f.ctx(), own, "recharge", 1).Err()
		}, lawConserve, "recharge"},
		{"bonus", func(f *fixture, own string) error { return f.server.Client().HSet(f.ctx(), own, "bonus", "oops").Err() }, "", ""},
		{"held", func(f *fixture, own string) error { return f.server.Client().HIncrBy(f.ctx(), own, "held", -1).Err() }, lawHoldSum, "held"},
		{"status", func(f *fixture, own string) error {
			return f.server.Client().HSet(f.ctx(), own, "status", "suspended").Err()
		}, lawStatus, "account"},
		{"pack", func(f *fixture, own string) error {
			return f.server.Client().HIncrBy(f.ctx(), own+":packs", "p1:b", 100).Err()
		}, lawConserve, "pack:p1"},
		{"pack held", func(f *fixture, own string) error {
			return f.server.Client().HIncrBy(f.ctx(), own+":packs", "p1:h", 7).Err()
		}, lawHoldSum, "held of pack:p1"},
		{"pack gone", func(f *fixture, own string) error {
			return f.server.Client().HDel(f.ctx(), own+":packs", "p2", "p2:b", "p2:h").Err()
		}, lawConserve, "pack:p2"},
		{"pack from nowhere", func(f *fixture, own string) error {
			return f.server.Client().HSet(f.ctx(), own+":packs", "p9", "token\t0\t0\tb\t\t5\t\t0", "p9:b", 5, "p9:h", 0).Err()
		}, lawConserve, "pack:p9"},
		{"hold", func(f *fixture, own string) error { return f.server.Client().Del(f.ctx(), own+":holds").Err() }, lawHoldSum, "held"},
		{"deadline", func(f *fixture, own string) error {
			return f.server.Client().Del(f.ctx(), f.ledger.dueKey(f.ledger.shardOf("acme"))).Err()
		}, lawResolve, ""},
		{"account", func(f *fixture, own string) error { return f.server.Client().Del(f.ctx(), own).Err() }, lawConserve, "account"},
		{"journal cut", func(f *fixture, own string) error {
			return f.server.Client().XDel(f.ctx(), f.ledger.journalKey(f.ledger.shardOf("acme")), "3-0").Err()
		}, lawDense, "entry 4-0"},
		{"journal end", func(f *fixture, own string) error {
			shard := f.ledger.shardOf("acme")
			return f.server.Client().XDel(f.ctx(), f.ledger.journalKey(shard), entryID(f.ledger.heads[shard].Load())).Err()
		}, lawDense, "journal"},
		{"a second charge", func(f *fixture, own string) error { return f.repeatLastEntry() }, lawOnce, ""},
		{"a chain broken", func(f *fixture, own string) error { return f.repeatLastEntry() }, lawChain, ""},
		{"key spend", func(f *fixture, own string) error {
			return f.server.Client().HIncrBy(f.ctx(), own+":keys", f.anyKey()+":s", -5).Err()
		}, lawConserve, ""},
		{"pack prolonged", func(f *fixture, own string) error {
			return f.rewrite(own+":packs", "p2", "\t0\tb", "\t4102444800000\tb")
		}, lawStatus, "pack:p2"},
		{"packs granted", func(f *fixture, own string) error { return f.server.Client().HSet(f.ctx(), own, "packs", "1").Err() }, lawStatus, "packs"},
		{"key limit", func(f *fixture, own string) error {
			return f.rewrite(own+":keys", f.anyKey(), "\t5000000000\t", "\t0\t")
		}, lawStatus, "key:acme."},
		{"key limit as shown", func(f *fixture, own string) error {
			return f.rewrite(own+":keys", f.anyKey()+":j", `"5"`, `"6"`)
		}, lawStatus, "key:acme."},
		{"key gone", func(f *fixture, own string) error {
			return f.server.Client().HDel(f.ctx(), own+":keys", f.anyKey()).Err()
		}, lawStatus, "key:acme."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.account("acme", "10", "5", AccountOptions{})
			f.account("calm", "10", "5", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 1000})
			f.grant(Grant{Account: "acme", Quantity: 1000})
			key := f.key("acme", KeyLimits{SpendDaily: f.nano("5")})
			f.reserve(key, charge(f, "input 100 2/1M", "call 1 1"))
			f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
			f.audit()
			if t.Failed() {
				t.Fatal("the books did not balance before")
			}
			f.broken = true
			f.must(c.tamper(f, f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")))
			report, err := f.ledger.Audit(f.ctx(), "")
			if c.law == "" {
				if err == nil && report.OK {
					t.Error("the audit is clean")
				}
				return
			}
			f.must(err)
			found := false
			for _, d := range report.Differences {
				found = found || d.Law == c.law && (c.what == "" || d.What == c.what || strings.HasSuffix(c.what, ".") && strings.HasPrefix(d.What, c.what))
				if d.Account == "calm" {
					t.Errorf("another account is blamed: %+v", d)
				}
			}
			if report.OK || !found {
				t.Errorf("want a difference by %s in %s, got %+v", c.law, c.what, report.Differences)
			}
		})
	}
}

// anyKey is the suffix of acme's key.
func (f *fixture) anyKey() string {
	keys, err := f.ledger.Keys(f.ctx(), "acme")
	f.must(err)
	_, suffix, _ := splitKeyID(keys[0].ID)
	return suffix
}

// rewrite replaces something in a field of a hash; it must be there.
func (f *fixture) rewrite(hash, field, old, with string) error {
	was, err := f.server.Client().HGet(f.ctx(), hash, field).Result()
	f.must(err)
	if !strings.Contains(was, old) {
		f.Fatalf("%q is not in %q", old, was)
	}
	return f.server.Client().HSet(f.ctx(), hash, field, strings.Replace(was, old, with, 1)).Err()
}

// repeatLastEntry books the last charge of the journal once more, as a proxy without a marker would.
func (f *fixture) repeatLastEntry() error {
	shard := f.ledger.shardOf("acme")
	last, err := f.server.Client().XRevRangeN(f.ctx(), f.ledger.journalKey(shard), "+", "-", 1).Result()
	f.must(err)
	seq := f.ledger.heads[shard].Load() + 1
	args := []any{"XADD", f.ledger.journalKey(shard), entryID(seq)}
	for name, value := range last[0].Values {
		args = append(args, name, value)
	}
	f.must(f.server.Client().Do(f.ctx(), args...).Err())
	return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(shard), "seq", seq).Err()
}

func TestAuditReport(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("other", "10", "0", AccountOptions{})
	report, err := f.ledger.Audit(f.ctx(), "acme")
	f.must(err)
	if !report.OK || report.Accounts != 1 || report.Entries != 2 || report.Differences == nil {
		t.Errorf("report %+v", report)
	}
	report, err = f.ledger.Audit(f.ctx(), "")
	f.must(err)
	if !report.OK || report.Accounts != 2 || report.Entries != 4 {
		t.Errorf("report %+v", report)
	}
	_, err = f.ledger.Audit(f.ctx(), "nobody")
	wants(t, err, ErrNotFound)
}

// An audit is exact while requests go on, and over more accounts than a page holds.
func TestAuditUnderTraffic(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	keys := make([]Credential, 0, 8)
	for i := range snapshotPage + 20 {
		id := fmt.Sprintf("a%d", i)
		f.account(id, "1000", "500", AccountOptions{})
		if i%16 == 0 {
			keys = append(keys, f.key(id, KeyLimits{}))
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, key := range keys {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				h, err := f.tryReserve(key, cost(f, "0.5"))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := f.ledger.Settle(f.ctx(), settlement(h, cost(f, "0.3"))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); {
		f.audit()
	}
	close(stop)
	wg.Wait()
}
