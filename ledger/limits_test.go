package ledger

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

func TestKeyAllows(t *testing.T) {
	past := time.Now().Add(-time.Minute)
	local := netip.MustParseAddr("10.1.2.3")
	cases := []struct {
		name   string
		limits KeyLimits
		change func(r *Reservation)
		reason Reason // "" admitted
		limit  string
	}{
		{"no limits", KeyLimits{}, nil, "", ""},
		{"expired", KeyLimits{ExpiresAt: &past}, nil, KeyExpired, "key.expires"},
		{"expired in 1970", KeyLimits{ExpiresAt: new(time.UnixMilli(0))}, nil, KeyExpired, "key.expires"}, // 0 is never
		{"model by name", KeyLimits{Models: []string{"gpt-4o", "glm-4"}}, nil, "", ""},
		{"model by pattern", KeyLimits{Models: []string{"glm*"}}, nil, "", ""},
		{"model by inner star", KeyLimits{Models: []string{"g*-*4"}}, nil, "", ""},
		{"another model", KeyLimits{Models: []string{"glm-4-*", "glm"}}, nil, ModelNotAllowed, "key.models"},
		{"dots and percents are letters", KeyLimits{Models: []string{"glm.4", "%a*", "glm?4"}}, nil, ModelNotAllowed, "key.models"},
		{"another model, where pieces overlap", KeyLimits{Models: []string{"glm-4*4", "glm*-*-*4"}}, nil, ModelNotAllowed, "key.models"},
		{"endpoint", KeyLimits{Endpoints: []string{"images", "chat"}}, nil, "", ""},
		{"another endpoint", KeyLimits{Endpoints: []string{"images"}}, nil, EndpointNotAllowed, "key.endpoints"},
		{"network", KeyLimits{Networks: []string{"192.168.0.0/16", "10.0.0.0/8"}}, nil, "", ""},
		{"network by a later address of it", KeyLimits{Networks: []string{"10.1.2.77/24"}}, nil, "", ""},
		{"address", KeyLimits{Networks: []string{"10.1.2.3"}}, nil, "", ""},
		{"another address", KeyLimits{Networks: []string{"10.1.2.4"}}, nil, NetworkNotAllowed, "key.networks"},
		{"mapped address", KeyLimits{Networks: []string{"10.1.2.0/24"}}, func(r *Reservation) {
			r.Client = netip.MustParseAddr("::ffff:10.1.2.3")
		}, "", ""},
		{"IPv6", KeyLimits{Networks: []string{"2001:db8::/33"}}, func(r *Reservation) {
			r.Client = netip.MustParseAddr("2001:db8:7fff::1")
		}, "", ""},
		{"beyond the prefix", KeyLimits{Networks: []string{"2001:db8::/33"}}, func(r *Reservation) {
			r.Client = netip.MustParseAddr("2001:db8:8000::1")
		}, NetworkNotAllowed, "key.networks"},
		{"another network", KeyLimits{Networks: []string{"10.1.2.4/30"}}, nil, NetworkNotAllowed, "key.networks"},
		{"address unknown", KeyLimits{Networks: []string{"0.0.0.0/0"}}, func(r *Reservation) { r.Client = netip.Addr{} }, NetworkNotAllowed, "key.networks"},
		{"unknown key", KeyLimits{}, func(r *Reservation) {
			_, r.Credential = newSecret("acme")
		}, KeyInvalid, "key"},
		{"a key whose hash begins alike", KeyLimits{}, func(r *Reservation) {
			r.Credential.Hash = r.Credential.Hash[:suffixLength] + r.Credential.Hash[:64-suffixLength]
		}, KeyInvalid, "key"},
		{"unknown account", KeyLimits{}, func(r *Reservation) { _, r.Credential = newSecret("nobody") }, KeyInvalid, "account"},
		{"not a credential", KeyLimits{}, func(r *Reservation) { r.Credential = Credential{} }, KeyInvalid, "key"},
	}
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		for _, c := range cases {
			r := f.reservation(f.key("acme", c.limits), cost(f, "0.01"))
			r.Client = local
			if c.change != nil {
				c.change(&r)
			}
			hold, err := f.ledger.Reserve(f.ctx(), r)
			if c.reason == "" {
				if err != nil {
					f.Errorf("%s: %v", c.name, err)
					continue
				}
				f.release(hold)
				continue
			}
			if no := isReason(f, err, c.reason, c.limit); no.Error() == "" {
				f.Errorf("%s: says nothing", c.name)
			}
		}
		f.balances("acme", "10 0 0")
	})
}

