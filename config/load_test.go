package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// env is a getenv over pairs such as "A=1".
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func mustParse(t *testing.T, yaml string, pairs ...string) *Config {
	t.Helper()
	c, _, err := parse("tollgate.yaml", []byte(yaml), env(pairs...))
	if err != nil {
		t.Fatalf("parse:\n%s", err)
	}
	return c
}

func TestEveryDefault(t *testing.T) {
	for _, yaml := range []string{"", "# nothing but a comment\n", "---\n"} {
		if got := mustParse(t, yaml); !reflect.DeepEqual(withoutFile(got), Default()) {
			t.Errorf("parse(%q) = %+v, want the defaults", yaml, got)
		}
	}
	if d := Default(); d.Ledger.TaskTTL != 24*time.Hour || d.Policy.MaxBody != 64<<20 || d.Policy.MaxKept != 4<<20 { // those of the design are in its block
		t.Errorf("the defaults are %+v", d)
	}
	c := mustParse(t, "admin: {token: x}\narchive: {url: 'sqlite:a.db'}\nupstreams: [{name: a, base_url: 'http://h/v1', models: [m]}]\n")
	if c.Admin.Listen != "127.0.0.1:8081" {
		t.Errorf("admin.listen = %q", c.Admin.Listen)
	}
	if names := c.UpstreamNames(); !reflect.DeepEqual(names, []string{"a"}) {
		t.Errorf("upstreams %q", names)
	}
	if c.Archive.Interval != time.Second || c.Archive.Keep != 5*time.Minute {
		t.Errorf("archive = %+v", c.Archive)
	}
	want := Upstream{Name: "a", Kind: "openai", BaseURL: "http://h/v1", Models: []ModelRule{{Pattern: "m"}}, Weight: 1, Timeout: 10 * time.Minute}
	if !reflect.DeepEqual(c.Upstreams[0], want) {
		t.Errorf("upstream = %+v, want %+v", c.Upstreams[0], want)
	}
}

func withoutFile(c *Config) *Config { d := *c; d.File = ""; return &d }

// The config block of the design, word for word.
const designBlock = `listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:8081, token: "${TOLLGATE_ADMIN_TOKEN}"}
ledger: {redis: "redis://127.0.0.1:6379/0", shards: 64, hold_ttl: 15m, log: ./data/settlements, durability: normal}   # rediss://, redis+cluster://h1,h2, or "embedded"
archive: {url: "sqlite:./data/archive.db", interval: 1s, keep: 5m}   # or postgres://…; keep: how long archived entries stay in Redis too
upstreams:
  - {name: bigmodel, base_url: "https://open.bigmodel.cn/api/paas/v4", api_key: "${BIGMODEL_API_KEY}", models: ["glm-*", "embedding-*", "cogview-*"]}
  - {name: claude, kind: anthropic, base_url: "https://api.anthropic.com/v1", api_key: "${ANTHROPIC_API_KEY}", models: ["claude-*"], priority: 1, weight: 1}
pricing: {currency: CNY, exchange: {USD: 7.1}, files: [prices/bigmodel.yaml, prices/anthropic.yaml]}
policy: {quota_status: 429, on_disconnect: drain, drain: 45s, on_abandoned: checkpoint, default_max_output: 4096, timezone: Asia/Shanghai}
`

