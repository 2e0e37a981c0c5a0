package main

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// What a wrong flag is answered: exit 2, and what would be right.
func TestWrongFlagsSayWhatWouldBeRight(t *testing.T) {
	for args, want := range map[string]string{
		"key create acme --rpm x":              `--rpm: "x" is not a whole number`,
		"key create acme --spend-daily -1":     "--spend-daily: -1 is negative: want an amount such as 10 or 0.25",
		"quote m --input 99999999999999999999": "--input: 99999999999999999999 is out of range",
		"quote m --usage input=x":              `--usage: "x" is not a whole number`,
		"quote m --usage inputs=5":             "--usage: unknown dimension \"inputs\"; want one of input, cached_input,",
		"quote m --when a":                     "--when: a must be formatted as key=value",
		"account list --json=maybe":            `--json: "maybe" is neither true nor false`,
		"bill acme --csvs":                     "unknown flag: --csvs: see tollgate bill --help",
	} {
		r := runWith(t, nil, strings.Fields(args)...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %s want %s", args, r.exit, r.stderr, want)
		}
	}
}

// What a script's unset variable leaves is not the same as no flag.
func TestEmptyFlagsAreRefused(t *testing.T) {
	for flag, args := range map[string][]string{
		"ref":     {"topup", "acme", "5", "--ref", " "}, // as --ref "$a $b" makes it
		"name":    {"key", "create", "acme", "--name", ""},
		"models":  {"key", "create", "acme", "--models="},
		"expires": {"pack", "grant", "acme", "--quantity", "1", "--expires", ""},
		"config":  {"account", "list", "-c", ""},
	} {
		r := runWith(t, nil, args...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, "--"+flag+" is empty: give it a value, or leave it out") {
			t.Errorf("%q: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}

// What cannot be journaled is wrong usage in every verb, whatever is on the books.
func TestNotesThatCannotBeJournaled(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, args := range [][]string{
		{"topup", "acme", "1", "--ref", long},
		{"adjust", "acme", "1", "--reason", "x", "--ref", long},
		{"pack", "grant", "acme", "--quantity", "1", "--ref", long},
		{"pack", "revoke", "acme", "p1", "--reason", long},
		{"refund", "acme", "req_1", "--reason", long},
		{"reprice", "--since", "2026-11-01", "--prices", "p.yaml", "--reason", long},
		{"account", "suspend", "acme", "--reason", long},
		{"account", "resume", "acme", "--reason", long},
	} {
		r := runWith(t, nil, args...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, "want at most 512 characters") {
			t.Errorf("%s %s: exit %d, %s", args[0], args[1], r.exit, r.stderr)
		}
	}
}

// An error is one line, though several things are wrong, or a driver's words have line ends.
func TestErrorsAreOneLine(t *testing.T) {
	server := redistest.Start(t)
	foundArchived(t, server.URL(), "sqlite:"+t.TempDir()+"/archive.db")
	env := []string{"TOLLGATE_REDIS=" + server.URL()}
	away := writeFile(t, t.TempDir(), "c.yaml", "ledger: {redis: '"+server.URL()+"'}\narchive: {url: 'postgres://u@127.0.0.1:1/db'}\npricing: {currency: CNY}\n")
	for args, want := range map[string]string{
		"key create acme --models a\tb --endpoints c\td": "without blanks; invalid: endpoints",
		"audit -c " + away: "failed to connect",
	} {
		r := runWith(t, env, strings.Split(args, " ")...)
		if r.exit == exitOK || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %q, want one line with %q", args, r.exit, r.stderr, want)
		}
	}
}