func TestKeyRevocationIsImmediate(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key, other := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{})
		id := keyID("acme", key.suffix())
		hold := f.reserve(key, cost(f, "1"))
		for range 2 {
			f.must(f.ledger.RevokeKey(f.ctx(), "acme", id))
		}
		_ = isReason(f, f.refused(key, cost(f, "1")), KeyRevoked, "key")
		_, err := f.ledger.Authenticate(f.ctx(), key, netip.Addr{})
		_ = isReason(f, err, KeyRevoked, "key")
		f.settle(hold, cost(f, "1"))
		f.settle(f.reserve(other, cost(f, "1")), cost(f, "1"))
		if n := len(f.entries("acme", TypeRevoke)); n != 1 {
			f.Errorf("%d revoke entries, want 1", n)
		}
		found, err := f.ledger.FindKey(f.ctx(), id)
		f.must(err)
		if found.Status != "revoked" {
			f.Errorf("status %s", found.Status)
		}
		wants(f, f.ledger.RevokeKey(f.ctx(), "acme", "acme.000000000000"), ErrNotFound)
		wants(f, f.ledger.RevokeKey(f.ctx(), "other", id), ErrNotFound)
	})
}

func TestAccountSuspension(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		hold := f.reserve(key, cost(f, "1"))
		for range 2 {
			f.must(f.ledger.SuspendAccount(f.ctx(), "acme", "unpaid"))
		}
		_ = isReason(f, f.refused(key, cost(f, "1")), AccountSuspended, "account")
		_, err := f.ledger.Authenticate(f.ctx(), key, netip.Addr{})
		_ = isReason(f, err, AccountSuspended, "account")
		f.settle(hold, cost(f, "1"))
		f.must(f.ledger.ResumeAccount(f.ctx(), "acme", ""))
		f.release(f.reserve(key, cost(f, "1")))
		if n := len(f.entries("acme", TypeSuspend, TypeResume)); n != 2 {
			f.Errorf("%d entries, want 2", n)
		}
		wants(f, f.ledger.SuspendAccount(f.ctx(), "nobody", ""), ErrNotFound)
	})
}

// QUOTA: what a key has spent and holds never goes above its limit, days and
// months begin in the ledger's time zone.
func TestKeySpendLimits(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "100", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{SpendTotal: f.nano("5"), SpendDaily: f.nano("2"), SpendMonthly: f.nano("4")})
		hold := f.reserve(key, cost(f, "1.5"))
		if left := hold.Standing.KeySpendLeft; left == nil || *left != f.nano("0.5") {
			f.Errorf("left %v, want 0.5", left)
		}
		no := isReason(f, f.refused(key, cost(f, "0.6")), InFlight, "key.spend_daily")
		if no.Required != 6e8 || no.Available != 5e8 || no.Held != 15e8 || no.Cash != f.nano("0.5") || no.Counted {
			f.Errorf("refusal %+v", no)
		}
		f.settle(hold, cost(f, "1"))
		f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
		no = isReason(f, f.refused(key, cost(f, "0.000000001")), KeySpendExhausted, "key.spend_daily")
		if until := no.ResetsAt.Sub(f.ledger.now()); until <= 0 || until > 24*time.Hour {
			f.Errorf("resets in %s", until)
		}
		_ = isReason(f, f.refused(key, cost(f, "5.1")), KeySpendExhausted, "key.spend_total")
		for limit, limits := range map[string]KeyLimits{
			"key.spend_total": {SpendTotal: 1e9}, "key.spend_daily": {SpendDaily: 1e9}, "key.spend_monthly": {SpendMonthly: 1e9},
		} {
			key := f.key("acme", limits)
			f.release(f.reserve(key, cost(f, "1")))
			_ = isReason(f, f.refused(key, cost(f, "1.000000001")), KeySpendExhausted, limit)
		}
	})
}

