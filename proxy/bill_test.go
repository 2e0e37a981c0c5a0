package proxy

import (
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
