package admin

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// The operator's day, on one Redis and on a cluster. Each answer is what openapi.yaml says.
func TestOperatorsDay(t *testing.T) {
	for name, options := range map[string][]redistest.Option{"standalone": nil, "cluster": {redistest.WithCluster()}} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, options...)
			if a := decode[ledger.Account](o, o.do("POST", "/accounts", `{"id": "acme", "split": "bonus_first", "overdraft": "1.5"}`)); a.ID != "acme" || a.Split != ledger.BonusFirst || a.Overdraft != 1_500_000_000 {
				t.Errorf("account %+v", a)
			}
			if a := decode[ledger.Account](o, o.do("PATCH", "/accounts/acme", `{"overdraft": "0"}`)); a.Overdraft != 0 || a.Split != ledger.BonusFirst {
				t.Errorf("changed to %+v", a)
			}
			o.do("POST", "/accounts", `{"id":"bolt"}`)
			if all := decode[[]ledger.Account](o, o.do("GET", "/accounts", "")); len(all) != 2 || all[0].ID != "acme" {
				t.Errorf("accounts %+v", all)
			}
			o.testMoney()
			o.testPacks()
			o.testKeysAndCalls()
			if a := decode[ledger.Account](o, o.do("POST", "/accounts/acme/suspend", `{"reason": "late"}`)); a.Status != "suspended" {
				t.Errorf("account %+v", a)
			}
			if e := decode[[]ledger.Entry](o, o.do("GET", "/accounts/acme/journal?type=suspend", "")); len(e) != 1 || e[0].Reason != "late" {
				t.Errorf("journaled %+v", e)
			}
			if a := decode[ledger.Account](o, o.do("POST", "/accounts/acme/resume", "")); a.Status != "active" {
				t.Errorf("account %+v", a)
			}
			for path, accounts := range map[string]int{"/audit": 2, "/accounts/acme/audit": 1} {
				if r := decode[ledger.AuditReport](o, o.do("GET", path, "")); !r.OK || r.Accounts != accounts {
					t.Errorf("%s: %+v", path, r)
				}
			}
		})
	}
}

func (o *operator) testMoney() {
	e := decode[ledger.Entry](o, o.do("POST", "/accounts/acme/topups", `{"amount": "50"}`))
	if e.Type != ledger.TypeTopup || *e.Amount != 50*meter.NanoPerUnit || e.Wallet != ledger.Recharge {
		o.Errorf("topup %+v", e)
	}
	e = decode[ledger.Entry](o, o.do("POST", "/accounts/acme/topups", `{"amount": "0.25", "wallet": "bonus", "ref": "r1"}`))
	if e.Wallet != ledger.Bonus || e.Ref != "r1" {
		o.Errorf("topup %+v", e)
	}
	e = decode[ledger.Entry](o, o.do("POST", "/accounts/acme/adjustments", `{"amount": "-20", "reason": "typo"}`))
	if e.Type != ledger.TypeAdjust || e.Reason != "typo" {
		o.Errorf("adjustment %+v", e)
	}
	a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", ""))
	if a.Wallets[ledger.Recharge].Balance != 30*meter.NanoPerUnit || a.Wallets[ledger.Bonus].Balance != meter.NanoPerUnit/4 {
		o.Errorf("wallets %+v", a.Wallets)
	}
}

func (o *operator) testPacks() {
	p := decode[ledger.Pack](o, o.do("POST", "/accounts/acme/packs", `{"quantity": 1000, "models": ["glm-4*"], "expires_at": "2036-12-31", "ref": "order-7"}`))
	if p.ID != "p1" || p.Unit != "token" || p.Priority != ledger.DefaultPriority || p.Order != ledger.BeforeBalance || p.ExpiresAt == nil || len(p.Models) != 1 || p.Models[0] != "glm-4*" {
		o.Errorf("pack %+v", p)
	}
	p = decode[ledger.Pack](o, o.do("POST", "/accounts/acme/packs", `{"unit": "image", "quantity": 3, "priority": 1, "order": "after_balance"}`))
	if p.Unit != "image" || p.Priority != 1 || p.Order != ledger.AfterBalance || p.ExpiresAt != nil || len(p.Models) != 0 {
		o.Errorf("pack %+v", p)
	}
	if e := decode[ledger.Entry](o, o.do("POST", "/accounts/acme/packs/p2/revoke", `{"reason": "returned"}`)); e.Type != ledger.TypeRevoke || e.Pack != "p2" || e.Reason != "returned" {
		o.Errorf("revoked %+v", e)
	}
	if packs := decode[[]ledger.Pack](o, o.do("GET", "/accounts/acme/packs", "")); len(packs) != 2 || packs[1].Status != "revoked" {
		o.Errorf("packs %+v", packs)
	}
}