func TestKeySpendPeriods(t *testing.T) {
	zone := time.FixedZone("east", 8*3600)
	f := newFixture(t, Options{Timezone: zone})
	f.account("acme", "100", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{SpendDaily: f.nano("2"), SpendMonthly: f.nano("5")})
	spend := func(amount string) { f.settle(f.reserve(key, cost(f, amount)), cost(f, amount)) }
	to := func(at time.Time) { f.pass(at.Sub(f.ledger.now())) }

	now := time.Now().In(zone)
	last := time.Date(now.Year(), now.Month()+2, 0, 23, 59, 0, 0, zone) // the last minute of next month
	to(last.AddDate(0, 0, -1))
	spend("2")
	no := isReason(f, f.refused(key, cost(f, "1")), KeySpendExhausted, "key.spend_daily")
	if want := time.Date(last.Year(), last.Month(), last.Day(), 0, 0, 0, 0, zone); !no.ResetsAt.Equal(want) {
		t.Errorf("the day resets at %s, want %s", no.ResetsAt, want)
	}
	to(last)
	spend("2")
	if use := f.keyUse(key); use.SpendDaily != f.nano("2") || use.SpendMonthly != f.nano("4") || use.SpendTotal != f.nano("4") {
		t.Errorf("use %+v", use)
	}
	hold := f.reserve(key, meter.Charge{})
	f.pass(2 * time.Minute) // a new day, and a new month
	if use := f.keyUse(key); use.SpendDaily != 0 || use.SpendMonthly != 0 || use.SpendTotal != f.nano("4") {
		t.Errorf("use %+v", use)
	}
	f.settle(hold, cost(f, "1")) // counted where it is booked
	if use := f.keyUse(key); use.SpendDaily != f.nano("1") || use.SpendMonthly != f.nano("1") {
		t.Errorf("use %+v", use)
	}
	spend("1")
	no = isReason(f, f.refused(key, cost(f, "1")), KeySpendExhausted, "key.spend_daily")
	if want := time.Date(last.Year(), last.Month(), last.Day()+2, 0, 0, 0, 0, zone); !no.ResetsAt.Equal(want) {
		t.Errorf("the day resets at %s, want %s", no.ResetsAt, want)
	}
	f.pass(24 * time.Hour)
	spend("2")
	f.pass(24 * time.Hour)
	spend("1")
	no = isReason(f, f.refused(key, cost(f, "0.5")), KeySpendExhausted, "key.spend_monthly")
	if want := time.Date(last.Year(), last.Month()+2, 1, 0, 0, 0, 0, zone); !no.ResetsAt.Equal(want) || no.Available != 0 {
		t.Errorf("of the month %d is left, and it resets at %s, want 0 and %s", no.Available, no.ResetsAt, want)
	}
}

