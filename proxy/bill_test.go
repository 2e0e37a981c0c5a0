package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

// While a bill of an account is being added up another one is refused; other accounts do not mind.
func TestOneBillOfAnAccountAtATime(t *testing.T) {
	l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &Proxy{ledger: l}
	ask := func(account string) error {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/bills/2026-11", http.NoBody)
		r.SetPathValue("month", time.Now().Format("2006-01"))
		_, err := p.showBill(r, &ledger.Holder{Account: &ledger.Account{ID: account}})
		return err
	}
	for _, account := range []string{"acme", "other"} {
		if _, err := l.CreateAccount(t.Context(), account, ledger.AccountOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	p.billing.Store("acme", true)
	var refused *apiError
	if err := ask("acme"); !errors.As(err, &refused) || refused.status != http.StatusTooManyRequests || refused.retryAfter == 0 {
		t.Errorf("a second bill at the same time: %v", err)
	}
	for range 2 { // one after the other
		if err := ask("other"); err != nil {
			t.Errorf("the bill of another account: %v", err)
		}
	}
}

// The month is one of the ledger's time zone, and is not cut short by the patience of a short question.
func TestBillOfAMonth(t *testing.T) {
	l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY", Timezone: time.FixedZone("west", -5*3600)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.CreateAccount(t.Context(), "acme", ledger.AccountOptions{}); err != nil {
		t.Fatal(err)
	}
	p := &Proxy{ledger: l}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	ask := func(account, query string) (any, error) {
		r := httptest.NewRequestWithContext(over, http.MethodGet, "/v1/bills/2026-11"+query, http.NoBody)
		r.SetPathValue("month", "2026-11")
		return p.showBill(r, &ledger.Holder{Account: &ledger.Account{ID: account}})
	}
	for _, query := range []string{"", "?format=json"} {
		answer, err := ask("acme", query)
		if bill, is := answer.(*ledger.Bill); err != nil || !is || bill.Month != "2026-11" {
			t.Errorf("%q: %+v, %v", query, answer, err)
		}
	}
	if answer, err := ask("acme", "?format=csv"); err != nil || answer.(document).contentType != "text/csv; charset=utf-8" {
		t.Errorf("as CSV: %+v, %v", answer, err)
	}
	if answer, err := ask("nobody", "?format=csv"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("of no account, as CSV: %+v, %v", answer, err)
	}
}