func (o *operator) testKeysAndCalls() {
	k := decode[ledger.CreatedKey](o, o.do("POST", "/accounts/acme/keys", `{"name": "laptop", "limits": {"models": ["glm-4*"], "endpoints": ["chat"], "networks": ["10.0.0.0/8"],
		"expires_at": "2036-01-31", "spend_total": "100", "spend_daily": "5", "spend_monthly": "50", "tokens": 100000, "rpm": 60, "tpm": 90000, "parallel": 4, "receipt_in_body": true}}`))
	if !strings.HasPrefix(k.Secret, "tg-acme-") || k.Name != "laptop" || k.Limits.RPM != 60 || k.Limits.SpendDaily != 5*meter.NanoPerUnit || k.Limits.ExpiresAt == nil {
		o.Errorf("key %+v", k)
	}
	charged := o.call(k.Secret, 1500)
	if holds := decode[[]ledger.OpenHold](o, o.do("GET", "/accounts/acme/holds", "")); len(holds) != 0 {
		o.Errorf("held %+v", holds)
	}
	e := decode[ledger.Entry](o, o.do("POST", "/accounts/acme/refunds", `{"request_id": "`+charged+`", "amount": "0.1", "reason": "goodwill"}`))
	if e.Type != ledger.TypeRefund || e.FeeDue() != meter.NanoPerUnit/10 {
		o.Errorf("refund %+v", e)
	}
	entries := decode[[]ledger.Entry](o, o.do("GET", "/accounts/acme/journal?type=charge,refund&since=2026-01-01&limit=2", ""))
	if len(entries) != 2 || entries[0].RequestID != charged || entries[1].Type != ledger.TypeRefund {
		o.Errorf("journal %+v", entries)
	}
	day := entries[0].Time.In(o.ledger.Timezone())
	for query, want := range map[string]bool{
		"since=" + day.Format(time.DateOnly):                          true,
		"since=" + meter.NextDay(day).Format(time.DateOnly):           false,
		"until=" + day.Format(time.DateOnly):                          true, // a day is in it whole
		"until=" + day.AddDate(0, 0, -1).Format(time.DateOnly):        false,
		"until=" + day.UTC().Format("2006-01-02T15:04:05.999999999Z"): false,
	} {
		found := slices.ContainsFunc(decode[[]ledger.Entry](o, o.do("GET", "/accounts/acme/journal?"+query, "")), func(e ledger.Entry) bool { return e.ID == entries[0].ID })
		if found != want {
			o.Errorf("%s: the charge of %s is there: %t", query, day, found)
		}
	}
	// The + of a zone is a blank in a query that was not encoded.
	if later := decode[[]ledger.Entry](o, o.do("GET", "/accounts/acme/journal?since=2026-01-01T00:00:00+08:00&until=2026-01-02T00:00:00+08:00", "")); len(later) != 0 {
		o.Errorf("journal of a day %+v", later)
	}
	if all := decode[[]ledger.Entry](o, o.do("GET", "/accounts/acme/journal", "")); len(all) != 11 {
		o.Errorf("%d entries in the journal", len(all))
	}
	month := "/accounts/acme/bills/" + time.Now().In(o.ledger.Timezone()).Format("2006-01")
	for _, asked := range []string{month, month + "?format=json"} {
		if b := decode[ledger.Bill](o, o.do("GET", asked, "")); b.Fee.String() != "0.4" || len(b.Packs) != 1 || b.Packs[0].Quantity != 1000 {
			o.Errorf("%s: bill %+v", asked, b)
		}
	}
	if csv := o.do("GET", month+"?format=csv", ""); csv.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(string(csv.body), ",input=1500,0.4,CNY,1000") {
		o.Errorf("csv %s", csv.body)
	}
	o.refused("POST", "/accounts/bolt/keys/"+k.ID+"/revoke", "", 404, "not_found", "key "+k.ID) // another's
	if revoked := decode[ledger.Key](o, o.do("POST", "/accounts/acme/keys/"+k.ID+"/revoke", "")); revoked.Status != "revoked" {
		o.Errorf("revoked %+v", revoked)
	}
	if keys := decode[[]ledger.Key](o, o.do("GET", "/accounts/acme/keys", "")); len(keys) != 1 || strings.Contains(string(o.do("GET", "/accounts/acme/keys", "").body), k.Secret) {
		o.Errorf("keys %+v", keys)
	}
}