// Token limits count tokens, whoever pays for them.
func TestKeyTokenLimit(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 10000})
		key := f.key("acme", KeyLimits{Tokens: 1000})
		hold := f.reserve(key, charge(f, "input 600 2/1M", "output 100 8/1M", "image 5 0.01"))
		no := isReason(f, f.refused(key, charge(f, "input 301 2/1M")), InFlight, "key.tokens")
		if !no.Counted || no.Required != 301 || no.Available != 300 || no.Held != 700 || no.KeyTokensLeft == nil || *no.KeyTokensLeft != 300 {
			f.Errorf("refusal %+v", no)
		}
		f.settle(hold, charge(f, "input 600 2/1M", "output 50 8/1M"))
		_ = isReason(f, f.refused(key, charge(f, "input 351 2/1M")), KeySpendExhausted, "key.tokens")
		f.release(f.reserve(key, charge(f, "input 350 2/1M")))
		if use := f.keyUse(key); use.Tokens != 650 || use.TokensHeld != 0 || use.Requests != 1 || use.Parallel != 0 {
			f.Errorf("use %+v", use)
		}
		// Above its limit it has none left, and what needs none is admitted all the same.
		f.settle(f.reserve(key, charge(f, "input 350 2/1M")), charge(f, "input 400 2/1M"))
		no = isReason(f, f.refused(key, charge(f, "input 1 2/1M")), KeySpendExhausted, "key.tokens")
		if no.Available != 0 || no.KeyTokensLeft == nil || *no.KeyTokensLeft != 0 {
			f.Errorf("refusal %+v", no)
		}
		f.release(f.reserve(key, charge(f, "image 5 0.01")))
		// Of two limits the lower one is what is left.
		for _, c := range []struct{ limits KeyLimits }{{KeyLimits{Tokens: 300, TPM: 400}}, {KeyLimits{Tokens: 400, TPM: 300}}} {
			no := f.refused(f.key("acme", c.limits), charge(f, "input 500 2/1M"))
			if no.KeyTokensLeft == nil || *no.KeyTokensLeft != 300 {
				f.Errorf("%+v: refusal %+v", c.limits, no)
			}
		}
	})
}

func TestKeyRequestsPerMinute(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{RPM: 3})
		f.pass(time.Second)
		var last *Hold
		for range 3 {
			last = f.reserve(key, cost(f, "0.01"))
		}
		if s := last.Standing.Requests; s.Limit != 3 || s.Remaining != 0 || s.Reset <= 59*time.Second || s.Reset > time.Minute {
			f.Errorf("standing %+v", s)
		}
		no := isReason(f, f.refused(key, cost(f, "0.01")), RateLimited, "key.rpm")
		if no.RetryAfter <= 19*time.Second || no.RetryAfter > 20*time.Second {
			f.Errorf("retry after %s, want just under 20s", no.RetryAfter)
		}
		f.release(last) // a request that the upstream refused was a request all the same
		_ = isReason(f, f.refused(key, cost(f, "0.01")), RateLimited, "key.rpm")
		f.pass(no.RetryAfter)
		f.release(f.reserve(key, cost(f, "0.01")))
		_ = isReason(f, f.refused(key, cost(f, "0.01")), RateLimited, "key.rpm")
		f.pass(10 * time.Minute)
		for range 3 {
			f.release(f.reserve(key, cost(f, "0.01")))
		}
		_ = isReason(f, f.refused(key, cost(f, "0.01")), RateLimited, "key.rpm")
	})
}

// Tokens per minute: the reserve takes the quote, the settlement corrects it,
// the release gives it back, and so does the sweeper.
func TestKeyTokensPerMinute(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{TPM: 1000})
		tokens := func(n string) meter.Charge { return charge(f, "input "+n+" 0.001/1M") }
		never := isReason(f, f.refused(key, tokens("1001")), KeySpendExhausted, "key.tpm")
		if !never.Counted || never.Required != 1001 || never.Available != 1000 {
			f.Errorf("refusal %+v", never)
		}
		hold := f.reserve(key, tokens("900"))
		no := isReason(f, f.refused(key, tokens("600")), RateLimited, "key.tpm")
		if no.RetryAfter < 29*time.Second || no.RetryAfter > 30*time.Second {
			f.Errorf("retry after %s, want about 30s", no.RetryAfter)
		}
		if !no.Counted || no.Required != 600 || no.Available < 100 || no.Available > 116 || no.KeyTokensLeft == nil || *no.KeyTokensLeft != 1000 {
			f.Errorf("refusal %+v", no)
		}
		f.settle(hold, tokens("300"))
		hold = f.reserve(key, tokens("700"))
		if left := f.release(hold).Tokens.Remaining; left < 700 || left > 705 {
			f.Errorf("%d tokens remain after the release, want about 700", left)
		}
		// An overrun takes the bucket below zero: it takes longer to recover.
		f.settle(f.reserve(key, tokens("700")), tokens("1700"))
		no = isReason(f, f.refused(key, tokens("1")), RateLimited, "key.tpm")
		if no.RetryAfter < 59*time.Second || no.RetryAfter > 61*time.Second || no.Available != 0 {
			f.Errorf("retry after %s, want about 60s; %d available, want 0", no.RetryAfter, no.Available)
		}
		f.release(f.reserve(key, cost(f, "0.01"))) // needs no tokens, and waits for none
		f.pass(no.RetryAfter)
		f.release(f.reserve(key, tokens("1")))

		f.pass(time.Hour)
		f.reserve(key, tokens("900")) // and nobody hears of it again
		f.pass(defaultHoldTTL - time.Second)
		f.settle(f.reserve(key, tokens("1000")), tokens("1000"))
		f.pass(2 * time.Second)
		if s := f.sweep(); s.Released != 1 {
			f.Errorf("swept %+v", s)
		}
		// What comes back to a bucket that has filled up meanwhile is more than it holds.
		hold = f.reserve(key, tokens("900"))
		f.pass(time.Minute)
		if left := f.settle(hold, tokens("100")).Standing.Tokens.Remaining; left != 1000 {
			f.Errorf("%d tokens remain, want 1000", left)
		}
		f.release(f.reserve(key, tokens("900")))
	})
}

