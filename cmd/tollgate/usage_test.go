package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestWrongUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		exit int
		want string
	}{
		{"tpoup", 2, "did you mean topup?"},
		{"frobnicate", 2, `there is no verb "frobnicate" in tollgate: see tollgate --help`},
		{"account bogus", 2, "see tollgate account --help"},
		{"account lst", 2, "did you mean list or set?"},
		{"help bogus", 2, `there is no verb "bogus" in tollgate: see tollgate --help`},
		{"help account lst", 2, "did you mean list or set?"},
		{"help topup acme", 2, `there is no verb "acme" in tollgate topup`},
		{"account create", 2, "tollgate account create needs ID"},
		{"account create a b", 2, `takes ID, but got "b", too`},
		{"account list x", 2, `takes no argument, but got "x"`},
		{"account create a --overdraft -5", 2, "-5 is negative"},
		{"account create a --overdraft five", 2, "want a decimal number"},
		{"topup acme", 2, "needs ACCOUNT AMOUNT"},
		{"topup acme -5", 2, "a topup only adds: to take money away is `tollgate adjust ACCOUNT -5"},
		{"topup acme 0", 2, "0 is nothing"},
		{"topup acme 1e3", 2, "want a decimal number"},
		{"topup acme 0.0000000001", 2, "smallest amount"},
		{"topup acme 5 --wallet pocket", 2, "want recharge or bonus"},
		{"topup acme 5 --walet bonus", 2, "unknown flag: --walet"},
		{"pack grant acme", 2, "--quantity is 0: want the number of units"},
		{"pack grant acme --quantity -3", 2, "--quantity is -3: want the number of units"},
		{"pack revoke acme", 2, "needs ACCOUNT PACK"},
		{"key create acme --rpm 0", 2, "--rpm: want more than 0"},
		{"key create acme --spend-daily 0", 2, "--spend-daily: want more than 0"},
		{"key create acme --tokens -1", 2, "--tokens: want more than 0"},
		{"journal acme --type chrage", 2, `there is no type "chrage"`},
		{"journal acme --limit -1", 2, "limit -1: want a number of entries"},
		{"quote glm-4.5", 2, "there is nothing to price"},
		{"quote glm-4.5 --input -1", 2, "input is negative"},
		{"quote glm-4.5 --usage tokens=1", 2, `unknown dimension "tokens"`},
		{"quote glm-4.5 --input 1 --usage input=1", 2, "input is given twice"},
		{"quote glm-4.5 --usage image=1,image=2", 2, "--usage: image is given twice"},
		{"quote glm-4.5 --usage image=1 --usage image=2", 2, "--usage: image is given twice"},
		{"quote glm-4.5 --input 1 --when size=1x1,size=2x2", 2, "--when: size is given twice"},
		{"quote glm-4.5 --input 1 --endpoint chta", 2, `there is no endpoint "chta"`},
		{"quote glm-4.5 --input 1 --at yesterday", 2, "want a date such as 2026-12-31"},
		{"audit a b", 2, "takes [ACCOUNT]"},
		{"mock --delay -1s", 2, "--delay -1s is negative"},
		{"mock --listen 9090", 2, `--listen "9090": want HOST:PORT`},
		{"demo --listen localhost", 2, `--listen "localhost": want HOST:PORT`},
		{"demo --listen :http", 2, `--listen ":http": want HOST:PORT`},
		{"mock --latency -1s", 2, "--latency -1s is negative"},
		{"quote glm-4.5 --input 1 --upstream nope", 2, `there is no upstream "nope"`},
		// What the ledger would refuse whatever it has is wrong usage, and is found before it is asked.
		{"account create acme --split foo", 2, `split "foo": want proportional`},
		{"account create acme --overdraft 9000000000", 2, "overdraft 9000000000: want 0 to"},
		{"account create Acme", 2, `account "Acme": want a lower-case letter`},
		{"account show a/b", 2, `account "a/b"`},
		{"account set acme --split foo", 2, `split "foo"`},
		{"account suspend Acme", 2, `account "Acme"`},
		{"topup Acme 5", 2, `account "Acme"`},
		{"topup acme 9100000000", 2, "at most 9 billion"},
		{"adjust acme -9100000000 --reason x", 2, "at most 9 billion"},
		{"refund Acme req_1 --reason x", 2, `account "Acme"`},
		{"pack grant acme --quantity 5 --order x", 2, `order "x"`},
		{"pack grant acme --quantity 5 --unit foo", 2, `unit "foo"`},
		{"pack grant acme --quantity 5 --priority 99999999999", 2, "priority 99999999999"},
		{"pack grant acme --quantity 9223372036854775807", 2, "quantity 9223372036854775807: want 1 to"},
		{"pack list Acme", 2, `account "Acme"`},
		{"key create acme --networks foo", 2, `network "foo"`},
		{"key create acme --rpm 9223372036854775807", 2, "limit rpm"},
		{"key list Acme", 2, `account "Acme"`},
		{"journal Acme", 2, `account "Acme"`},
		{"bill Acme", 2, `account "Acme"`},
		{"audit Acme", 2, `account "Acme"`},
		{"account list", 1, "pass -c FILE, or set TOLLGATE_CONFIG"},
		{"serve", 1, "pass -c FILE"},
		{"serve -c /nowhere.yaml", 1, "/nowhere.yaml: there is no such file"},
	} {
		r := runWith(t, nil, strings.Fields(tt.args)...)
		if r.exit != tt.exit || !strings.Contains(r.stderr, tt.want) || r.stdout != "" {
			t.Errorf("tollgate %s: exit %d, want %d\nstderr: %swant:   %s\nstdout: %s", tt.args, r.exit, tt.exit, r.stderr, tt.want, r.stdout)
		}
		if !strings.HasPrefix(r.stderr, "tollgate: ") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("tollgate %s: an error is one line after the program's name: %q", tt.args, r.stderr)
		}
	}
}

