package admin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
)

// With Redis away it is 503, of which clients know that it is to be tried again.
func TestRedisAway(t *testing.T) {
	o := newOperator(t)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	o.redis.Stop()
	for method, path := range map[string]string{"GET": "/accounts/acme", "POST": "/accounts/acme/suspend"} {
		g := o.send(method, path, "")
		if code := decode[struct{ Error struct{ Code, Type string } }](o, g).Error; g.status != 503 || code.Code == "" || code.Type != "server_error" {
			t.Errorf("%s %s: %d %s", method, path, g.status, g.body)
		}
	}
	if g := o.send("GET", "/accounts", ""); g.header.Get("Retry-After") != "1" {
		t.Errorf("headers %v", g.header)
	}
}

// What is booked is archived before it is told; where it cannot be, the answer says so.
func TestBookedIsArchived(t *testing.T) {
	redis := redistest.Start(t)
	options := ledger.Options{URL: redis.URL(), Currency: "CNY", Shards: 4, Archive: "sqlite:" + filepath.Join(t.TempDir(), "archive.db")}
	open := func() *ledger.Ledger {
		l, err := ledger.Open(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	o := operatorOf(t, redis, open())
	if g := o.do("POST", "/accounts", `{"id": "acme"}`); g.header.Get("X-Tollgate-Archived") != "" {
		t.Errorf("headers %v", g.header)
	}
	// The archiver never ran: what Redis loses now comes back from what was archived for the answer alone.
	redis.Flush()
	if _, err := ledger.Rebuild(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	if a, err := open().Account(t.Context(), "acme"); err != nil || a.ID != "acme" {
		t.Errorf("after a loss: %v, %v", a, err)
	}
	options.Archive, options.Existing = "", true // whoever opens it so cannot archive
	o = operatorOf(t, redis, open())
	if g := o.do("POST", "/accounts/acme/topups", `{"amount": "5"}`); g.header.Get("X-Tollgate-Archived") != "false" {
		t.Errorf("headers %v", g.header)
	}
}

// What is done, and cannot be shown since Redis has gone meanwhile, is not told as if nothing had been done.
func TestDoneButNotShown(t *testing.T) {
	redis := redistest.Start(t, redistest.WithAOF("always"))
	var last atomic.Value // the script after which Redis goes
	last.Store("")
	l, err := ledger.Open(t.Context(), ledger.Options{URL: redis.URL(), Currency: "CNY", Shards: 4, Observe: func(script string, _ time.Duration, _ error) {
		if last.CompareAndSwap(script, "") {
			redis.Kill()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o := operatorOf(t, redis, l)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	k := decode[ledger.CreatedKey](o, o.do("POST", "/accounts/acme/keys", ""))
	for _, tt := range []struct{ script, method, path, body string }{
		{"create", "POST", "/accounts", `{"id": "bolt"}`},
		{"set", "PATCH", "/accounts/acme", `{"overdraft": "1"}`},
		{"status", "POST", "/accounts/acme/suspend", ""},
		{"grant", "POST", "/accounts/acme/packs", `{"quantity": 5}`},
		{"key_create", "POST", "/accounts/acme/keys", ""},
		{"key_revoke", "POST", "/accounts/acme/keys/" + k.ID + "/revoke", ""},
	} {
		last.Store(tt.script)
		o.refused(tt.method, tt.path, tt.body, 503, "uncertain", "cannot be shown")
		redis.Start()
	}
	a := decode[ledger.Account](o, o.do("GET", "/accounts/acme", ""))
	keys := decode[[]ledger.Key](o, o.do("GET", "/accounts/acme/keys", ""))
	if a.Overdraft.String() != "1" || a.Status != "suspended" || len(a.Packs) != 1 || len(keys) != 2 || keys[0].Status != "revoked" {
		t.Errorf("done: %+v, %+v", a, keys)
	}
}

// Of bookings at the same time, each is archived before it is told: also the one that another's archiving has just missed.
func TestArchivedWhileAnotherIsBooked(t *testing.T) {
	redis := redistest.Start(t)
	options := ledger.Options{URL: redis.URL(), Currency: "CNY", Shards: 1, Archive: "sqlite:" + filepath.Join(t.TempDir(), "archive.db")}
	l, err := ledger.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o := operatorOf(t, redis, l)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	client := redis.Client()
	o.must(client.Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err())
	told := make(chan got)
	go func() { told <- o.send("POST", "/accounts/acme/topups", `{"amount": "5"}`) }()
	for waits := false; !waits; { // until the booking is at Redis's door
		clients, err := client.ClientList(t.Context()).Result()
		o.must(err)
		for line := range strings.Lines(clients) {
			waits = waits || strings.Contains(line, "cmd=fcall") && strings.Contains(line, "flags=b")
		}
	}
	o.must(l.ArchiveWord(t.Context())) // as another's answer has it done
	o.must(client.Do(t.Context(), "CLIENT", "UNPAUSE").Err())
	if g := <-told; g.status != 200 || g.header.Get("X-Tollgate-Archived") != "" {
		t.Errorf("%d %v %s", g.status, g.header, g.body)
	}
	redis.Flush()
	if _, err := ledger.Rebuild(context.WithoutCancel(t.Context()), options); err != nil {
		t.Fatal(err)
	}
	again, err := ledger.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if a, err := again.Account(t.Context(), "acme"); err != nil || a.Wallets[ledger.Recharge].Balance.String() != "5" {
		t.Errorf("after a loss: %+v, %v", a, err)
	}
}

// What a client that left meanwhile had booked is archived all the same.
func TestArchivedThoughTheClientLeft(t *testing.T) {
	redis := redistest.Start(t)
	leave := func() {}
	l, err := ledger.Open(t.Context(), ledger.Options{
		URL: redis.URL(), Currency: "CNY", Shards: 1, Archive: "sqlite:" + filepath.Join(t.TempDir(), "archive.db"),
		Observe: func(script string, _ time.Duration, _ error) {
			if script == "topup" {
				leave()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	o := operatorOf(t, redis, l)
	o.do("POST", "/accounts", `{"id": "acme"}`)
	ctx, cancel := context.WithCancel(t.Context())
	leave = cancel
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, prefix+"/accounts/acme/topups", strings.NewReader(`{"amount": "5"}`))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	o.server.Config.Handler.ServeHTTP(w, r)
	if ctx.Err() == nil || w.Code != 200 || w.Header().Get("X-Tollgate-Archived") != "" {
		t.Errorf("%v: %d %v %s", ctx.Err(), w.Code, w.Header(), w.Body)
	}
}
