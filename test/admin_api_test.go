package e2e

import (
	"sync"
	"testing"
)

// office is a process's admin API.
func (p *process) office() *process {
	other := *p
	other.url = p.admin
	return &other
}

// ask asks the admin API for what must be done.
func (p *process) ask(method, path, body string, headers ...string) reply {
	p.t.Helper()
	r := p.office().send(method, "/admin/v1"+path, "operator", body, headers...)
	if r.err != nil || r.status != 200 {
		p.t.Fatalf("%s %s: %d %s %v", method, path, r.status, r.body, r.err)
	}
	return r
}

// An account that knows nothing but HTTP: made, paid, used, billed, and given back.
func TestAdminAPI(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.archive = "interval: 100ms" })
	p := w.serve()
	p.ask("POST", "/accounts", `{"id": "acme"}`)
	p.ask("POST", "/accounts/acme/topups", `{"amount": "10", "ref": "invoice-1"}`)
	key := p.ask("POST", "/accounts/acme/keys", `{"limits": {"spend_daily": "1"}}`, "Idempotency-Key", "4a51").get("secret").String()
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	charge := p.ask("GET", "/accounts/acme/journal?type=charge", "").get("0")
	equal(t, "fee", charge.Get("fee").String(), "0.0025")
	p.ask("POST", "/accounts/acme/refunds", `{"request_id": "`+charge.Get("request_id").String()+`", "amount": "0.0005", "reason": "slow"}`)
	month := charge.Get("time").Time().UTC().Format("2006-01") // policy.timezone, by default
	equal(t, "fee of the month", p.ask("GET", "/accounts/acme/bills/"+month, "").get("fee").String(), "0.002")
	equal(t, "balance", p.ask("GET", "/accounts/acme", "").get("wallets.recharge.balance").String(), "9.998")
	p.ask("POST", "/accounts/acme/suspend", `{"reason": "done"}`)
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 403)
	equal(t, "books that balance", p.ask("GET", "/audit", "").get("ok").Bool(), true)
	w.requireAudit()
}

// What is said to two proxies at once, by a client that repeats, is booked once, and a key has one secret.
func TestAdminAPIOfTwoProxies(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.archive = "interval: 100ms" })
	proxies := []*process{w.serve(), w.serve()}
	proxies[0].ask("POST", "/accounts", `{"id": "acme"}`)
	secrets := make([]string, 8)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			office := proxies[i%2].office()
			if r := office.send("POST", "/admin/v1/accounts/acme/topups", "operator", `{"amount": "10"}`, "Idempotency-Key", "payment"); r.status != 200 {
				t.Errorf("topup: %d %s", r.status, r.body)
			}
			secrets[i] = office.send("POST", "/admin/v1/accounts/acme/keys", "operator", "", "Idempotency-Key", "key").get("secret").String()
		})
	}
	all.Wait()
	for _, secret := range secrets {
		equal(t, "secret", secret, secrets[0])
	}
	proxies[1].post(chatPath, secrets[0], chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	equal(t, "balance", proxies[0].ask("GET", "/accounts/acme", "").get("wallets.recharge.balance").String(), "9.9975")
	equal(t, "keys", proxies[0].ask("GET", "/accounts/acme/keys", "").get("#").Int(), 1)
	w.requireAudit()
}
