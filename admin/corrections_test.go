package admin

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/ledger"
)

// An adjustment is of the wallet that it names, and is booked once under its ref.
func TestAdjustmentOfAWallet(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	for range 2 {
		for _, wallet := range []string{"recharge", "bonus"} {
			e := decode[ledger.Entry](o, o.do("POST", "/accounts/acme/adjustments", `{"amount": "5", "wallet": "`+wallet+`", "reason": "goodwill", "ref": "`+wallet+`"}`))
			if string(e.Wallet) != wallet || e.Ref != wallet {
				t.Errorf("adjusted %+v, want %s", e, wallet)
			}
		}
	}
	o.do("POST", "/accounts/acme/adjustments", `{"amount": "-2", "wallet": "bonus", "reason": "typo"}`)
	a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", ""))
	if recharge, bonus := a.Wallets[ledger.Recharge].Balance.String(), a.Wallets[ledger.Bonus].Balance.String(); recharge != "5" || bonus != "3" {
		t.Errorf("recharge %s, bonus %s; want 5 and 3", recharge, bonus)
	}
}

// A part of a charge that is given back twice, since the first answer was lost, is given back once: by a ref, and by an Idempotency-Key.
func TestRefundIsRepeatedInVain(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	o.do("POST", "/accounts/acme/topups", `{"amount": "50"}`)
	charged := o.call(decode[ledger.CreatedKey](o, o.do("POST", "/accounts/acme/keys", `{}`)).Secret, 1500)
	before := decode[ledger.Account](o, o.do("GET", "/accounts/acme", "")).Wallets[ledger.Recharge].Balance
	refund := `{"request_id": "` + charged + `", "amount": "0.1", "reason": "goodwill"`
	for name, send := range map[string]func() string{
		"a ref": func() string {
			return string(o.do("POST", "/accounts/acme/refunds", refund+`, "ref": "ticket-7"}`).body)
		},
		"an Idempotency-Key": func() string { return string(o.with("ticket-8").do("POST", "/accounts/acme/refunds", refund+`}`).body) },
	} {
		if first, again := send(), send(); first != again || !strings.Contains(first, charged) {
			t.Errorf("by %s: answered\n%s\nand then\n%s", name, first, again)
		}
	}
	if a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", "")); (a.Wallets[ledger.Recharge].Balance - before).String() != "0.2" {
		t.Errorf("%s given back, want 0.2", a.Wallets[ledger.Recharge].Balance-before)
	}
	o.refused("POST", "/accounts/acme/refunds", strings.Replace(refund, "0.1", "0.2", 1)+`, "ref": "ticket-7"}`, 409, "conflict", "ticket-7")
}

// What a change does not name stays as it is.
func TestChangeOfAnAccount(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme", "overdraft": "2"}`)
	for _, tt := range []struct {
		body, overdraft string
		split           ledger.Split
	}{
		{`{"split": "equal"}`, "2", ledger.Equal},
		{`{"overdraft": "3"}`, "3", ledger.Equal},
		{`{"split": "recharge_first", "overdraft": "0"}`, "0", ledger.RechargeFirst},
	} {
		if a := decode[ledger.Account](o, o.do("PATCH", "/accounts/acme", tt.body)); a.Split != tt.split || a.Overdraft.String() != tt.overdraft {
			t.Errorf("%s: split %s, overdraft %s", tt.body, a.Split, a.Overdraft)
		}
	}
}
