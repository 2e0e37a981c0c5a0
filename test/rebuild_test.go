package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// Redis loses all that it had. The archive has what operators said, the
// settlement logs of proxies what clients were told: together they bring back
// what was, to the nano, beside proxies that run and one that was killed.
func TestRebuildFromArchiveAndLogs(t *testing.T) {
	// The archiver does not come to the charges: an hour is longer than the test.
	w, p, key := acme(t, func(s *settings) { s.archive = "interval: 1h" })
	w.verb("topup", "acme", "3", "--wallet", "bonus")
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "1000", "--models", "gpt-4o")
	killed := w.serve()
	var ids []string
	for i := range 20 {
		by := []*process{p, killed}[i%2]
		path, body := killCall(i / 2)
		r := by.post(path, key, body)
		if !whole(r) {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
		ids = append(ids, r.header.Get("x-request-id"))
	}
	before := w.requireSettled("acme")
	last := ids[len(ids)-1]
	eventually(t, "the log says who paid the last call", func() bool { return w.logNames(killed, last) == 3 })
	killed.kill()

	w.redis.Kill()
	if err := os.RemoveAll(filepath.Join(w.redis.Dir(), "appendonlydir")); err != nil {
		t.Fatal(err)
	}
	w.redis.Start()
	refusal{status: 503, code: "metering_unavailable", kind: "server_error"}.require(t, p.post(chatPath, key, chat("gpt-4o", "usage=1,1")))
	report := w.verb("rebuild")
	if !report.Get("audit.ok").Bool() {
		t.Errorf("rebuild printed %s", report.Raw)
	}
	w.verb("log", "replay", killed.cmd.Dir+"/data/settlements")
	w.requireCharged("acme", ids)
	after := w.requireSettled("acme")
	for _, what := range []string{"wallets", "packs", "held", "status", "split"} {
		equal(t, what, after.Get(what).Raw, before.Get(what).Raw)
	}
	eventually(t, "calls are admitted again", func() bool {
		return p.send("POST", chatPath, key, chat("gpt-4o", "usage=1,1")).status == 200
	})
}
