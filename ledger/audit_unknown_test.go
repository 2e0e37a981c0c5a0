package ledger

import (
	"slices"
	"strings"
	"testing"
)

// The audit finds what is in Redis and not in the journal, and what is in the journal and not in Redis.
func TestAuditFindsWhatOneSideDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		tamper    func(f *fixture, own string) error
		law, what string
		account   string // that is audited; "" for all
	}{
		"an account that Redis does not have": {func(f *fixture, own string) error {
			return f.server.Client().Del(f.ctx(), own).Err()
		}, lawConserve, "account", ""},
		"the same, asked for it": {func(f *fixture, own string) error {
			return f.server.Client().Del(f.ctx(), own).Err()
		}, lawConserve, "account", "acme"},
		"an account that the journal does not have": {func(f *fixture, own string) error {
			shard := f.ledger.shardOf("acme")
			all, err := f.server.Client().HGetAll(f.ctx(), own).Result()
			f.must(err)
			f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(shard, "nobody"), all).Err())
			return f.server.Client().SAdd(f.ctx(), f.ledger.accountsKey(shard), "nobody").Err()
		}, lawConserve, "account", ""},
		"an account's beginning": {func(f *fixture, own string) error {
			return f.server.Client().XDel(f.ctx(), f.ledger.journalKey(f.ledger.shardOf("acme")), "1-0").Err()
		}, lawConserve, "entry 2-0", ""},
		"a key": {func(f *fixture, own string) error {
			was := f.server.Client().HGet(f.ctx(), own+":keys", f.anyKey()).Val()
			return f.set(":keys", "0123456789ab", was)
		}, lawConserve, "key:acme.0123456789ab", ""},
		"a hold that is none": {func(f *fixture, own string) error {
			return f.set(":holds", NewRequestID(), "damaged")
		}, lawHoldSum, "hold req_", ""},
		"a hold on a pack that is none": {func(f *fixture, _ string) error { return f.editHold("p1=", "p9=") }, lawHoldSum, "held of pack:p9", ""},
		"a hold of a key that is none": {func(f *fixture, _ string) error {
			return f.editHold(f.anyKey()+"\t", "0123456789ab\t")
		}, lawHoldSum, "key:acme.0123456789ab parallel", ""},
		"a hold beyond its pack": {func(f *fixture, own string) error { return f.set(":packs", "p1:b", 60) }, lawHoldCover, "pack:p1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{Shards: 1})
			f.account("acme", "10", "0", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 1000})
			f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 100 1"))
			f.audit()
			f.broken = true
			f.must(c.tamper(f, f.ledger.accountKey(0, "acme")))
			report, err := f.ledger.Audit(f.ctx(), c.account)
			f.must(err)
			if report.OK || !slices.ContainsFunc(report.Differences, func(d Difference) bool { return d.Law == c.law && strings.HasPrefix(d.What, c.what) }) {
				t.Errorf("want a difference by %s in %s, got %+v", c.law, c.what, report.Differences)
			}
		})
	}
}

// Whose account is audited alone is not told of others that stand in the same part of the journal.
func TestAuditOfOneAccountLooksAtNoOther(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("bolt", "10", "0", AccountOptions{})
	f.broken = true
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.accountKey(0, "bolt"), "recharge", "1").Err())
	report, err := f.ledger.Audit(f.ctx(), "acme")
	f.must(err)
	if !report.OK || report.Accounts != 1 || report.Entries != 2 {
		t.Errorf("report %+v", report)
	}
	_, err = f.ledger.Audit(f.ctx(), "nobody")
	wants(t, err, ErrNotFound)
}

// editHold changes a part of acme's one hold.
func (f *fixture) editHold(was, is string) error {
	f.Helper()
	for request, text := range f.server.Client().HGetAll(f.ctx(), f.ledger.accountKey(0, "acme")+":holds").Val() {
		if !strings.Contains(text, was) {
			f.Fatalf("no %q in the hold %q", was, text)
		}
		return f.set(":holds", request, strings.Replace(text, was, is, 1))
	}
	f.Fatal("no hold")
	return nil
}
