package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// atConsole plays one case of sdk/node/console.mjs: somebody signs in at the console with a secret.
func atConsole(t *testing.T, p *process, name, secret string, environment ...string) gjson.Result {
	t.Helper()
	requireSDK(t, sdk{needs: "sdk/node/node_modules/installed.json"})
	cmd := exec.Command("node", "sdk/node/console.mjs", name)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CONSOLE=" + p.admin + "/console/", "SECRET=" + secret}
	cmd.Env = append(cmd.Env, environment...)
	cmd.WaitDelay = 5 * time.Second
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil || !gjson.ValidBytes(out) {
		t.Fatalf("%s: %v\n%s%s", name, err, out, problems.String())
	}
	return gjson.ParseBytes(out)
}

// requireSeen demands that somebody saw each of these.
func requireSeen(t *testing.T, what string, seen gjson.Result, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		if !strings.Contains(seen.String(), want) {
			t.Errorf("%s: no %q in\n%s", what, want, seen)
		}
	}
}

func TestConsoleLetsNoStrangerIn(t *testing.T) {
	_, p, _ := acme(t)
	seen := atConsole(t, p, "strangers", "")
	requireSeen(t, "a wrong key", seen.Get("said.tg-acme-nothing"), "Incorrect API key provided")
	requireSeen(t, "a wrong token", seen.Get("said.nothing"), "valid admin token")
	equal(t, "pages for a stranger", seen.Get("links").String(), "")
}

// An operator makes an account, pays in, grants a pack and makes a key. A form that is sent twice books once.
func TestOperatorAtTheConsole(t *testing.T) {
	w, p, _ := acme(t)
	seen := atConsole(t, p, "operator", "operator")
	requireSeen(t, "the accounts", seen.Get("accounts"), "acme", "active")
	requireSeen(t, "an amount that is none", seen.Get("refused"), "amount", "ten")
	requireSeen(t, "a limit that is none", seen.Get("misspelt"), "Requests a minute: want a whole number")
	requireSeen(t, "the account", seen.Get("account"), "Account shop", "glm-4*, glm-5", "1,000", "till", "rpm 60")
	equal(t, "forms left open", seen.Get("dialogs").Int(), 0)

	shop := w.verb("account", "show", "shop")
	equal(t, "paid in", shop.Get("wallets.recharge.balance").String(), "10")
	equal(t, "packs", shop.Get("packs.#").Int(), 1)
	equal(t, "models of the pack", shop.Get("packs.0.models|@ugly").Raw, `["glm-4*","glm-5"]`)
	if secret := seen.Get("secret").String(); p.get("/v1/key", secret).status != http.StatusOK {
		t.Errorf("the secret that was shown, %q, is none", secret)
	}
}

// While Redis is away an operator gets in all the same, and reads what is the matter.
func TestConsoleInAnOutage(t *testing.T) {
	w, p, _ := acme(t)
	w.redis.Stop()
	eventually(t, "readyz fails", func() bool { return p.adminStatus("/readyz") != 200 })
	seen := atConsole(t, p, "outage", "operator")
	requireSeen(t, "the accounts", seen.Get("accounts"), "ledger unavailable")
	requireSeen(t, "the audit", seen.Get("audit"), "ledger unavailable")
	requireSeen(t, "where else to look", seen.Get("links"), "Overdue holds")
}

// A charge is refunded from the journal, an account suspended, the books audited.
func TestCorrectionsAtTheConsole(t *testing.T) {
	w, p, key := acme(t)
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	seen := atConsole(t, p, "corrections", "operator")
	requireSeen(t, "the journal", seen.Get("journal"), "charge", "gpt-4o", "input 100, output 50", "topup")
	requireSeen(t, "the journal afterwards", seen.Get("refunded"), "refund", "it was cut")
	requireSeen(t, "the account", seen.Get("suspended"), "suspended", "Resume")
	requireSeen(t, "the audit", seen.Get("audit"), "The books balance.", "cash")
	equal(t, "refunded", w.verb("journal", "acme", "--type", "refund").Get("0.reason").String(), "it was cut")
	equal(t, "status of a call", p.post(chatPath, key, chat("gpt-4o", "usage=1,1")).status, 403)
}

