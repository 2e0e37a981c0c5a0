package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// office is an operator at a ledger of their own.
type office struct {
	t   *testing.T
	env []string
}

func openOffice(t *testing.T, options ...redistest.Option) *office {
	t.Helper()
	server := redistest.Start(t, options...)
	return &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
}

func (o *office) run(args string) ran {
	o.t.Helper()
	return runWith(o.t, o.env, shellWords(args)...)
}

// do runs a verb that must succeed.
func (o *office) do(args string) ran {
	o.t.Helper()
	r := o.run(args)
	if r.exit != exitOK {
		o.t.Fatalf("tollgate %s: exit %d: %s", args, r.exit, r.stderr)
	}
	return r
}

// The operator's day, on one Redis and on a cluster.
func TestOperatorsVerbs(t *testing.T) {
	for name, options := range map[string][]redistest.Option{"standalone": nil, "cluster": {redistest.WithCluster()}} {
		t.Run(name, func(t *testing.T) {
			o := openOffice(t, options...)
			account := decode[ledger.Account](t, o.do("account create acme --split bonus_first --overdraft 1.5 --json"))
			if account.ID != "acme" || account.Split != ledger.BonusFirst || account.Overdraft != 1_500_000_000 || account.Status != "active" {
				t.Errorf("account = %+v", account)
			}
			o.do("account create other")
			if all := decode[[]ledger.Account](t, o.do("account list --json")); len(all) != 2 || all[0].ID != "acme" {
				t.Errorf("accounts = %+v", all)
			}
			entry := decode[ledger.Entry](t, o.do("topup acme 50 --json"))
			if entry.Type != "topup" || entry.Amount == nil || *entry.Amount != 50*meter.NanoPerUnit || entry.Wallet != ledger.Recharge {
				t.Errorf("entry = %+v", entry)
			}
			if r := o.do("topup acme 0.25 --wallet bonus --ref r1"); !strings.Contains(r.stdout, "balance: recharge 50 CNY, bonus 0.25 CNY") {
				t.Errorf("topup says %s", r.stdout)
			}
			o.testPacks()
			o.testKeys()
			o.testSuspension()
			if audit := decode[ledger.AuditReport](t, o.do("audit --json")); !audit.OK || audit.Accounts != 2 {
				t.Errorf("audit = %+v", audit)
			}
		})
	}
}

func (o *office) testPacks() {
	t := o.t
	pack := decode[ledger.Pack](t, o.do("pack grant acme --unit token --quantity 1000000 --models glm-4*,glm-5 --models x --expires 2036-12-31 --priority 3 --order after_balance --json"))
	if pack.Quantity != 1_000_000 || strings.Join(pack.Models, " ") != "glm-4* glm-5 x" || pack.Priority != 3 || pack.Order != "after_balance" {
		t.Errorf("pack = %+v", pack)
	}
	if got := pack.ExpiresAt.UTC().Format("2006-01-02T15:04:05.999Z"); got != "2036-12-31T23:59:59.999Z" {
		t.Errorf("a bare date expires at %s, want the end of the day", got)
	}
	r := o.do("pack grant acme --unit image --quantity 10")
	if !strings.Contains(r.stdout, "granted to acme: 10 image, for all models, expires never") {
		t.Errorf("pack grant says %s", r.stdout)
	}
	r = o.do("pack revoke acme " + pack.ID + " --reason 'sent back'")
	if !strings.Contains(r.stdout, "1,000,000 units withdrawn") {
		t.Errorf("pack revoke says %s", r.stdout)
	}
	packs := decode[[]ledger.Pack](t, o.do("pack list acme --json"))
	if len(packs) != 2 || packs[0].Status != "revoked" || packs[1].Status != "active" || packs[1].Free != 10 {
		t.Errorf("packs = %+v", packs)
	}
}