func TestDesignBlock(t *testing.T) {
	c := mustParse(t, designBlock, "TOLLGATE_ADMIN_TOKEN=d2a84f4b8b650937ec8f73cd8be2c74a", "BIGMODEL_API_KEY=bm", "ANTHROPIC_API_KEY=an")
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.File = "tollgate.yaml"
	want.Admin = Admin{Listen: "127.0.0.1:8081", Token: "d2a84f4b8b650937ec8f73cd8be2c74a"}
	want.Ledger.Shards = 64
	want.Archive.URL = "sqlite:./data/archive.db"
	want.Upstreams = []Upstream{
		{Name: "bigmodel", Kind: "openai", BaseURL: "https://open.bigmodel.cn/api/paas/v4", APIKey: "bm", Models: []ModelRule{{"glm-*", ""}, {"embedding-*", ""}, {"cogview-*", ""}}, Weight: 1, Timeout: 10 * time.Minute},
		{Name: "claude", Kind: "anthropic", BaseURL: "https://api.anthropic.com/v1", APIKey: "an", Models: []ModelRule{{"claude-*", ""}}, Priority: 1, Weight: 1, Timeout: 10 * time.Minute},
	}
	want.Pricing = Pricing{Currency: "CNY", Exchange: map[string]string{"USD": "7.1"}, Files: []string{"prices/bigmodel.yaml", "prices/anthropic.yaml"}, origins: c.Pricing.origins}
	want.Policy.Timezone = shanghai
	want.pending = c.pending
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestEveryOtherValue(t *testing.T) {
	c := mustParse(t, `
listen: ":9000"
admin: {listen: "0.0.0.0:9001"}
ledger: {redis: "redis+cluster://h1:7000,h2:7001", shards: 8, hold_ttl: 1h30m, durability: strict}
archive: {url: "postgres://u@h/db", interval: 500ms, keep: 0s}
upstreams:
  - name: az
    kind: azure
    base_url: https://x.openai.azure.com/openai/
    models: {gpt-4o: my-deployment, o3: other}
    timeout: 90s
    shared_objects: true
    ignores_max_completion_tokens: true
    weight: 3
policy: {quota_status: 402, on_disconnect: cancel, on_abandoned: hold, max_body: 512KiB, max_kept_answer: 16MiB, timezone: UTC, cors_origins: ["https://a.example", "http://localhost:3000"]}
`)
	if c.Listen != "127.0.0.1:9000" {
		t.Errorf("a bare port must be the loopback, got %s", c.Listen)
	}
	if c.Admin.Listen != "0.0.0.0:9001" || c.Ledger.Redis != "redis+cluster://h1:7000,h2:7001" || c.Ledger.HoldTTL != 90*time.Minute || c.Ledger.Durability != "strict" {
		t.Errorf("admin %+v, ledger %+v", c.Admin, c.Ledger)
	}
	u := c.Upstreams[0]
	if !reflect.DeepEqual(u.Models, []ModelRule{{"gpt-4o", "my-deployment"}, {"o3", "other"}}) || !u.SharedObjects || !u.IgnoresMaxCompletionTokens || u.Timeout != 90*time.Second || u.Weight != 3 || u.BaseURL != "https://x.openai.azure.com/openai" {
		t.Errorf("upstream %+v", u)
	}
	p := c.Policy
	if p.QuotaStatus != 402 || p.OnDisconnect != "cancel" || p.OnAbandoned != "hold" || p.MaxBody != 512<<10 || p.MaxKept != 16<<20 || p.Timezone != time.UTC ||
		!reflect.DeepEqual(p.CORSOrigins, []string{"https://a.example", "http://localhost:3000"}) {
		t.Errorf("policy %+v", p)
	}
}

// A variable has the letters and digits that a shell lets it have; a ledger's own currency may be said to be worth 1.
func TestVariablesAndTheOwnCurrency(t *testing.T) {
	c := mustParse(t, `admin: {token: "${aZ_09zA}"}`+"\npricing: {currency: CNY, exchange: {CNY: 1}}\n", "aZ_09zA=token")
	if c.Admin.Token != "token" || c.Pricing.Exchange["CNY"] != "1" {
		t.Errorf("admin %+v, pricing %+v", c.Admin, c.Pricing)
	}
}

func TestModelsInAListMayRename(t *testing.T) {
	c := mustParse(t, "upstreams: [{name: a, base_url: 'http://h', models: ['glm-*', {gpt-4o: dep, o1: two}, plain]}]")
	want := []ModelRule{{"glm-*", ""}, {"gpt-4o", "dep"}, {"o1", "two"}, {"plain", ""}}
	if got := c.Upstreams[0].Models; !reflect.DeepEqual(got, want) {
		t.Errorf("models = %v, want %v", got, want)
	}
}

func TestWithoutFile(t *testing.T) {
	c, err := Load("", env("TOLLGATE_REDIS=redis://r:1/2"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Ledger.Redis != "redis://r:1/2" || c.File != "" || c.Ledger.Shards != 0 || c.Pricing.Currency != "" {
		t.Errorf("config = %+v", c)
	}
	if _, err := Load("", env()); !errors.Is(err, ErrNone) {
		t.Errorf("Load without anything = %v, want ErrNone", err)
	}
	if _, err := Load("", env("TOLLGATE_REDIS=localhost:6379")); err == nil || !strings.Contains(err.Error(), "TOLLGATE_REDIS") {
		t.Errorf("a bad TOLLGATE_REDIS = %v", err)
	}
}

func TestCurrencyWithoutFile(t *testing.T) {
	c, err := Load("", env("TOLLGATE_REDIS=redis://r:1/2", "TOLLGATE_CURRENCY=USD"))
	if err != nil || c.Pricing.Currency != "USD" {
		t.Errorf("config = %+v, %v", c, err)
	}
	if _, err := Load("", env("TOLLGATE_REDIS=redis://r:1/2", "TOLLGATE_CURRENCY=dollars")); err == nil || !strings.Contains(err.Error(), "TOLLGATE_CURRENCY") {
		t.Errorf("a bad TOLLGATE_CURRENCY = %v", err)
	}
}

func TestFileByEnvironment(t *testing.T) {
	path := write(t, "tollgate.yaml", "listen: 127.0.0.1:1", 0o600)
	c, err := Load("", env("TOLLGATE_CONFIG="+path, "TOLLGATE_REDIS=redis://other:1"))
	if err != nil {
		t.Fatal(err)
	}
	if c.File != path || c.Listen != "127.0.0.1:1" || c.Ledger.Redis != "redis://other:1" {
		t.Errorf("config = %+v", c)
	}
	if c, err = Load(write(t, "c.yaml", "ledger: {redis: embedded}", 0o600), env("TOLLGATE_REDIS=redis://other:1")); err != nil || !c.Ledger.Embedded() {
		t.Errorf("the file must win over TOLLGATE_REDIS: %+v, %v", c, err)
	}
}

func TestSecretsThatOthersCanRead(t *testing.T) {
	secret := "upstreams: [{name: a, base_url: 'http://h', api_key: sk-1, models: [m]}]\nledger: {redis: 'redis://:pw@h/0'}\narchive: {url: 'postgres://u:pw@h/d'}\n"
	for _, tt := range []struct {
		name, yaml string
		mode       os.FileMode
		want       string
	}{
		{"readable", secret, 0o644, "(ledger.redis, archive.url, upstreams[0].api_key)"},
		{"private", secret, 0o600, ""},
		{"from the environment", strings.ReplaceAll(strings.ReplaceAll(secret, "sk-1", `"${KEY}"`), "pw", "${KEY}"), 0o644, ""},
		{"none", "listen: 127.0.0.1:1", 0o644, ""},
		{"no password", "ledger: {redis: 'redis://h/0'}\narchive: {url: 'postgres://u@h/d'}\nadmin: {token: ''}", 0o644, ""},
	} {
		c, err := Load(write(t, "c.yaml", tt.yaml, tt.mode), env("KEY=k"))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got := strings.Join(c.Warnings, "\n")
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: warnings = %q, want %q in it", tt.name, got, tt.want)
		}
		if strings.Contains(got, "sk-1") {
			t.Errorf("%s: the warning shows the secret", tt.name)
		}
	}
}

func TestATokenThatCanBeGuessed(t *testing.T) {
	for token, want := range map[string]bool{"": false, "hunter2": true, strings.Repeat("a", 31): true, strings.Repeat("a", 32): false} {
		got := strings.Join(mustParse(t, `admin: {token: "${TOKEN:-}"}`, "TOKEN="+token).Warnings, "\n")
		if want != strings.Contains(got, fmt.Sprintf("admin.token is only %d long", len(token))) || token != "" && strings.Contains(got, token) {
			t.Errorf("%d characters: warnings %q", len(token), got)
		}
	}
}

func write(t *testing.T, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"redis://h:6379/0":                               "redis://h:6379/0",
		"redis://:secret@h/0":                            "redis://:***@h/0",
		"redis://user:secret@h/0":                        "redis://user:***@h/0",
		"redis://secret@h/0":                             "redis://***@h/0",
		"rediss+cluster://u:p@h1,h2":                     "rediss+cluster://u:***@h1,h2",
		"redis://u:p@ss@h/0":                             "redis://u:***@h/0",
		"postgres://user@h/db":                           "postgres://user@h/db",
		"postgres://user:p@h/db":                         "postgres://user:***@h/db",
		"user:secret@h:6379":                             "***@h:6379",
		"postgres://u@h/db?password=secret":              "postgres://u@h/db?password=***",
		"postgres://u@h/db?sslpassword=a@b&c=d":          "postgres://u@h/db?sslpassword=***",
		"postgres://u:p@h/db?password=a@b":               "postgres://u:***@h/db?password=***",
		"redis+sentinel://h1,h2/m?sentinel_password=a@b": "redis+sentinel://h1,h2/m?sentinel_password=***",
		"redis+sentinel://s@h1/m?sentinel_password=a@b":  "redis+sentinel://***@h1/m?sentinel_password=***",
		"host=h password=secret":                         "host=h password=***",
		"embedded":                                       "embedded",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%s) = %s, want %s", in, got, want)
		}
	}
}

