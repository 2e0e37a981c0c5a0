package e2e

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// requireKeys demands members, by path.
func requireKeys(t *testing.T, what string, object gjson.Result, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if !object.Get(path).Exists() {
			t.Errorf("%s has no %s: %s", what, path, object.Raw)
		}
	}
}

func TestVerbsPrintTheirJSON(t *testing.T) {
	w := newWorld(t)
	requireKeys(t, "account create", w.verb("account", "create", "acme", "--split", "equal"), "id", "status", "split")
	requireKeys(t, "topup", w.verb("topup", "acme", "10", "--ref", "invoice-1"), "id", "type", "account", "amount", "wallet", "ref")
	pack := w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "1000", "--models", "glm-4*", "--expires", "2099-12-31", "--priority", "3")
	requireKeys(t, "pack grant", pack, "id", "unit", "models", "quantity", "remaining", "free", "expires_at", "order", "status")
	equal(t, "pack models", pack.Get("models.0").String(), "glm-4*")
	made := w.verb("key", "create", "acme", "--name", "first", "--models", "glm-*", "--spend-daily", "1", "--rpm", "10", "--tpm", "1000", "--parallel", "2")
	requireKeys(t, "key create", made, "id", "secret")

	shown := w.verb("account", "show", "acme")
	requireKeys(t, "account show", shown, "id", "status", "split", "wallets.recharge.balance", "wallets.recharge.free",
		"wallets.bonus.balance", "wallets.bonus.free", "packs.0.id", "packs.0.unit", "packs.0.models", "packs.0.quantity",
		"packs.0.remaining", "packs.0.free", "packs.0.expires_at", "packs.0.order", "packs.0.status", "held")
	equal(t, "split", shown.Get("split").String(), "equal")
	equal(t, "balance is a string", shown.Get("wallets.recharge.balance").Raw, `"10"`)
	equal(t, "accounts listed", w.verb("account", "list").Get("#.id").Raw, `["acme"]`)
	equal(t, "packs listed", w.verb("pack", "list", "acme").Get("0.id").String(), pack.Get("id").String())
	keys := w.verb("key", "list", "acme")
	equal(t, "keys listed", keys.Get("0.id").String(), made.Get("id").String())
	if strings.Contains(keys.Raw, made.Get("secret").String()) {
		t.Error("key list shows the secret")
	}
	w.verb("key", "revoke", made.Get("id").String())
	w.verb("pack", "revoke", "acme", pack.Get("id").String())
	equal(t, "pack after its revocation", w.verb("account", "show", "acme").Get("packs.0.free").Int(), 0)

	report := w.verb("audit")
	requireKeys(t, "audit", report, "ok", "accounts", "entries", "differences")
	equal(t, "accounts audited", report.Get("accounts").Int(), 1)
}

// The journal's entries have all that a journal entry is promised to have.
func TestJournalEntries(t *testing.T) {
	w, p, key := acme(t)
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	entries := w.verb("journal", "acme").Array()
	var types []string
	for i, entry := range entries {
		requireKeys(t, "a journal entry", entry, "id", "shard", "time", "type", "account")
		types = append(types, entry.Get("type").String())
		if i > 0 && entry.Get("time").Time().Before(entries[i-1].Get("time").Time()) {
			t.Error("the journal is not oldest first")
		}
	}
	equal(t, "types", strings.Join(types, " "), "account topup key charge")
	charge := entries[3]
	requireKeys(t, "a charge", charge, "at", "key", "request_id", "model", "endpoint", "usage.input", "usage.output", "usage_source",
		"price_version", "fee", "lines.0.dimension", "lines.0.quantity", "lines.0.rate", "lines.0.amount",
		"paid.0.from", "paid.0.amount", "balances_after.recharge")
	equal(t, "endpoint", charge.Get("endpoint").String(), "chat")
	equal(t, "rate", charge.Get("lines.0.rate").String(), "10/1M")
	equal(t, "balance after", charge.Get("balances_after.recharge").String(), "9.9975")
	equal(t, "one of one type", len(w.verb("journal", "acme", "--type", "charge").Array()), 1)
	equal(t, "limited", len(w.verb("journal", "acme", "--limit", "2").Array()), 2)
}

// A repeated reference is booked once; with other content it is refused.
func TestReferencesAreBookedOnce(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "0")
	first := w.verb("topup", "acme", "10", "--ref", "invoice-1")
	again := w.verb("topup", "acme", "10", "--ref", "invoice-1")
	equal(t, "entry of the repeat", again.Get("id").String(), first.Get("id").String())
	equal(t, "balance", w.balance("acme"), "10")
	_, stderr, code := w.run("topup", "acme", "11", "--ref", "invoice-1")
	if code == 0 || stderr == "" {
		t.Errorf("another amount under the same reference: exit %d, %q", code, stderr)
	}
	equal(t, "balance", w.balance("acme"), "10")
	for range 2 {
		w.verb("pack", "grant", "acme", "--unit", "image", "--quantity", "5", "--models", "cogview*", "--ref", "order-1")
	}
	equal(t, "packs", len(w.verb("pack", "list", "acme").Array()), 1)
	w.requireAudit()
}

