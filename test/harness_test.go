package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/internal/mockai"
	"github.com/tollgate/tollgate/internal/redistest"
)

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// binaryVariable names, for this process, the binary under test.
const binaryVariable = "TOLLGATE_E2E_BINARY"

// runAll builds the binary once and runs the tests with it.
func runAll(m *testing.M) (int, error) {
	if os.Getenv(binaryVariable) != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "tollgate-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "tollgate")
	args := []string{"build", "-o", binary}
	if os.Getenv("TOLLGATE_E2E_NO_RACE") == "" {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../cmd/tollgate")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=1") // the race detector needs it
	if os.Getenv("TOLLGATE_E2E_NO_RACE") != "" {
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	if err := os.Setenv(binaryVariable, binary); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// patience is how long a test waits for what must come, however slow the machine.
const patience = 60 * time.Second

// settings of a world. Texts are YAML as it stands in the config file.
type settings struct {
	ledger    string // more settings of the ledger section
	archive   string // more settings of the archive section; empty: no archive
	upstreams string // the list's items; empty: the simulated upstream for all models
	policy    string // the policy section
	prices    string // the price table
	mock      mockai.Options
	redis     []redistest.Option // beyond an append-only file
	// environment is what the processes have in theirs beyond what they need.
	environment []string
}

// A world is one installation: Redis, an upstream, a config file.
type world struct {
	t      *testing.T
	redis  *redistest.Server
	up     *upstream
	dir    string
	config string
	made   settings
	// proxies are all that were started.
	proxies []*process
}

// testPrices are round numbers: of gpt-4o, 100 in and 50 out cost 0.0025.
const testPrices = `currency: CNY
prices:
  - models: [gpt-4o, gpt-4o-mini]
    endpoints: [chat]
    rates: {input: 10/1M, cached_input: 5/1M, output: 30/1M}
  - models: [glm-4.6]
    endpoints: [chat]
    tiers:
      - {input: "[0,32000)", output: "[0,200)", rates: {input: 2/1M, output: 8/1M, cached_input: 0.4/1M}}
      - {input: "[0,32000)", output: "[200,)", rates: {input: 3/1M, output: 14/1M, cached_input: 0.6/1M}}
      - {input: "[32000,)", rates: {input: 4/1M, output: 16/1M, cached_input: 0.8/1M}}
  - models: [text-embedding-3-small, embedding-3]
    endpoints: [embeddings]
    rates: {input: 0.5/1M}
  - models: [cogview-4]
    endpoints: [images]
    rates: {image: 0.06}
  - models: [dall-e-2, dall-e-3]
    endpoints: [images]
    rates: {image: 0.3}
`

// newWorld starts Redis and the upstream and writes the config file.
func newWorld(t *testing.T, change ...func(*settings)) *world {
	t.Helper()
	s := settings{prices: testPrices, mock: mockai.Options{RequireKey: upstreamKey, Keep: 1000}}
	for _, f := range change {
		f(&s)
	}
	w := &world{t: t, redis: redistest.Start(t, append([]redistest.Option{redistest.WithAOF("everysec")}, s.redis...)...), up: startUpstream(t, s.mock), dir: t.TempDir(), made: s}
	w.config = filepath.Join(w.dir, "tollgate.yaml")
	w.write("prices.yaml", s.prices)
	w.writeConfig()
	return w
}

// writeConfig writes the config file from the settings as they are now.
func (w *world) writeConfig() {
	w.t.Helper()
	upstreams, archive := w.made.upstreams, ""
	if upstreams == "" {
		upstreams = w.upstreamItem("sim", w.up.url, "")
	}
	if w.made.archive != "" {
		archive = fmt.Sprintf("archive: {url: %q, %s}", "sqlite:"+w.archivePath(), w.made.archive)
	}
	w.write("tollgate.yaml", fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0, token: "operator"}
ledger:
  redis: %q
  %s
%s
upstreams:
%s
pricing: {currency: CNY, exchange: {USD: 7.1}, files: [prices.yaml]}
policy: {%s}
`, w.redis.URL(), w.made.ledger, archive, upstreams, w.made.policy))
}

// archivePath is where the archive is, of a world that has one.
func (w *world) archivePath() string { return filepath.Join(w.dir, "archive.db") }

// upstreamItem is an upstream of the config file that serves all models.
func (w *world) upstreamItem(name, url, more string) string {
	return fmt.Sprintf("  - {name: %s, base_url: %q, api_key: %q, models: [\"*\"]%s}\n", name, url+"/v1", upstreamKey, more)
}

// upstreamFor is one that serves the models of a list.
func (w *world) upstreamFor(name, models string) string {
	return fmt.Sprintf("  - {name: %s, base_url: %q, api_key: %q, models: %s}\n", name, w.up.url+"/v1", upstreamKey, models)
}

// write writes a file of the world's folder.
func (w *world) write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// command is the binary with arguments, in a clean environment. The race
// detector would by default sleep for a second at each exit.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Getenv(binaryVariable), args...)
	cmd.Dir = w.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GORACE=atexit_sleep_ms=10"}, w.made.environment...)
	return cmd
}

// run runs a verb and returns what it printed and its exit code.
func (w *world) run(args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	cmd := w.command(append(args, "-c", w.config)...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("tollgate %s: %v", strings.Join(args, " "), err)
	}
	if strings.Contains(problems.String(), "DATA RACE") {
		w.t.Errorf("tollgate %s:\n%s", strings.Join(args, " "), problems.String())
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// verb runs a verb with --json, which must succeed, and returns what it printed.
func (w *world) verb(args ...string) gjson.Result {
	w.t.Helper()
	stdout, stderr, code := w.run(append(args, "--json")...)
	if code != 0 {
		w.t.Fatalf("tollgate %s: exit %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	if !gjson.Valid(stdout) {
		w.t.Fatalf("tollgate %s --json printed no JSON:\n%s", strings.Join(args, " "), stdout)
	}
	return gjson.Parse(stdout)
}

// account creates an account with money on its recharge wallet; "0" is none.
func (w *world) account(id, recharge string, flags ...string) {
	w.t.Helper()
	w.verb(append([]string{"account", "create", id}, flags...)...)
	if recharge != "0" {
		w.verb("topup", id, recharge)
	}
}

// key creates a key and returns its secret and id.
func (w *world) key(account string, flags ...string) (secret, id string) {
	w.t.Helper()
	made := w.verb(append([]string{"key", "create", account}, flags...)...)
	secret, id = made.Get("secret").String(), made.Get("id").String()
	if !strings.HasPrefix(secret, "tg-"+account+"-") || id == "" {
		w.t.Fatalf("key create printed %s", made.Raw)
	}
	return secret, id
}

// requireAudit demands that the books balance.
func (w *world) requireAudit() {
	w.t.Helper()
	stdout, stderr, code := w.run("audit", "--json")
	report := gjson.Parse(stdout)
	if code != 0 || !report.Get("ok").Bool() || len(report.Get("differences").Array()) != 0 {
		w.t.Errorf("the books do not balance: exit %d\n%s%s", code, stdout, stderr)
	}
	w.requireSamePrices()
}

// requireSamePrices demands that every charge follows from its entry and the
// price table, if that has been the same all the time.
func (w *world) requireSamePrices() {
	w.t.Helper()
	table := filepath.Join(w.dir, "prices.yaml")
	if content, err := os.ReadFile(table); err != nil || string(content) != w.made.prices {
		return
	}
	r := w.verb("reprice", "--dry-run", "--since", "2026-01-01", "--prices", table)
	if r.Get("repriced").Int() != 0 || len(r.Get("left_alone").Array()) != 0 {
		w.t.Errorf("by the same prices: %s", r.Raw)
	}
}

// requireSettled waits until nothing of an account is held, and audits.
func (w *world) requireSettled(account string) gjson.Result {
	w.t.Helper()
	var shown gjson.Result
	eventually(w.t, "nothing of "+account+" is held", func() bool {
		shown = w.verb("account", "show", account)
		if shown.Get("held").String() != "0" {
			return false
		}
		for _, pack := range shown.Get("packs").Array() {
			if pack.Get("free").Int() != pack.Get("remaining").Int() {
				return false
			}
		}
		return true
	})
	for _, wallet := range []string{"recharge", "bonus"} {
		balance, free := shown.Get("wallets."+wallet+".balance").String(), shown.Get("wallets."+wallet+".free").String()
		if balance != free {
			w.t.Errorf("%s of %s: balance %s, free %s, and nothing is held", wallet, account, balance, free)
		}
	}
	w.requireAudit()
	return shown
}

// entries returns an account's journal entries of the given types, oldest first.
func (w *world) entries(account string, types ...string) (entries []gjson.Result) {
	w.t.Helper()
	for _, entry := range w.verb("journal", account).Array() {
		for _, kind := range types {
			if entry.Get("type").String() == kind {
				entries = append(entries, entry)
			}
		}
	}
	return entries
}

// onlyCharge waits for the account's first charge and demands that there is no other.
func (w *world) onlyCharge(account string) gjson.Result {
	w.t.Helper()
	var charges []gjson.Result
	eventually(w.t, "a charge of "+account, func() bool {
		charges = w.entries(account, "charge", "abandon")
		return len(charges) > 0
	})
	w.requireSettled(account)
	if charges = w.entries(account, "charge", "abandon"); len(charges) != 1 {
		w.t.Fatalf("%d charges of %s, want 1: %v", len(charges), account, charges)
	}
	return charges[0]
}

// requireNoCharge demands that nothing was charged, and nothing is held.
func (w *world) requireNoCharge(account string) {
	w.t.Helper()
	w.requireSettled(account)
	if charges := w.entries(account, "charge", "abandon"); len(charges) != 0 {
		w.t.Errorf("%s was charged: %v", account, charges)
	}
}

// balance is what an account's recharge wallet holds.
func (w *world) balance(account string) string {
	w.t.Helper()
	return w.verb("account", "show", account).Get("wallets.recharge.balance").String()
}

// eventually waits for what another process brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; !holds(); pause = min(2*pause, 200*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never within %s: %s", patience, what)
		}
		time.Sleep(pause)
	}
}

// equal compares what should be the same.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