func (o *office) testKeys() {
	t := o.t
	r := o.do("key create acme --name laptop --models glm-4* --endpoints chat,images --networks 10.0.0.0/8 --expires 2036-01-31T12:00:00+08:00" +
		" --spend-total 100 --spend-daily 5 --spend-monthly 50 --tokens 1000 --rpm 60 --tpm 9000 --parallel 4 --receipt-in-body --json")
	key := decode[struct {
		ledger.Key
		Secret string `json:"secret"`
	}](t, r)
	if !strings.HasPrefix(key.Secret, "tg-acme-") || key.Account != "acme" || key.Name != "laptop" {
		t.Errorf("key = %+v", key)
	}
	l := key.Limits
	if l.SpendTotal != 100*meter.NanoPerUnit || l.SpendDaily != 5*meter.NanoPerUnit || l.SpendMonthly != 50*meter.NanoPerUnit ||
		l.Tokens != 1000 || l.RPM != 60 || l.TPM != 9000 || l.Parallel != 4 || !l.ReceiptInBody || len(l.Endpoints) != 2 || l.ExpiresAt == nil {
		t.Errorf("limits = %+v", l)
	}
	if strings.Contains(o.do("key list acme --json").stdout+o.do("journal acme --json").stdout, key.Secret) {
		t.Error("the secret is shown again")
	}
	o.do("key revoke " + key.ID)
	if keys := decode[[]ledger.Key](t, o.do("key list acme --json")); len(keys) != 1 || keys[0].Status != "revoked" {
		t.Errorf("keys = %+v", keys)
	}
}

func (o *office) testSuspension() {
	t := o.t
	if a := decode[ledger.Account](t, o.do("account suspend acme --reason late --json")); a.Status != "suspended" {
		t.Errorf("account = %+v", a)
	}
	o.do("account resume acme")
	if a := decode[ledger.Account](t, o.do("account show acme --json")); a.Status != "active" {
		t.Errorf("account = %+v", a)
	}
}

// A time or a number that is none is told by the flag that has it.
func TestTimesThatAreNone(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for args, want := range map[string]string{
		"journal acme --since tomorrow":                      `--since "tomorrow": want a date such as 2026-12-31, or a time such as`,
		"journal acme --limit 0":                             `--limit is 0: want a number of entries`,
		"journal acme --until 2026-13-01":                    `--until "2026-13-01": want a date such as`,
		"key create acme --expires 2020-01-01":               `--expires "2020-01-01" is over: want a date to come`,
		"pack grant acme --quantity 1 --expires 0001-01-01":  `--expires "0001-01-01"`,
		"key create acme --endpoints chat --endpoints chats": `there is no endpoint "chats": want`,
	} {
		if r := o.run(args); r.exit != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %s want %s", args, r.exit, r.stderr, want)
		}
	}
}

// A mistyped model makes a key that is refused everywhere, and a pack that never pays. It is done as it was said, since
// the price may come later, and told where prices are known.
func TestModelsThatNothingPrices(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	dir := t.TempDir()
	writeFile(t, dir, "p.yaml", "currency: CNY\nprices:\n  - {models: [glm-4.6, 'qwen-*'], rates: {input: 1}}\n")
	file := writeFile(t, dir, "c.yaml", "pricing: {currency: CNY, files: [p.yaml]}\n")
	broken := writeFile(t, dir, "d.yaml", "pricing: {currency: CNY, files: [none.yaml]}\n")
	const told = "tollgate: no model has a price that gml-* fits: is it mistyped?\n"
	for _, verb := range []string{"pack grant acme --quantity 5 ", "key create acme "} {
		for flags, want := range map[string]string{
			"--models gml-*,glm-4.6 -c " + file:       told,
			"--models gml-* --json -c " + file:        told,
			"--models glm-4*,qwen-3,*-max -c " + file: "",
			"-c " + file:                  "",
			"--models gml-*":              "",
			"--models gml-* -c " + broken: "",
		} {
			if r := o.do(verb + flags); r.stderr != want {
				t.Errorf("%s%s: it says %q, want %q", verb, flags, r.stderr, want)
			}
		}
	}
}

// Where the proxy is only its own configuration says.
func TestKeyCreateSaysWhereTheProxyIs(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	file := writeFile(t, t.TempDir(), "c.yaml", "listen: 0.0.0.0:1234\npricing: {currency: CNY}\n") // the ledger is that of TOLLGATE_REDIS
	for more, want := range map[string]bool{"--name x": false, "-c " + file: true} {
		if r := o.do("key create acme " + more); strings.Contains(r.stdout, "base_url") != want || want && !strings.Contains(r.stdout, "http://127.0.0.1:1234/v1\n") {
			t.Errorf("key create %s: %s", more, r.stdout)
		}
	}
}

