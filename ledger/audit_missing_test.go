package ledger

import (
	"strings"
	"testing"
)

// A field without which the scripts, or whoever shows the account, come to
// nothing is missed by the audit, also where it would say 0.
func TestAuditFindsMissingFields(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "5", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 1000})
	f.grant(Grant{Account: "acme", Quantity: 500})
	_, err := f.ledger.RevokePack(f.ctx(), "acme", "p2", "wrong one")
	f.must(err)
	k, gone := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{})
	f.must(f.ledger.RevokeKey(f.ctx(), "acme", keyID("acme", gone.suffix())))
	f.settle(f.reserve(k, charge(t, "input 1500 2/1K")), charge(t, "input 1200 2/1K"))

	redis, own := f.server.Client(), f.ledger.accountKey(f.ledger.shardOf("acme"), "acme")
	for _, hash := range []string{"", ":packs", ":keys"} {
		all, err := redis.HGetAll(f.ctx(), own+hash).Result()
		f.must(err)
		for field, was := range all {
			switch _, name, _ := strings.Cut(field, ":"); name {
			case "d", "ds", "m", "ms", "rb", "tb": // the journal does not tell
				continue
			}
			for _, damage := range []string{"missing", "", was + "1"} {
				if damage == "missing" {
					if hash == ":keys" && was == "0" {
						continue // as if nothing had been counted yet
					}
					f.must(redis.HDel(f.ctx(), own+hash, field).Err())
				} else {
					f.must(f.set(hash, field, damage))
				}
				report, err := f.ledger.Audit(f.ctx(), "")
				f.must(err)
				if report.OK {
					t.Errorf("%s %s: was %q, is %q, and the audit finds nothing", hash, field, was, damage)
				}
				f.must(f.set(hash, field, was))
			}
		}
	}
}

// Nor is an account missed whose own entry is the journal's last.
func TestAuditFindsTheLastAccountMissing(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "0", "0", AccountOptions{})
	f.must(f.server.Client().Del(f.ctx(), f.ledger.accountKey(0, "acme")).Err())
	for _, account := range []string{"", "acme"} {
		report, err := f.ledger.Audit(f.ctx(), account)
		f.must(err)
		if report.OK {
			t.Errorf("the account is gone, and the audit of %q finds nothing", account)
		}
	}
}
