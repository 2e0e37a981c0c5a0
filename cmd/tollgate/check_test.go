package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

const checkedConfig = `ledger: {redis: "REDIS", log: ./s}
upstreams:
  - {name: bigmodel, kind: bigmodel, base_url: "http://127.0.0.1:1/v4", api_key: "${KEY}", models: ["glm-*", {fast: glm-4.5-air}]}
  - {name: claude, kind: anthropic, base_url: "https://api.anthropic.com/v1", api_key: "${KEY}", models: ["claude-*"]}
  - {name: gemini, kind: gemini, base_url: "https://generativelanguage.googleapis.com/v1beta", api_key: "${KEY}", models: ["gemini-*"]}
  - {name: older, kind: azure, base_url: "https://x.openai.azure.com/openai", api_key: "${KEY}", models: ["gpt-*"]}
pricing: {currency: CNY, files: [prices/bigmodel.yaml]}
`

func checkConfig(t *testing.T, config string, options ...redistest.Option) (ran, *checked) {
	t.Helper()
	if strings.Contains(config, "REDIS") {
		config = strings.ReplaceAll(config, "REDIS", redistest.Start(t, options...).URL())
	}
	path := writeFile(t, t.TempDir(), "tollgate.yaml", config)
	r := runWith(t, []string{"KEY=k"}, "check", "--json", "-c", path)
	var c checked
	if err := json.Unmarshal([]byte(r.stdout), &c); err != nil {
		t.Fatalf("%v in %s", err, r.stdout)
	}
	return r, &c
}

func TestCheck(t *testing.T) {
	r, c := checkConfig(t, checkedConfig, redistest.WithAOF("everysec"))
	if r.exit != exitOK || !c.OK || len(c.Problems) != 0 {
		t.Fatalf("exit %d\n%s", r.exit, r.stdout)
	}
	s := c.Redis.Server
	if s == nil || !s.AOF || s.Fsync != "everysec" || s.MaxMemoryPolicy != "noeviction" || s.Mode != "standalone" || s.Ledger != "" {
		t.Errorf("redis = %+v", s)
	}
	if c.Prices == nil || c.Prices.Currency != "CNY" || c.Prices.Models == 0 || len(c.Prices.Version) != 12 {
		t.Errorf("prices = %+v", c.Prices)
	}
	if len(c.Upstreams) != 4 || !c.Upstreams[0].Used || !c.Upstreams[1].Used || !c.Upstreams[2].Used || c.Upstreams[3].Used || c.Upstreams[0].Models[1] != "fast → glm-4.5-air" {
		t.Errorf("upstreams = %+v", c.Upstreams)
	}
	if pending := strings.Join(c.Pending, "\n"); strings.Contains(pending, "ledger.log") || !strings.Contains(pending, "older") || strings.Contains(pending, "gemini") {
		t.Errorf("pending = %q", c.Pending)
	}
	warnings := strings.Join(c.Warnings, "\n")
	if !strings.Contains(warnings, "serves fast, which has no price") || !strings.Contains(warnings, "no ledger in this Redis yet") {
		t.Errorf("warnings = %q", c.Warnings)
	}
}

// A model that one upstream prices and another that serves it does not is refused at both: nobody would look for that in
// the price table.
func TestCheckNamesUpstreamsWithoutAPrice(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "prices.yaml", `currency: CNY
prices:
  - {models: [half, either, third], upstreams: [one], rates: {input: 2/1M, output: 8/1M}}
  - {models: [either], upstreams: [two], rates: {input: 2/1M, output: 8/1M}}
  - {models: [all], rates: {input: 2/1M, output: 8/1M}}
`)
	path := writeFile(t, dir, "tollgate.yaml", `ledger: {redis: embedded}
upstreams:
  - {name: one, base_url: "http://127.0.0.1:1/v1", api_key: k, models: [half, either, third, all]}
  - {name: two, base_url: "http://127.0.0.1:2/v1", api_key: k, models: ["*"]}
  - {name: claude, kind: anthropic, base_url: "http://127.0.0.1:3/v1", api_key: k, models: [half]}
pricing: {currency: CNY, files: [prices.yaml]}
`)
	r := runWith(t, nil, "check", "-c", path)
	want := "upstream two serves half, for which upstream one has a price and it has none: calls to half are refused, whoever would serve them (as with 1 other model)\n"
	if r.exit != exitOK || strings.Count(r.stdout, want) != 1 || strings.Count(r.stdout, "whoever would serve them") != 1 {
		t.Errorf("exit %d\n%s%s\nwant once: %s", r.exit, r.stdout, r.stderr, want)
	}
}