// call is a call of so many tokens, a thousandth each, as the data plane books it.
func (o *operator) call(secret string, tokens int64) string {
	o.Helper()
	credential, _ := ledger.ParseCredential(secret)
	rate, err := meter.ParseRate("0.001", meter.Input)
	o.must(err)
	amount, err := rate.Amount(tokens)
	o.must(err)
	c := meter.Charge{Lines: []meter.Line{{Dimension: meter.Input, Quantity: tokens, Rate: rate, Amount: amount}}, Fee: amount, PriceVersion: "test"}
	id := ledger.NewRequestID()
	hold, err := o.ledger.Reserve(o.Context(), ledger.Reservation{
		ID: id, Credential: credential, Model: "glm-4", Endpoint: "chat", Client: netip.MustParseAddr("10.1.2.3"), Quote: c,
	})
	o.must(err)
	_, err = o.ledger.Settle(o.Context(), ledger.Settlement{
		ID: id, Account: hold.Account, Key: hold.Key, Model: "glm-4", Endpoint: "chat", At: time.Now(), Source: meter.FromUpstream, Charge: c,
	})
	o.must(err)
	return id
}

func (o *operator) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// A hold that was abandoned is ended by the operator, who says how.
func TestEndAHold(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	o.do("POST", "/accounts/acme/topups", `{"amount": "50"}`)
	k := decode[ledger.CreatedKey](o, o.do("POST", "/accounts/acme/keys", ""))
	alive := o.hold(k.Secret, 15*time.Minute)
	o.refused("POST", "/accounts/acme/holds/"+alive+"/end", `{"charge": false}`, 409, "conflict", "its proxy may be at work")
	abandoned := o.hold(k.Secret, time.Millisecond)
	for len(decode[[]ledger.OpenHold](o, o.do("GET", "/holds", ""))) == 0 { // until its time is over
	}
	if holds := decode[[]ledger.OpenHold](o, o.do("GET", "/accounts/acme/holds", "")); len(holds) != 2 || holds[0].Overdue || !holds[1].Overdue {
		t.Errorf("holds %+v", holds)
	}
	end := "/accounts/acme/holds/" + abandoned + "/end"
	for range 2 { // the first answer may have been lost
		if ended := decode[ledger.EndedHold](o, o.do("POST", end, `{"charge": true}`)); ended.RequestID != abandoned || ended.Fee != meter.NanoPerUnit || ended.Entry == nil {
			t.Errorf("ended %+v", ended)
		}
	}
	o.refused("POST", end, `{"charge": false}`, 409, "conflict", "a refund gives it back")
}

// hold places a hold of 2 for a call that has delivered 1, and whose proxy then says no more.
func (o *operator) hold(secret string, ttl time.Duration) (requestID string) {
	o.Helper()
	l, err := ledger.Open(o.Context(), ledger.Options{URL: o.redis.URL(), Currency: "CNY", Shards: 4, HoldTTL: ttl})
	o.must(err)
	defer l.Close()
	rate, err := meter.ParseRate("1", meter.Input)
	o.must(err)
	of := func(n int64) meter.Charge {
		amount := meter.Nano(n) * meter.NanoPerUnit
		return meter.Charge{Lines: []meter.Line{{Dimension: meter.Input, Quantity: n, Rate: rate, Amount: amount}}, Fee: amount}
	}
	credential, _ := ledger.ParseCredential(secret)
	hold, err := l.Reserve(o.Context(), ledger.Reservation{
		ID: ledger.NewRequestID(), Credential: credential, Model: "glm-4", Endpoint: "chat", Quote: of(2),
	})
	o.must(err)
	o.must(l.Extend(o.Context(), ledger.Checkpoint{Settlement: ledger.Settlement{
		ID: hold.ID, Account: hold.Account, Key: hold.Key, Model: "glm-4", Endpoint: "chat", At: time.Now(), Charge: of(1),
	}}))
	return hold.ID
}