// One port cannot be both clients' and the operator's.
func TestListenersApart(t *testing.T) {
	for yaml, want := range map[string]string{
		"admin: {listen: '127.0.0.1:8080'}":                  `admin.listen: "127.0.0.1:8080" is what listen is, too`,
		"listen: ':9000'\nadmin: {listen: 127.0.0.1:9000}":   `"127.0.0.1:9000" is what listen is, too`,
		"listen: '127.0.0.1:8081'\nadmin: {token: x}":        `"127.0.0.1:8081" is what listen is, too`,
		"listen: 0.0.0.0:8081\nadmin: {token: x}":            `"127.0.0.1:8081" is what listen is, too (0.0.0.0:8081)`,
		"admin: {listen: '[::]:8080'}":                       `"[::]:8080" is what listen is, too`,
		"listen: 'localhost:9000'\nadmin: {listen: ':9000'}": `"127.0.0.1:9000" is what listen is, too`,
		"listen: 10.0.0.7:9000\nadmin: {listen: ':9000'}":    "",
		"listen: ':9000'\nadmin: {listen: 10.0.0.7:9000}":    "",
		"listen: h:9000\nadmin: {listen: 'h:9000'}":          `"h:9000" is what listen is, too`,
		"listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}":  "",
		"listen: 127.0.0.1:8081":                             "",
	} {
		_, _, err := parse("c.yaml", []byte(yaml), env())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", yaml, err, want)
		}
	}
}
