package e2e

import (
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A holder who asks for what is free, and an operator who makes or ends one key, do not have Redis
// read out all keys of the account: it does nothing else meanwhile, and a holder may ask as often as it likes.
func TestOneKeyOfMany(t *testing.T) {
	w, p, key := acme(t)
	const fields, most = 200_000, 200_000 // of the account's keys as if there were many more; bytes that Redis may send
	redis := w.redis.Client()
	rings, err := redis.Keys(t.Context(), "{tg*}:*acme:keys").Result()
	if err != nil || len(rings) != 1 {
		t.Fatalf("the account's keys are at %v, %v", rings, err)
	}
	const fill, atOnce = `for i = 1, ARGV[2] do redis.call('HSET', KEYS[1], 'another' .. ARGV[1] + i .. ':n', '0') end return 1`, 10_000
	for from := 0; from < fields; from += atOnce { // a script of many seconds would make Redis refuse what else is asked
		if err := redis.Eval(t.Context(), fill, rings, from, atOnce).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for what, do := range map[string]func(){
		"what a holder asks": func() {
			for _, path := range []string{"/v1/key", "/v1/credits", "/v1/models"} {
				p.get(path, key).requireStatus(t, 200)
			}
		},
		"a key that is made and revoked": func() {
			id := p.ask("POST", "/accounts/acme/keys", "").get("id").String()
			p.ask("POST", "/accounts/acme/keys/"+id+"/revoke", "")
			equal(t, "status", p.ask("POST", "/accounts/acme/keys/"+id+"/revoke", "").get("status").String(), "revoked")
		},
		"accounts that are shown": func() {
			p.ask("GET", "/accounts/acme", "")
			p.ask("GET", "/accounts", "")
		},
		"journal, packs, holds and bill": func() {
			for _, path := range []string{"journal", "packs", "holds", "bills/2026-11"} {
				p.ask("GET", "/accounts/acme/"+path, "")
			}
		},
	} {
		before := sentBy(t, redis)
		do()
		if sent := sentBy(t, redis) - before; sent > most {
			t.Errorf("%s: Redis has sent %d bytes, want at most %d", what, sent, most)
		}
	}
}

// sentBy is how many bytes a Redis has sent in all.
func sentBy(t *testing.T, client *redis.Client) int64 {
	t.Helper()
	info, err := client.Info(t.Context(), "stats").Result()
	_, after, _ := strings.Cut(info, "total_net_output_bytes:")
	line, _, _ := strings.Cut(after, "\r")
	sent, wrong := strconv.ParseInt(line, 10, 64)
	if err != nil || wrong != nil {
		t.Fatalf("what Redis has sent: %v, %v: %s", err, wrong, info)
	}
	return sent
}