// Looking changes nothing: a ledger is described once somebody has made it.
func TestCheckMakesNoLedger(t *testing.T) {
	server := redistest.Start(t)
	path := writeFile(t, t.TempDir(), "tollgate.yaml", strings.ReplaceAll(checkedConfig, "REDIS", server.URL()))
	environment := []string{"KEY=k"}
	if r := runWith(t, environment, "check", "-c", path); r.exit != exitOK || !strings.Contains(r.stdout, "none yet") {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
	if keys := server.Client().DBSize(t.Context()).Val(); keys != 0 {
		t.Errorf("check wrote %d keys", keys)
	}
	if r := runWith(t, environment, "account", "create", "acme", "-c", path); r.exit != exitOK {
		t.Fatal(r.stderr)
	}
	if r := runWith(t, environment, "check", "-c", path); r.exit != exitOK || !strings.Contains(r.stdout, "64 shards, CNY, 1 journal entry") {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
}

func TestCheckSaysWhatIsUnwiseAboutRedis(t *testing.T) {
	r, c := checkConfig(t, "ledger: {redis: REDIS}\npricing: {currency: CNY}\n", redistest.WithConfig("--maxmemory-policy", "allkeys-lru", "--appendonly", "no"))
	warnings := strings.Join(c.Warnings, "\n")
	if r.exit != exitOK || !strings.Contains(warnings, "append") || !strings.Contains(warnings, "noeviction") {
		t.Errorf("exit %d, warnings = %q", r.exit, c.Warnings)
	}
	if text := checkText(c); strings.Contains(text, "all is right") || !strings.Contains(text, "nothing is wrong with "+c.File+" (5 warnings)\n") {
		t.Errorf("it ends by saying that nothing is to be looked at:\n%s", text)
	}
}

func TestCheckCluster(t *testing.T) {
	if r, c := checkConfig(t, "ledger: {redis: 'REDIS'}\npricing: {currency: CNY}\n", redistest.WithCluster()); r.exit != exitOK || c.Redis.Server.Mode != "cluster" {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
}

// Everything that is wrong, in one go, with its place.
func TestCheckFails(t *testing.T) {
	r, c := checkConfig(t, "listen: 1\nledgr: {}\n")
	if r.exit != exitFailed || c.OK || len(c.Problems) != 2 || c.Problems[0].Line != 1 || c.Problems[1].Line != 2 || r.stderr != "" {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
	dir := t.TempDir()
	writeFile(t, dir, "bad.yaml", "currency: CNY\nprices:\n  - models: [a]\n    rates: {input: much}\n  - models: [b]\n    rates: {inputt: 1}\n")
	path := writeFile(t, dir, "c.yaml", "ledger: {redis: 'redis://127.0.0.1:1/0'}\npricing: {currency: CNY, files: [bad.yaml, none.yaml]}\n")
	text := runWith(t, nil, "check", "-c", path)
	for _, want := range []string{"pricing.files[1]: there is no file", "is Redis running there", "things to put right"} {
		if text.exit != exitFailed || !strings.Contains(text.stdout, want) {
			t.Errorf("exit %d, lacks %q:\n%s", text.exit, want, text.stdout)
		}
	}
	path = writeFile(t, dir, "d.yaml", "ledger: {redis: embedded}\npricing: {currency: CNY, files: [bad.yaml]}\n")
	text = runWith(t, nil, "check", "-c", path)
	for _, want := range []string{"bad.yaml:4:", "bad.yaml:6:"} {
		if text.exit != exitFailed || !strings.Contains(text.stdout, want) {
			t.Errorf("exit %d, lacks %q:\n%s", text.exit, want, text.stdout)
		}
	}
}

// A price for an upstream whose name is mistyped is never used, and another may be in its place.
func TestCheckOfPricesForNoUpstream(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "p.yaml", "currency: CNY\nprices:\n  - {models: [m], rates: {input: 1}}\n  - {models: [m], upstreams: [bigmodle], rates: {input: 2}}\n")
	path := writeFile(t, dir, "c.yaml", strings.NewReplacer("REDIS", "embedded", "prices/bigmodel.yaml", "p.yaml").Replace(checkedConfig))
	r := runWith(t, []string{"KEY=k"}, "check", "-c", path)
	if r.exit != exitOK || !strings.Contains(r.stdout, "p.yaml:4:5: upstreams: there is no upstream bigmodle") {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
}

// A mistyped pattern serves nothing: nobody finds that in the 404 of each call.
func TestCheckOfPatternsWithoutPrices(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "p.yaml", "currency: CNY\nprices:\n  - {models: [glm-4.6, 'qwen-*-max'], rates: {input: 1}}\n")
	for pattern, priced := range map[string]bool{
		"glm-*": true, "*": true, "glm-4.6*": true, "qwen-*": true, "qwen-3-*": true, "*-max": true,
		"gml-*": false, "glm-5*": false, "qwen-*-mini": false, "*-min": false,
	} {
		config := "ledger: {redis: embedded}\nupstreams: [{name: up, base_url: 'http://127.0.0.1:1/v1', api_key: k, models: ['" + pattern + "']}]\npricing: {currency: CNY, files: [p.yaml]}\n"
		r := runWith(t, nil, "check", "-c", writeFile(t, dir, "c.yaml", config))
		warned := strings.Contains(r.stdout, "upstream up serves "+pattern+", and no model of such a name has a price")
		if r.exit != exitOK || warned == priced {
			t.Errorf("%s: exit %d, want a warning: %t\n%s", pattern, r.exit, !priced, r.stdout)
		}
	}
}

// Without the path an upstream answers 404 to every call, which seems to be about the client's request.
func TestCheckOfABaseURLWithoutItsPath(t *testing.T) {
	const bare = `base_url: "https://api.openai.com/"`
	for _, c := range []string{
		strings.Replace(checkedConfig, `base_url: "http://127.0.0.1:1/v4"`, bare, 1),
		checkedConfig,
	} {
		_, checked := checkConfig(t, strings.ReplaceAll(c, "REDIS", "embedded"))
		found := strings.Contains(strings.Join(checked.Warnings, "\n"), "upstream bigmodel has no path in its base_url: chats go to https://api.openai.com/chat/completions")
		if found != strings.Contains(c, bare) {
			t.Errorf("%s\nwarnings = %q", c, checked.Warnings)
		}
	}
}

func TestCheckOfTheEnvironmentAlone(t *testing.T) {
	server := redistest.Start(t)
	env := []string{"TOLLGATE_REDIS=" + server.URL()}
	if r := runWith(t, env, "check"); r.exit != exitOK || !strings.Contains(r.stdout, "there is no ledger in this Redis yet") {
		t.Errorf("an empty Redis: exit %d\n%s", r.exit, r.stdout)
	}
	if n := server.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("check has written %d keys to it", n)
	}
}

// The example that people start from serves nothing that it does not price.
func TestExampleIsPricedThroughout(t *testing.T) {
	env := []string{"TOLLGATE_REDIS=embedded", "BIGMODEL_API_KEY=x", "OPENAI_API_KEY=y"}
	r := runWith(t, env, "check", "-c", "../../examples/tollgate.yaml")
	if r.exit != exitOK || strings.Contains(r.stdout, "has no price") {
		t.Errorf("exit %d: %s%s", r.exit, r.stdout, r.stderr)
	}
}

// What is wrong in the configuration does not hide what is wrong in its price tables.
func TestCheckFindsAllAtOnce(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "p.yaml", "currency: CNY\nprices:\n  - {models: [m], rates: {input: 1/3}}\n")
	path := writeFile(t, dir, "tollgate.yaml", `ledger: {redis: embedded}
pricing: {currency: CNY, files: [p.yaml]}
policy: {quota_status: 500}
`)
	r := runWith(t, nil, "check", "-c", path)
	if r.exit != exitFailed || !strings.Contains(r.stdout, "tollgate.yaml:3:24: policy.quota_status") || !strings.Contains(r.stdout, "p.yaml:3:34: rate 1/3") ||
		!strings.Contains(r.stdout, "2 things to put right") {
		t.Errorf("exit %d\n%s", r.exit, r.stdout)
	}
}
