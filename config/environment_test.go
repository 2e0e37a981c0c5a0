package config

import (
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	getenv := env("A=1", "B=two words", "EMPTY=", "HOSTILE=${A}: {x}")
	for _, tt := range []struct{ text, want, err string }{
		{text: "plain", want: "plain"},
		{text: "", want: ""},
		{text: "$A $ {A} cost$", want: "$A $ {A} cost$"},
		{text: "${A}", want: "1"},
		{text: "x${A}y${B}z", want: "x1ytwo wordsz"},
		{text: "${EMPTY:-}", want: ""},
		{text: "${EMPTY:-d}", want: "d"},
		{text: "${NONE:-redis://h:1/0}", want: "redis://h:1/0"},
		{text: "${A:-d}", want: "1"},
		{text: "$${A}", want: "${A}"},
		{text: "a$${A}b${A}", want: "a${A}b1"},
		{text: "${HOSTILE}", want: "${A}: {x}"}, // what a variable holds is not expanded again
		{text: "${NONE}", err: "environment variable NONE is not set"},
		{text: "${EMPTY}", err: "environment variable EMPTY is not set"},
		{text: "${NONE} ${OTHER}", err: "OTHER is not set"},
		{text: "${1A}", err: "not a variable"},
		{text: "${A-B}", err: "not a variable"},
		{text: "${A", err: "no closing }"},
		{text: "$A", err: "$A is no variable here: write ${A}"},
		{text: "$OPENAI_API_KEY", err: "write ${OPENAI_API_KEY}"},
		{text: "$a", want: "$a"},
		{text: "$1", want: "$1"},
		{text: "$", want: "$"},
	} {
		got, err := expand(tt.text, getenv)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("expand(%q) = %v, want an error with %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("expand(%q) = %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
}

// A value of the environment cannot add settings, whatever it holds.
func TestEnvironmentIsNotParsed(t *testing.T) {
	hostile := "x\nlisten: 0.0.0.0:1\npolicy: {quota_status: 402}"
	c := mustParse(t, `ledger: {log: "${DIR}"}`, "DIR="+hostile)
	if c.Ledger.Log != hostile || c.Listen != Default().Listen || c.Policy.QuotaStatus != 429 {
		t.Errorf("config = %+v", c)
	}
}

// A secret that no header can carry is none, and nobody would get in with it, or be served: told with its place, and
// without being repeated.
func TestSecretsThatAreNone(t *testing.T) {
	for value, want := range map[string]string{
		"sk-1\r":         "has a line end",
		"sk-1\n":         "has a line end",
		" sk-1":          "has a blank before or behind it",
		"sk-1 ":          "has a blank before or behind it",
		"Bearer sk-1":    "begins with Bearer",
		"bearer  sk-1":   "begins with Bearer",
		"sk-1 in a word": "",
		"Bearer":         "",
	} {
		for place, text := range map[string]string{
			"c.yaml:2:57: upstreams[0].api_key: ": "upstreams:\n- {name: a, base_url: 'http://h', models: [m], api_key: '${KEY}'}\n",
			"c.yaml:1:16: admin.token: ":          "admin: {token: '${KEY}'}\n",
		} {
			_, _, err := parse("c.yaml", []byte(text), env("KEY="+value))
			if want == "" {
				if err != nil {
					t.Errorf("%s%q: %v", place, value, err)
				}
				continue
			}
			if err == nil || !strings.HasPrefix(err.Error(), place+want) || strings.Contains(err.Error(), "sk-1") {
				t.Errorf("%s%q: err = %v, want %s", place, value, err, want)
			}
		}
	}
}

func TestNumbersFromTheEnvironment(t *testing.T) {
	c := mustParse(t, "ledger: {shards: '${SHARDS}', hold_ttl: '${TTL:-20m}'}\npolicy:\n  quota_status: ${STATUS}\n", "SHARDS=8", "STATUS=402")
	if c.Ledger.Shards != 8 || c.Ledger.HoldTTL.Minutes() != 20 || c.Policy.QuotaStatus != 402 {
		t.Errorf("ledger = %+v, policy = %+v", c.Ledger, c.Policy)
	}
}