func TestKeyParallel(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "1", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{Parallel: 2})
		first, second := f.reserve(key, cost(f, "0.01")), f.reserve(key, cost(f, "0.01"))
		no := isReason(f, f.refused(key, cost(f, "0.01")), TooManyParallel, "key.parallel")
		if !no.Counted || no.Required != 1 || no.Available != 0 || no.Held != 2 || no.KeyTokensLeft != nil {
			f.Errorf("refusal %+v", no)
		}
		f.settle(first, cost(f, "0.01"))
		third := f.reserve(key, cost(f, "0.01"))
		f.release(second)
		f.release(f.reserve(key, cost(f, "0.01")))
		f.release(third)
		if use := f.keyUse(key); use.Parallel != 0 {
			f.Errorf("use %+v", use)
		}
	})
}

// A limit that is truly exhausted is named before one that would hold again
// when the account's requests in flight are over; and funds say in-flight only
// when it would really fit then.
func TestExhaustedGoesBeforeInFlight(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "2", "0", AccountOptions{})
		f.grant(Grant{Account: "acme", Quantity: 100})
		key, limited := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{SpendTotal: f.nano("1")})
		hold := f.reserve(key, charge(f, "call 1 1.5", "input 60 0.001"))
		no := isReason(f, f.refused(key, cost(f, "2")), InFlight, "balance")
		if no.Required != 2e9 || no.Available != 5e8 || no.Held != 15e8 || no.PackFree != 0 {
			f.Errorf("refusal %+v", no)
		}
		_ = isReason(f, f.refused(key, cost(f, "2.1")), InsufficientFunds, "balance")
		_ = isReason(f, f.refused(limited, cost(f, "2")), KeySpendExhausted, "key.spend_total")
		_ = isReason(f, f.refused(limited, cost(f, "2.1")), InsufficientFunds, "balance") // both are: the account first
		// 100 tokens of the pack would be free again: then the cash is just enough for the other 1000.
		no = isReason(f, f.refused(key, charge(f, "input 1100 0.002")), InFlight, "balance")
		if no.PackFree != 40 {
			f.Errorf("refusal %+v", no)
		}
		_ = isReason(f, f.refused(key, charge(f, "input 1101 0.002")), InsufficientFunds, "balance")
		f.release(hold)
		f.release(f.reserve(key, charge(f, "input 1100 0.002")))
		// Nor does a pack after the wallets that others hold make it exhausted, nor a debt that the pack of which others hold all
		// does not ask for, nor what of the overdraft is held.
		f.account("after", "1", "0", AccountOptions{})
		f.grant(Grant{Account: "after", Quantity: 100, Order: AfterBalance})
		key = f.key("after", KeyLimits{})
		f.reserve(key, charge(f, "input 100 0.02"))
		_ = isReason(f, f.refused(key, charge(f, "input 150 0.02")), InFlight, "balance")
		_ = isReason(f, f.refused(key, charge(f, "input 151 0.02")), InsufficientFunds, "balance")
		f.account("debt", "1", "0", AccountOptions{})
		key = f.key("debt", KeyLimits{})
		f.settle(f.reserve(key, cost(f, "1")), cost(f, "2"))
		f.grant(Grant{Account: "debt", Quantity: 100})
		f.reserve(key, charge(f, "input 100 0.02"))
		_ = isReason(f, f.refused(key, charge(f, "input 100 0.02")), InFlight, "balance")
		_ = isReason(f, f.refused(key, charge(f, "input 101 0.02")), InsufficientFunds, "balance")
		f.account("overdrawn", "1", "0", AccountOptions{Overdraft: f.nano("4")})
		key = f.key("overdrawn", KeyLimits{})
		f.reserve(key, cost(f, "5"))
		_ = isReason(f, f.refused(key, cost(f, "5")), InFlight, "balance")
		// So it is among the limits of one key.
		tight := f.key("acme", KeyLimits{SpendTotal: f.nano("2"), SpendDaily: f.nano("1.2")})
		hold = f.reserve(tight, cost(f, "1"))
		_ = isReason(f, f.refused(tight, cost(f, "1.5")), KeySpendExhausted, "key.spend_daily")
		_ = isReason(f, f.refused(tight, cost(f, "1.1")), InFlight, "balance") // none of the three is: the account, and then the
		f.topup("acme", Recharge, "1")
		_ = isReason(f, f.refused(tight, cost(f, "1.1")), InFlight, "key.spend_total") // first limit
		f.release(hold)
	})
}