// What is tried in the playground is charged as a call is, and stands on the bill that the holder reads.
func TestPlaygroundIsChargedLikeTheAPI(t *testing.T) {
	w, p, key := acme(t)
	w.verb("pack", "grant", "acme", "--unit", "image", "--quantity", "5", "--models", "cogview-*")
	seen := atConsole(t, p, "holder", key)
	requireSeen(t, "the account", seen.Get("account"), "Account acme", "recharge", "cogview-*")
	requireSeen(t, "the quote", seen.Get("quote"), "at most 0.0", "CNY")
	requireSeen(t, "what was said", seen.Get("talk"), "Hello from the simulated upstream", "Say it again.", "paid by recharge")
	if !strings.HasPrefix(seen.Get("picture.shown").String(), "https://") {
		t.Errorf("no picture: %s", seen.Get("picture"))
	}
	requireSeen(t, "a picture's receipt", seen.Get("picture.said"), "Fee 0 CNY", "pack p1: 1")
	requireSeen(t, "a vector", seen.Get("vector"), "numbers:")
	requireSeen(t, "the bill", seen.Get("bill"), "Bill of acme", "gpt-4o", "cogview-4", "text-embedding-3-small")

	charges := w.verb("journal", "acme", "--type", "charge")
	equal(t, "models that were tried", charges.Get("#.model").Raw, `["gpt-4o","gpt-4o","cogview-4","text-embedding-3-small"]`)
	bill := w.verb("bill", "acme")
	requireSeen(t, "the bill", seen.Get("bill"), bill.Get("fee").String()+" CNY")
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 4)
	equal(t, "the books balance", w.verb("audit").Get("ok").Bool(), true)
}

// Models of other APIs are tried by these, a conversation with each.
func TestPlaygroundOfOtherAPIs(t *testing.T) {
	for model, made := range map[string]func() (*world, *process, string){
		"claude-sonnet-4-5": func() (*world, *process, string) { return claude(t, "") },
		"gemini-2.5-flash":  func() (*world, *process, string) { return gemini(t, "") },
	} {
		w, p, key := made()
		seen := atConsole(t, p, "tried", key, "MODEL="+model)
		requireSeen(t, model, seen.Get("said"), "Say hello.", "Hello from the simulated upstream", "Say it again.", "paid by recharge")
		charges := w.verb("journal", "acme", "--type", "charge")
		equal(t, model+": charges", charges.Get("#.model").Raw, `["`+model+`","`+model+`"]`)
		if first, second := charges.Get("0.usage.input").Int(), charges.Get("1.usage.input").Int(); second <= first {
			t.Errorf("%s: %d tokens in at first, and %d of the conversation so far", model, first, second)
		}
	}
}

// An answer that is stopped is charged for what the upstream says it used, and the receipt comes when that is known.
func TestPlaygroundIsStopped(t *testing.T) {
	w, p, key := acme(t)
	seen := atConsole(t, p, "stopped", key)
	requireSeen(t, "what was stopped", seen.Get("said"), "Stopped here.", "Fee 0.0025 CNY")
	requireSeen(t, "what came after it", seen.Get("afterwards"), "And now a short one.", "Hello")
	equal(t, "fee of the stopped call", w.verb("journal", "acme", "--type", "charge").Get("0.fee").String(), "0.0025")
}

// A name or a reason that looks like HTML is shown as it is.
func TestConsoleShowsMarkupAsText(t *testing.T) {
	w, p, _ := acme(t)
	const name = `<img src=x onerror=alert(1)>`
	w.key("acme", "--name", name)
	seen := atConsole(t, p, "markup", "operator")
	requireSeen(t, "the key's name", seen.Get("account"), name)
	equal(t, "pictures that it made", seen.Get("images").Int(), 0)
}
