package main

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// A rebuild that cannot be says where it has looked, and what of it may be wrong.
func TestRebuildThatCannotBe(t *testing.T) {
	server := redistest.Start(t, redistest.WithAOF("everysec"))
	dir := t.TempDir()
	archive := "sqlite:" + dir + "/archive.db"
	foundArchived(t, server.URL(), archive)
	server.Flush()
	for _, tt := range []struct{ redis, archive, more, want string }{
		{"redis://127.0.0.1:1/0", archive, "", "connection refused (at redis://127.0.0.1:1/0): is Redis running there"},
		{"redis://:secret@127.0.0.1:1/0", archive, "", "(at redis://:***@127.0.0.1:1/0)"},
		{server.URL(), "sqlite:" + dir + "/none.db", "", "there is no archive"},
		{server.URL(), archive, ", shards: 32", "the archived ledger has 64 shards, not 32"},
		{server.URL(), archive, "}\npricing: {currency: USD", "the archived ledger is kept in CNY, not USD"},
	} {
		config := writeFile(t, t.TempDir(), "c.yaml", "archive: {url: '"+tt.archive+"'}\nledger: {redis: '"+tt.redis+"'"+tt.more+"}\n")
		r := runWith(t, nil, "rebuild", "-c", config)
		if r.exit != exitFailed || !strings.Contains(r.stderr, tt.want) || strings.Contains(r.stderr, "secret") {
			t.Errorf("%v: exit %d, %s", tt, r.exit, r.stderr)
		}
		if isRedis := strings.Contains(r.stderr, "is Redis running"); isRedis != strings.Contains(tt.redis, ":1/0") {
			t.Errorf("%v: it asks for Redis: %t: %s", tt, isRedis, r.stderr)
		}
	}
}