func TestKeyIsChecked(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	year10000 := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, limits := range map[string]KeyLimits{
		"negative spend": {SpendDaily: -1}, "negative rpm": {RPM: -1}, "negative tokens": {Tokens: -1},
		"too many tokens": {Tokens: maxUnits + 1}, "too many tokens a minute": {TPM: maxPerMinute + 1},
		"pattern": {Models: []string{"a\tb"}}, "network": {Networks: []string{"10.0.0.0/40"}}, "host name": {Networks: []string{"example.com"}},
		"zone": {Networks: []string{"fe80::1%eth0"}}, "expiry": {ExpiresAt: &year10000},
	} {
		if _, _, err := f.ledger.CreateKey(f.ctx(), "acme", NewKey{Limits: limits}); err == nil {
			t.Errorf("%s: made", name)
		} else {
			wants(t, err, ErrInvalid)
		}
	}
	_, _, err := f.ledger.CreateKey(f.ctx(), "nobody", NewKey{})
	wants(t, err, ErrNotFound)
}

// Two keys of an account cannot have one id: the second is not made, and does not pass for the first.
func TestKeyOfAnothersID(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "1", "0", AccountOptions{})
	first := f.key("acme", KeyLimits{})
	second := first
	second.Hash = first.Hash[:suffixLength] + first.Hash[:64-suffixLength]
	if second.suffix() != first.suffix() {
		t.Fatalf("ids %s and %s", first.suffix(), second.suffix())
	}
	_, err := f.ledger.createKey(f.ctx(), "acme", NewKey{}, second)
	wants(t, err, errSuffixTaken)
	_ = isReason(t, f.refused(second, cost(t, "0.1")), KeyInvalid, "key")
}