// An unset variable of a script makes a flag empty. What is needed is not to be left out.
func TestEmptyFlags(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"adjust", "acme", "5", "--reason", ""}, "--reason is empty: say why, for the journal"},
		{[]string{"refund", "acme", "req_1", "--reason", ""}, "--reason is empty: say why, for the journal"},
		{[]string{"adjust", "acme", "5", "--reason", "x", "--ref", ""}, "--ref is empty: give it a value, or leave it out"},
		{[]string{"account", "suspend", "acme", "--reason", ""}, "--reason is empty: give it a value, or leave it out"},
	} {
		if r := runWith(t, nil, tt.args...); r.exit != exitUsage || !strings.Contains(r.stderr, tt.want) {
			t.Errorf("%q: exit %d, %s, want %s", tt.args, r.exit, r.stderr, tt.want)
		}
	}
}

// What no ledger would take is told before one is opened, by every verb that books.
// A blank at an end, copied along, would make another reference of the same payment.
func TestReferenceWithATab(t *testing.T) {
	for _, args := range [][]string{
		{"topup", "acme", "5"},
		{"adjust", "acme", "5", "--reason", "x"},
		{"refund", "acme", "req_1", "--reason", "x"},
		{"pack", "grant", "acme", "--quantity", "5"},
	} {
		for _, ref := range []string{"a\tb", "pay-1 ", " pay-1", "pay-1\u00a0"} {
			if r := runWith(t, nil, append(slices.Clone(args), "--ref", ref)...); r.exit != exitUsage || !strings.Contains(r.stderr, "ref") {
				t.Errorf("%q, --ref %q: exit %d, %s", args, ref, r.exit, r.stderr)
			}
		}
	}
}

// A pattern with a blank comes as one argument.
func TestModelsWithABlank(t *testing.T) {
	for _, args := range [][]string{
		{"pack", "grant", "acme", "--quantity", "5", "--models", "a b"},
		{"key", "create", "acme", "--models", "a b"},
	} {
		if r := runWith(t, nil, args...); r.exit != exitUsage || !strings.Contains(r.stderr, `models: "a b"`) {
			t.Errorf("%q: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}

func TestErrorsAsJSON(t *testing.T) {
	for _, tt := range []struct{ args, code string }{
		{"topup acme -5 --json", "usage"},
		{"topup --walet x --json", "usage"},
		{"--json nonsense", "usage"},
		{"account list --json", "config"},
		{"account list --json -c /nowhere.yaml", "config"},
	} {
		r := runWith(t, nil, strings.Fields(tt.args)...)
		var body struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal([]byte(r.stderr), &body); err != nil {
			t.Errorf("%s: %v in %q", tt.args, err, r.stderr)
		}
		if body.Error.Code != tt.code || body.Error.Message == "" {
			t.Errorf("%s: %+v, want code %s", tt.args, body, tt.code)
		}
	}
}

func TestConfigProblemsAsJSON(t *testing.T) {
	path := writeFile(t, t.TempDir(), "c.yaml", "listen: 1\nladger: {}\n")
	r := runWith(t, nil, "account", "list", "--json", "-c", path)
	var body struct {
		Error struct {
			Code     string
			Problems []struct {
				Line, Column  int
				Path, Message string
			}
		}
	}
	if err := json.Unmarshal([]byte(r.stderr), &body); err != nil {
		t.Fatal(err)
	}
	if p := body.Error.Problems; r.exit != 1 || len(p) != 2 || p[0].Line != 1 || p[0].Column != 9 || p[1].Path != "ladger" {
		t.Errorf("exit %d, %+v", r.exit, body)
	}
}

// Negative amounts are arguments; what begins with - otherwise is a flag; the
// value of a flag stays with its flag.
func TestNegativeArguments(t *testing.T) {
	root := (&program{}).root()
	for _, tt := range []struct{ args, want string }{
		{"adjust acme -0.25", "adjust acme !-0.25"},
		{"adjust acme -.5 --json", "adjust acme !-.5 --json"},
		{"adjust acme --json -5", "adjust acme --json !-5"},
		{"adjust acme --wallet -5", "adjust acme --wallet -5"},
		{"adjust acme --wallet=bonus -5", "adjust acme --wallet=bonus !-5"},
		{"adjust -c -5 acme", "adjust -c -5 acme"},
		{"adjust acme -5 -6", "adjust acme !-5 !-6"},
		{"adjust acme -c", "adjust acme -c"},
		{"adjust acme -x5", "adjust acme -x5"},
		{"adjust acme -- -5", "adjust acme -- -5"},
	} {
		got := guardNegatives(root, strings.Fields(tt.args))
		want := strings.Fields(strings.ReplaceAll(tt.want, "!", guard))
		if !slices.Equal(got, want) {
			t.Errorf("guardNegatives(%s) = %q, want %q", tt.args, got, want)
		}
	}
}

// An operator's verb cannot reach a ledger that lives in another process.
func TestEmbeddedLedgerIsNotForOperators(t *testing.T) {
	path := writeFile(t, t.TempDir(), "c.yaml", "ledger: {redis: embedded}")
	for _, args := range []string{"account list", "topup a 1", "audit", "key list a"} {
		r := runWith(t, nil, append(strings.Fields(args), "-c", path)...)
		if r.exit != 1 || !strings.Contains(r.stderr, "embedded") || !strings.Contains(r.stderr, "tollgate demo") {
			t.Errorf("%s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}
