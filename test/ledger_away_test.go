package e2e

import (
	"testing"
	"time"
)

// An outage of the ledger is said as such: 503 at once, never a 401 or a 429; and it passes.
func TestLedgerAway(t *testing.T) {
	w, p, key := acme(t)
	body := chat("gpt-4o", "usage=100,50")
	p.post(chatPath, key, body).requireStatus(t, 200)
	equal(t, "tollgate_ledger_ready", p.metric("tollgate_ledger_ready"), 1)
	w.redis.Stop()
	eventually(t, "a metric says so, without any call", func() bool { return p.metric("tollgate_ledger_ready") == 0 })
	want := refusal{status: 503, code: "metering_unavailable", kind: "server_error"}
	for _, credential := range []string{key, wrongKey(key), "tg-nobody-" + key[len("tg-acme-"):]} {
		began := time.Now()
		r := p.post(chatPath, credential, body)
		want.require(t, r)
		equal(t, "Retry-After", r.header.Get("Retry-After"), "1")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the refusal took %s", took)
		}
	}
	want.require(t, p.get("/v1/credits", key))
	eventually(t, "readyz fails", func() bool { return p.adminStatus("/readyz") == 503 })
	equal(t, "healthz", p.adminStatus("/healthz"), 200)
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 1)
	w.redis.Start()
	eventually(t, "calls are admitted again", func() bool { return p.post(chatPath, key, body).status == 200 })
	eventually(t, "readyz is well", func() bool { return p.adminStatus("/readyz") == 200 })
	equal(t, "tollgate_ledger_ready", p.metric("tollgate_ledger_ready"), 1)
	w.requireSettled("acme")
	p.stop()
	requireJSONLog(t, p)
}
