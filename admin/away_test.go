package admin

import (
	"path/filepath"
	"testing"

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