// An account may be called tg-…, as a secret begins; its keys can be revoked all the same. Who has found a leaked
// secret has nothing else, and is told whose it is.
func TestRevokeTellsIdsFromSecrets(t *testing.T) {
	o := openOffice(t)
	o.do("account create tg-labs")
	key := decode[ledger.CreatedKey](t, o.do("key create tg-labs --json"))
	for _, pasted := range []string{key.Secret, key.Secret + " ", "Bearer " + key.Secret} {
		if r := runWith(t, o.env, "key", "revoke", pasted); r.exit != exitUsage || !strings.Contains(r.stderr, "that is a secret, not a key's id, which is "+key.ID+"\n") || strings.Contains(r.stderr, key.Secret) {
			t.Errorf("%q: exit %d, %s", pasted, r.exit, r.stderr)
		}
	}
	if r := o.do("key revoke " + key.ID); !strings.Contains(r.stdout, "is revoked") {
		t.Errorf("an id: %s", r.stdout)
	}
}

// The shape that scripts rely on, key by key.
func TestAccountShowJSON(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	o.do("topup acme 10.5")
	got := decode[map[string]any](t, o.do("account show acme --json"))
	for _, key := range []string{"id", "status", "split", "wallets", "packs", "held"} {
		if _, ok := got[key]; !ok {
			t.Errorf("account show lacks %q", key)
		}
	}
	wallets, _ := json.Marshal(got["wallets"])
	if want := `{"bonus":{"balance":"0","free":"0"},"recharge":{"balance":"10.5","free":"10.5"}}`; string(wallets) != want {
		t.Errorf("wallets = %s", wallets)
	}
	if packs, ok := got["packs"].([]any); !ok || len(packs) != 0 || got["held"] != "0" {
		t.Errorf("packs = %v, held = %v", got["packs"], got["held"])
	}
}

func TestListsOfNothingAreEmptyArrays(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for _, args := range []string{"pack list acme", "key list acme", "hold list acme", "journal acme --type charge"} {
		if got := decode[[]any](t, o.do(args+" --json")); got == nil || len(got) != 0 {
			t.Errorf("%s = %v", args, got)
		}
		if r := o.do(args); r.stdout == "" {
			t.Errorf("%s says nothing", args)
		}
	}
}

func TestReferencesAreBookedOnce(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	first := decode[ledger.Entry](t, o.do("topup acme 5 --ref pay-1 --json"))
	again := decode[ledger.Entry](t, o.do("topup acme 5 --ref pay-1 --json"))
	if first.ID != again.ID {
		t.Errorf("booked twice: %s and %s", first.ID, again.ID)
	}
	if r := o.run("topup acme 6 --ref pay-1"); r.exit != exitFailed || !strings.Contains(r.stderr, "use another --ref") {
		t.Errorf("another amount under the same ref: exit %d, %s", r.exit, r.stderr)
	}
	if a := decode[ledger.Account](t, o.do("account show acme --json")); a.Wallets[ledger.Recharge].Balance != 5*meter.NanoPerUnit {
		t.Errorf("balance = %+v", a.Wallets)
	}
}

func TestJournalVerb(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for _, amount := range []string{"1", "2", "3"} {
		o.do("topup acme " + amount)
	}
	entries := decode[[]ledger.Entry](t, o.do("journal acme --json"))
	if len(entries) != 4 || entries[0].Type != "account" || *entries[3].Amount != 3*meter.NanoPerUnit {
		t.Errorf("entries = %+v", entries)
	}
	for args, want := range map[string]int{
		"--type topup": 3, "--type topup,account": 4, "--limit 2": 2, "--type topup --limit 1": 1,
		"--since 2000-01-01": 4, "--since 2100-01-01": 0, "--until 2000-01-01": 0, "--until 2100-01-01": 4,
		"--since " + entries[2].Time.Format("2006-01-02T15:04:05.999Z07:00"): 2,
	} {
		if got := decode[[]ledger.Entry](t, o.do("journal acme --json "+args)); len(got) != want {
			t.Errorf("journal %s: %d entries, want %d", args, len(got), want)
		}
	}
	if r := o.run("journal acme --since 2026-11-03 --until 2026-11-02"); r.exit != exitUsage || !strings.Contains(r.stderr, "--until 2026-11-02 is not after --since 2026-11-03") {
		t.Errorf("a time that ends before it begins: exit %d, %s", r.exit, r.stderr)
	}
	if r := o.do("journal acme --type topup"); strings.Count(r.stdout, "\n") != 4 || !strings.Contains(r.stdout, "2 CNY to recharge") || !strings.Contains(r.stdout, "TIME (UTC)") {
		t.Errorf("journal says\n%s", r.stdout)
	}
	if r := o.do("journal acme --type account"); !strings.HasSuffix(r.stdout, "account   split proportional, overdraft 0 CNY\n") {
		t.Errorf("journal says\n%s", r.stdout)
	}
}

