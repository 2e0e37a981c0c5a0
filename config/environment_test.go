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
	c := mustParse(t, `admin: {token: "${TOKEN}"}`, "TOKEN="+hostile)
	if c.Admin.Token != hostile || c.Listen != Default().Listen || c.Policy.QuotaStatus != 429 {
		t.Errorf("config = %+v", c)
	}
}

// A key with a line end is no key: told with its place, and without being repeated.
func TestKeyWithALineEnd(t *testing.T) {
	text := "upstreams:\n- {name: a, base_url: 'http://h', models: [m], api_key: '${KEY}'}\n"
	_, _, err := parse("c.yaml", []byte(text), env("KEY=sk-1\r"))
	if err == nil || !strings.HasPrefix(err.Error(), "c.yaml:2:57: upstreams[0].api_key: has a line end") || strings.Contains(err.Error(), "sk-1") {
		t.Errorf("err = %v", err)
	}
}

func TestNumbersFromTheEnvironment(t *testing.T) {
	c := mustParse(t, "ledger: {shards: '${SHARDS}', hold_ttl: '${TTL:-20m}'}\npolicy:\n  quota_status: ${STATUS}\n", "SHARDS=8", "STATUS=402")
	if c.Ledger.Shards != 8 || c.Ledger.HoldTTL.Minutes() != 20 || c.Policy.QuotaStatus != 402 {
		t.Errorf("ledger = %+v, policy = %+v", c.Ledger, c.Policy)
	}
}
