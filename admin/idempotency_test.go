package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tollgate/tollgate/ledger"
)

// with sends what follows with an Idempotency-Key, as a client that repeats does.
func (o *operator) with(key string) *operator {
	other := *o
	other.header = map[string][]string{"Idempotency-Key": {key}}
	return &other
}

// A repeat of what books is booked once, and answered as the first time, also when all come at once.
func TestRepeatsAreBookedOnce(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	for i, tt := range []struct{ path, body, other string }{
		{"/topups", `{"amount": "5"}`, `{"amount": "6"}`},
		{"/adjustments", `{"amount": "-1", "reason": "typo"}`, `{"amount": "-2", "reason": "typo"}`},
		{"/packs", `{"quantity": 1000}`, `{"quantity": 1001}`},
		{"/keys", `{"name": "ci", "limits": {"rpm": 5}}`, `{"name": "ci"}`},
	} {
		t.Run(tt.path, func(t *testing.T) {
			o := *o
			o.T = t
			key, path := strings.Repeat("k", i+1), "/accounts/acme"+tt.path
			answers := make([]string, 8)
			var all sync.WaitGroup
			for n := range answers {
				all.Go(func() { answers[n] = string(o.with(key).send("POST", path, tt.body).body) })
			}
			all.Wait()
			for _, answer := range answers {
				if answer != answers[0] || strings.Contains(answer, "error") {
					t.Errorf("answered %s and %s", answers[0], answer)
				}
			}
			o.with(key).refused("POST", path, tt.other, 409, "conflict", "")
			if again := string(o.with(key+"2").do("POST", path, tt.body).body); again == answers[0] {
				t.Errorf("another Idempotency-Key is answered %s, too", again)
			}
		})
	}
	a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", ""))
	if balance := a.Wallets[ledger.Recharge].Balance.String(); balance != "8" || len(a.Packs) != 2 {
		t.Errorf("balance %s, %d packs, want 8 and 2", balance, len(a.Packs))
	}
	if keys := decode[[]ledger.Key](o, o.do("GET", "/accounts/acme/keys", "")); len(keys) != 2 {
		t.Errorf("%d keys, want 2", len(keys))
	}
}

// What changes no money may be repeated as it is.
func TestRepeatsThatNeedNoKey(t *testing.T) {
	o := newOperator(t)
	for range 2 {
		o.do("POST", "/accounts", `{"id": "acme"}`)
		o.do("PATCH", "/accounts/acme", `{"overdraft": "1"}`)
		o.do("POST", "/accounts/acme/suspend", `{"reason": ""}`)
		o.do("PATCH", "/accounts/acme", `{"overdraft": "0"}`)
	}
	o.do("POST", "/accounts/acme/packs", `{"quantity": 5}`)
	k := decode[ledger.CreatedKey](o, o.do("POST", "/accounts/acme/keys", `{"name": ""}`))
	first := string(o.do("POST", "/accounts/acme/packs/p1/revoke", "").body)
	if again := string(o.do("POST", "/accounts/acme/packs/p1/revoke", "").body); again != first {
		t.Errorf("revoked as %s and %s", first, again)
	}
	for range 2 {
		o.do("POST", "/accounts/acme/keys/"+k.ID+"/revoke", "")
	}
	o.refused("POST", "/accounts", `{"id": "acme", "split": "equal"}`, 409, "conflict", "with other options")
}

// An Idempotency-Key is the ref of a body that names none: two names for one thing must not differ.
func TestRefAndIdempotencyKey(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	path, body := "/accounts/acme/topups", `{"amount": "5", "ref": "invoice-81"}`
	first := string(o.do("POST", path, body).body)
	for name, again := range map[string]got{
		"both":                      o.with("invoice-81").do("POST", path, body),
		"the Idempotency-Key alone": o.with("invoice-81").do("POST", path, `{"amount": "5"}`),
	} {
		if string(again.body) != first {
			t.Errorf("%s: booked as %s and %s", name, first, again.body)
		}
	}
	o.with("another").refused("POST", path, body, 400, "invalid_request", "ref and Idempotency-Key differ")
	o.with("").refused("POST", path, body, 400, "invalid_request", "Idempotency-Key is empty")
	o.with(" x").refused("POST", path, `{"amount": "-5"}`, 400, "invalid_request", "want more than 0")
	for bad, words := range map[string]string{strings.Repeat("k", 513): "at most 512 characters", "\xff": "not UTF-8", "a\tb": "without control characters"} {
		for path, body := range map[string]string{path: `{"amount": "5"}`, "/accounts/acme/keys": `{}`} {
			o.with(bad).refused("POST", path, body, 400, "invalid_request", words)
		}
	}
	twice := *o
	twice.header = map[string][]string{"Idempotency-Key": {"a", "b"}}
	twice.refused("POST", path, `{"amount": "5"}`, 400, "invalid_request", "given twice")
	if a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", "")); a.Wallets[ledger.Recharge].Balance.String() != "5" {
		t.Errorf("balance %s, want 5", a.Wallets[ledger.Recharge].Balance)
	}
}

// Another token makes other secrets, and so does another Idempotency-Key: the one alone tells nothing.
func TestSeedsNeedBoth(t *testing.T) {
	seen := make(map[string]string)
	for _, tt := range [][2]string{{"token", "a"}, {"token", "b"}, {"other", "a"}} {
		seed, err := (&seeds{token: tt[0], rounds: 3}).of(tt[1])
		if err != nil {
			t.Fatal(err)
		}
		again, err := (&seeds{token: tt[0], rounds: 3}).of(tt[1])
		if err != nil || !bytes.Equal(again, seed) {
			t.Errorf("%q: another seed the second time, %v", tt, err)
		}
		if other, there := seen[string(seed)]; there {
			t.Errorf("%q has the seed of %s", tt, other)
		}
		seen[string(seed)] = tt[0] + tt[1]
	}
}

// Who learns an Idempotency-Key, and has not the token, cannot make the key's secret again with a token of his own.
func TestAKeyMadeOnceIsTheTokens(t *testing.T) {
	l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if _, err := l.CreateAccount(t.Context(), "acme", ledger.AccountOptions{}); err != nil {
		t.Fatal(err)
	}
	made := func(token string) (k ledger.CreatedKey) {
		h, err := New(Options{Ready: ready, Gatherer: prometheus.NewRegistry(), Token: token, Ledger: l})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, prefix+"/accounts/acme/keys", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Idempotency-Key", "ci-key-1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &k); err != nil || k.Secret == "" {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return k
	}
	one, again, other := made("one"), made("one"), made("other")
	if again.Secret != one.Secret || again.ID != one.ID || other.Secret == one.Secret || other.ID == one.ID {
		t.Errorf("made %s, again %s, by another token %s", one.ID, again.ID, other.ID)
	}
}