// A URL that is wrong is not put right by making a ledger.
func TestWrongRedisURL(t *testing.T) {
	for _, verb := range []string{"audit", "account create acme"} {
		r := runWith(t, []string{"TOLLGATE_REDIS=redis://127.0.0.1:6379/books"}, shellWords(verb)...)
		if r.exit != exitFailed || !strings.HasSuffix(r.stderr, "want a number, such as redis://host:6379/0\n") {
			t.Errorf("%s: exit %d, %s", verb, r.exit, r.stderr)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	for args, want := range map[string]string{
		"topup nobody 5":                 "create it with `tollgate account create nobody`",
		"account show nobody":            "tollgate account create nobody",
		"account suspend nobody":         "tollgate account create nobody",
		"pack grant nobody --quantity 1": "tollgate account create nobody",
		"pack list nobody":               "tollgate account create nobody",
		"pack revoke nobody p1":          "",
		"key create nobody":              "tollgate account create nobody",
		"key list nobody":                "tollgate account create nobody",
		"key revoke nobody.123456789abc": "tollgate key list ACCOUNT",
		"journal nobody":                 "tollgate account create nobody",
		"audit nobody":                   "tollgate account list",
		"refund nobody req_1 --reason x": "account nobody: create it with `tollgate account create nobody`",
	} {
		r := o.run(args)
		if r.exit != exitFailed || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("%s: exit %d\nstdout %q\nstderr %q\nwant   %q", args, r.exit, r.stdout, r.stderr, want)
		}
	}
}

// Without a word on the currency, the first account makes the ledger, and says so; nothing else does.
func TestFirstAccountMakesTheLedger(t *testing.T) {
	o := openOffice(t)
	o.env = o.env[:1]
	if r := o.run("account list"); r.exit != exitFailed || !strings.Contains(r.stderr, "tollgate account create ID") {
		t.Errorf("account list on an empty Redis: exit %d, %s", r.exit, r.stderr)
	}
	if r := o.do("account create acme"); !strings.Contains(r.stderr, "kept in CNY") {
		t.Errorf("account create says %q", r.stderr)
	}
	if r := o.do("account create acme"); r.stderr != "" {
		t.Errorf("the ledger was there already, but: %q", r.stderr)
	}
	if r := runWith(t, append(o.env, "TOLLGATE_CURRENCY=USD"), "account", "list"); r.exit != exitFailed || !strings.Contains(r.stderr, "kept in CNY, not USD") {
		t.Errorf("another currency: exit %d, %s", r.exit, r.stderr)
	}
}

// Where there is no ledger, the books do not balance, they are gone: only the first account makes a new one.
func TestNoVerbMakesALedger(t *testing.T) {
	o := openOffice(t)
	for _, args := range []string{"audit", "account list", "topup acme 5", "bill acme"} {
		if r := o.run(args); r.exit != exitFailed || !strings.Contains(r.stderr, "there is no ledger in this Redis yet: `tollgate account create ID` makes one") {
			t.Errorf("%s on an empty Redis: exit %d, %s%s", args, r.exit, r.stdout, r.stderr)
		}
	}
}

// The audit must be able to fail.
func TestAuditFindsWhatWasChangedBehindItsBack(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	o.do("topup acme 5")
	robbed := false
	client := server.Client()
	keys, err := client.Keys(t.Context(), "*acme*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if fields, err := client.HGetAll(t.Context(), key).Result(); err == nil {
			for field, value := range fields {
				if value == "5000000000" && !robbed {
					robbed = true
					if err := client.HIncrBy(t.Context(), key, field, 1).Err(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if !robbed {
		t.Fatalf("no balance found in %q", keys)
	}
	r := o.run("audit")
	if r.exit != exitFailed || !strings.Contains(r.stdout, "THE BOOKS DO NOT BALANCE") || !strings.Contains(r.stdout, "acme") {
		t.Errorf("audit: exit %d\n%s%s", r.exit, r.stdout, r.stderr)
	}
	r = o.run("audit acme --json")
	var report ledger.AuditReport
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if r.exit != exitFailed || report.OK || len(report.Differences) == 0 || r.stderr != "" {
		t.Errorf("audit --json: exit %d, %+v, stderr %q", r.exit, report, r.stderr)
	}
}

func TestRedisAway(t *testing.T) {
	server := redistest.Start(t)
	server.Stop()
	env := []string{"TOLLGATE_REDIS=" + strings.Replace(server.URL(), "//", "//:hunter2@", 1)}
	r := runWith(t, env, "account", "list")
	if r.exit != exitFailed || !strings.Contains(r.stderr, "is Redis running there") || strings.Contains(r.stderr, "hunter2") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

func TestWhatToLookAt(t *testing.T) {
	for _, tt := range []struct{ url, said, want string }{
		{"redis://h:6379/0", "dial tcp: connection refused", "is Redis running there"},
		{"redis://h:6379/0", "MOVED 8230 h2:6379", "say redis+cluster://"},
		{"rediss://h:6379/0", "EXECABORT Transaction discarded because of previous errors.", "say redis+cluster://"},
		{"redis+cluster://h", "MOVED 8230 h2:6379", "is Redis running there"},
		{"redis://h:6379/0", "WRONGPASS invalid username-password pair", "is the password right?"},
		{"redis://h:6379/0", "READONLY You can't write against a read only replica.", "name its master"},
		{"rediss://h:6379/0", "tls: failed to verify certificate: x509: certificate signed by unknown authority", "SSL_CERT_FILE"},
		{"redis://h:6379/0", "NOPERM this user has no permissions to run the 'fcall' command", "may that user do"},
		{"redis://h:6379/0", "LOADING Redis is loading the dataset in memory", "loading_eta_seconds"},
		{"redis://h:6379/0", "Redis has been emptied, or is another; `tollgate rebuild` restores it", "if that is not so, is ledger.redis"},
	} {
		if got := whatToLookAt(errors.New(tt.said), tt.url); !strings.Contains(got, tt.want) {
			t.Errorf("%s at %s: %s", tt.said, tt.url, got)
		}
	}
	if got := whatToLookAt(ledger.ErrArchiveNotNamed, "redis://h:6379/0"); !strings.Contains(got, "archive.url") {
		t.Errorf("the archive is not named: %s", got)
	}
	archive := fmt.Errorf("%w: %w postgres://h/d: connection refused", ledger.ErrUnavailable, ledger.ErrArchive)
	if got := whatToLookAt(archive, "redis://h:6379/0"); !strings.Contains(got, "is archive.url right?") {
		t.Errorf("an archive that is away: %s", got)
	}
	late := fmt.Errorf("ledger unavailable: %w", context.DeadlineExceeded)
	if got := whatToLookAt(late, "rediss://h:6379/0"); !strings.Contains(got, "TLS") {
		t.Errorf("a TLS port that says nothing: %s", got)
	}
}

// A Redis that answers but does not let us in is not one that is away.
func TestRedisWantsAPassword(t *testing.T) {
	server := redistest.Start(t)
	if err := server.Client().ConfigSet(t.Context(), "requirepass", "hunter2").Err(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{server.URL(), strings.Replace(server.URL(), "//", "//:hunter3@", 1)} {
		r := runWith(t, []string{"TOLLGATE_REDIS=" + url}, "account", "list")
		if r.exit != exitFailed || !strings.Contains(r.stderr, "is the password right?") || strings.Contains(r.stderr, "hunter") {
			t.Errorf("exit %d, %s", r.exit, r.stderr)
		}
	}
}