func TestKeysAreListed(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "0", "0", AccountOptions{})
	expires := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	limits := KeyLimits{Models: []string{"glm*"}, Networks: []string{"10.0.0.0/8"}, SpendDaily: f.nano("0.5"), RPM: 7, ExpiresAt: &expires}
	made, secret, err := f.ledger.CreateKey(f.ctx(), "acme", NewKey{Name: "ci", Limits: limits})
	f.must(err)
	keys, err := f.ledger.Keys(f.ctx(), "acme")
	f.must(err)
	if len(keys) != 1 || keys[0].ID != made.ID || keys[0].Name != "ci" || keys[0].Limits.RPM != 7 ||
		keys[0].Limits.SpendDaily != f.nano("0.5") || !keys[0].Limits.ExpiresAt.Equal(expires) || keys[0].Status != "active" {
		t.Errorf("keys %+v", keys)
	}
	credential, _ := ParseCredential(secret)
	holder, err := f.ledger.Holder(f.ctx(), credential, netip.MustParseAddr("10.9.9.9"))
	f.must(err)
	if holder.Key.ID != made.ID || holder.Account.ID != "acme" {
		t.Errorf("authenticated as %+v of %+v", holder.Key, holder.Account)
	}
	if left := holder.Standing; !left.OfNoModel || left.KeySpendLeft == nil || *left.KeySpendLeft != f.nano("0.5") || left.Requests.Limit != 7 {
		t.Errorf("what is left is %+v", left)
	}
	f.topup("acme", Recharge, "1")
	call := f.reservation(credential, cost(f, "0.1"))
	call.Client = netip.MustParseAddr("10.9.9.9")
	_, err = f.ledger.Reserve(f.ctx(), call)
	f.must(err)
	holder, err = f.ledger.Holder(f.ctx(), credential, netip.MustParseAddr("10.9.9.9"))
	f.must(err)
	if rate := holder.Key.Requests; rate.Limit != 7 || rate.Remaining != 6 {
		t.Errorf("requests of the key: %+v", rate)
	}
	_, err = f.ledger.Authenticate(f.ctx(), credential, netip.MustParseAddr("11.9.9.9"))
	_ = isReason(t, err, NetworkNotAllowed, "key.networks")
	_, err = f.ledger.Authenticate(f.ctx(), Credential{Account: "acme}", Hash: credential.Hash}, netip.Addr{})
	_ = isReason(t, err, KeyInvalid, "key")
	f.pass(time.Until(expires) + time.Hour)
	expired, err := f.ledger.FindKey(f.ctx(), made.ID)
	f.must(err)
	if expired.Status != "expired" {
		t.Errorf("status %s", expired.Status)
	}
}

// A limit beyond 2^53 is kept as text by the scripts, also by those that have met the key before.
func TestLimitBeyondADouble(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "100", "0", AccountOptions{})
	limit := f.nano("8999999999.999999999")
	key := f.key("acme", KeyLimits{SpendTotal: limit, SpendDaily: f.nano("8999999999.999999998")})
	for spent := meter.Nano(0); spent < 5; {
		hold := f.reserve(key, cost(f, "0.000000001"))
		receipt := f.settle(hold, cost(f, "0.000000001"))
		spent++
		if left := receipt.Standing.KeySpendLeft; left == nil || *left != limit-1-spent {
			t.Fatalf("after %d nano, %v is left of %s", spent, left, limit)
		}
	}
	f.audit()
	// What is left of such a limit is exact, where it is small enough for a number again.
	f.topup("acme", Recharge, "9007199")
	key = f.key("acme", KeyLimits{SpendTotal: f.nano("9007199.254740993")}) // 2^53 + 1 nano
	used := cost(f, "9007199.254740983")
	f.settle(f.reserve(key, used), used)
	f.release(f.reserve(key, cost(f, "0.00000001")))
	_ = isReason(t, f.refused(key, cost(f, "0.000000011")), KeySpendExhausted, "key.spend_total")
	// So is what a key has spent that has come to more.
	f.topup("acme", Recharge, "20000000")
	key = f.key("acme", KeyLimits{})
	for _, amount := range []string{"9007199.254740991", "0.000000004", "0.000000001", "0.000000001", "0.000000001"} {
		f.settle(f.reserve(key, cost(f, amount)), cost(f, amount))
	}
	if spent := f.keyUse(key).SpendTotal; spent != f.nano("9007199.254740998") {
		t.Errorf("spent %s", spent)
	}
}

// Redis's clock is set back: what it wrote down before does not refuse until it is there again.
func TestClockSetBackLeavesRates(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{RPM: 1})
	f.pass(time.Hour)
	f.release(f.reserve(key, cost(t, "1")))
	_ = f.refused(key, cost(t, "1"))
	f.pass(-time.Hour)
	f.release(f.reserve(key, cost(t, "1")))
	_ = f.refused(key, cost(t, "1"))
}