// The tier that output reaches decides the price of the input too.
func TestQuoteVerb(t *testing.T) {
	w := newWorld(t)
	for output, fee := range map[string]string{"199": "0.003592", "200": "0.0058"} {
		quote := w.verb("quote", "glm-4.6", "--input", "1000", "--output", output)
		equal(t, "fee for "+output, quote.Get("fee").String(), fee)
		equal(t, "currency", quote.Get("currency").String(), "CNY")
		requireKeys(t, "a quote", quote, "lines.0.dimension", "lines.0.quantity", "lines.0.rate", "lines.0.amount", "price_version")
	}
	equal(t, "fee of images", w.verb("quote", "cogview-4", "--usage", "image=3", "--endpoint", "images").Get("fee").String(), "0.18")
	if _, stderr, code := w.run("quote", "gpt-unpriced", "--input", "1", "--output", "1"); code == 0 || stderr == "" {
		t.Errorf("a model without a price: exit %d, %q", code, stderr)
	}
}

// P5: the audit can fail. A balance is edited behind its back.
func TestAuditFindsAnEditedBalance(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "12.345678901")
	w.requireAudit()
	key, field := findValue(t, w, "12345678901")
	if err := w.redis.Client().HIncrBy(t.Context(), key, field, 1).Err(); err != nil {
		t.Fatal(err)
	}
	stdout, _, code := w.run("audit", "--json")
	equal(t, "exit code", code, 1)
	report := gjson.Parse(stdout)
	equal(t, "ok", report.Get("ok").Bool(), false)
	if len(report.Get("differences").Array()) == 0 || !strings.Contains(report.Get("differences").Raw, "acme") {
		t.Errorf("the difference is not shown: %s", stdout)
	}
	if text, _, code := w.run("audit"); code != 1 || !strings.Contains(text, "acme") {
		t.Errorf("without --json: exit %d, %s", code, text)
	}
	if err := w.redis.Client().HIncrBy(t.Context(), key, field, -1).Err(); err != nil {
		t.Fatal(err)
	}
	w.requireAudit()
}

// findValue finds the hash field in Redis that holds a value.
func findValue(t *testing.T, w *world, value string) (key, field string) {
	t.Helper()
	keys, err := w.redis.Client().Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		fields, err := w.redis.Client().HGetAll(t.Context(), key).Result()
		if err != nil {
			continue // not a hash
		}
		for field, v := range fields {
			if v == value {
				return key, field
			}
		}
	}
	t.Fatalf("no hash in Redis holds %s", value)
	return "", ""
}

func TestCheck(t *testing.T) {
	w := newWorld(t)
	stdout, stderr, code := w.run("check")
	if code != 0 || !strings.Contains(stdout, "Redis") && !strings.Contains(stdout, "redis") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	w.verb("check")
	w.write("tollgate.yaml", "listen: 127.0.0.1:0\nlegder: {}\npolicy: {quota_status: 7}\n")
	stdout, stderr, code = w.run("check")
	said := stdout + stderr
	if code == 0 || !strings.Contains(said, "legder") || !strings.Contains(said, "quota_status") || !strings.Contains(said, "tollgate.yaml:2:1") {
		t.Errorf("want all errors at once, with line and column; exit %d\n%s", code, said)
	}
}

// Every verb has help with an example, and errors say what to do.
func TestHelp(t *testing.T) {
	w := newWorld(t)
	verbs := []string{
		"demo", "serve", "mock", "check", "account create", "account list", "account show", "account suspend", "account resume", "topup",
		"pack grant", "pack list", "pack revoke", "key create", "key list", "key revoke", "quote", "journal", "audit",
	}
	for _, verb := range verbs {
		out, err := w.command(append(strings.Fields(verb), "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "Example") || !strings.Contains(string(out), "tollgate "+verb) {
			t.Errorf("%s --help: %v\n%s", verb, err, out)
		}
	}
	wrong := [][]string{
		{"topup", "acme"},
		{"topup", "acme", "ten"},
		{"topup", "nobody", "10"},
		{"account", "show", "nobody"},
		{"account", "create", "not an id"},
		{"pack", "grant", "acme", "--unit", "apples", "--quantity", "1"},
		{"key", "revoke", "nothing"},
		{"nonsense"},
	}
	w.account("acme", "0")
	for _, args := range wrong {
		stdout, stderr, code := w.run(args...)
		if code == 0 || len(stderr) < 10 || strings.Contains(stderr, "goroutine") {
			t.Errorf("tollgate %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
		}
	}
}

// The mock verb serves the simulated upstream alone.
func TestMockVerb(t *testing.T) {
	w := newWorld(t)
	p := w.start("mock", "--listen", "127.0.0.1:0")
	p.url = p.waitFor("listening on ")
	p.post(chatPath, "", chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	equal(t, "requests", p.get("/mock/stats", "").get("requests").Int(), 1)
	p.stop()
}
