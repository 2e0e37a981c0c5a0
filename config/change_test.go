package config

import (
	"reflect"
	"testing"
)

func TestChanges(t *testing.T) {
	base := "listen: 127.0.0.1:1\npricing: {currency: CNY, exchange: {USD: 7}, files: [a.yaml]}\nupstreams:\n" +
		"- {name: a, base_url: 'http://a', models: [m]}\n- {name: b, base_url: 'http://b', models: [m]}\n"
	next := "listen: 127.0.0.1:2\nledger: {hold_ttl: 1m}\npolicy: {timezone: Asia/Tokyo, quota_status: 402, cors_origins: [\"*\"]}\npricing: {currency: USD, exchange: {CNY: 8}, files: [a.yaml, b.yaml]}\nupstreams:\n" +
		"- {name: c, base_url: 'http://c', models: [m]}\n- {name: a, base_url: 'http://a', models: [m, n]}\n"
	old, now := mustParse(t, base), mustParse(t, next)
	live, restart := old.Changes(now)
	if want := []string{"upstream c added", "upstream a changed", "upstream b removed", "pricing.exchange changed", "pricing.files changed"}; !reflect.DeepEqual(live, want) {
		t.Errorf("live = %q, want %q", live, want)
	}
	if want := []string{"listen", "ledger.hold_ttl", "pricing.currency", "policy.quota_status", "policy.timezone", "policy.cors_origins"}; !reflect.DeepEqual(restart, want) {
		t.Errorf("restart = %q, want %q", restart, want)
	}

	now.Warnings = []string{"others can read it"}
	merged := old.WithLive(now)
	if !reflect.DeepEqual(merged.Warnings, now.Warnings) {
		t.Errorf("WithLive warns of %q", merged.Warnings)
	}
	if live, _ := merged.Changes(now); len(live) != 0 {
		t.Errorf("after WithLive there is still %q to put in force", live)
	}
	if _, again := merged.Changes(now); !reflect.DeepEqual(again, restart) {
		t.Errorf("WithLive must leave what needs a restart: %q", again)
	}
	if live, restart := old.Changes(mustParse(t, base)); len(live)+len(restart) != 0 {
		t.Errorf("the same configuration differs: %q %q", live, restart)
	}
}

// A setting that Changes forgets would be ignored by a reload without a word.
func TestChangesKnowsEverySetting(t *testing.T) {
	known := map[string]int{"Config": 9, "Admin": 2, "Ledger": 6, "Archive": 3, "Pricing": 4, "Policy": 9}
	for _, v := range []any{Config{}, Admin{}, Ledger{}, Archive{}, Pricing{}, Policy{}} {
		typ := reflect.TypeOf(v)
		fields := typ.NumField()
		if typ.Name() == "Config" {
			fields-- // File says where it is from, not what it is
		}
		if fields != known[typ.Name()] {
			t.Errorf("%s has %d fields: teach Changes the new one, then this test", typ.Name(), fields)
		}
	}
}
