package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // a backup is made and changed as the runbook says
)

// The archive is lost, Redis is not: the runbook's way back to one that has everything, from a backup. Calls go on
// meanwhile. If Redis has been restarted since the backup, the backup must be told so first.
func TestArchiveFromItsBackup(t *testing.T) {
	for name, restarted := range map[string]bool{"as it was": false, "of before a restart of Redis": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(s *settings) { s.archive = "interval: 100ms, keep: 1h" })
			w.account("acme", "10")
			key, _ := w.key("acme")
			p := w.serve()
			used := 0
			use := func() {
				used++
				p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
				eventually(t, "the call is archived", func() bool {
					return w.archived(`SELECT count(*) FROM entries WHERE type = 'charge'`) == fmt.Sprint(used)
				})
			}
			use()
			backup := filepath.Join(w.dir, "backup.db")
			w.inArchive(w.archivePath(), fmt.Sprintf(`VACUUM INTO '%s'`, backup))
			use()
			if restarted {
				w.redis.Stop()
				w.redis.Start()
				eventually(t, "Redis is open again", func() bool { return p.adminStatus("/readyz") == 200 })
				use()
				for shard := range 64 {
					epoch := w.redis.Client().HGet(t.Context(), fmt.Sprintf("{tg%d}:meta", shard), "epoch").Val()
					w.inArchive(backup, fmt.Sprintf("INSERT INTO shards VALUES (%d, 0, %s, x'') ON CONFLICT (shard) DO UPDATE SET epoch = excluded.epoch", shard, epoch))
				}
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(w.archivePath() + suffix); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			if err := os.Rename(backup, w.archivePath()); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the archive is told to lack something", func() bool {
				return strings.Contains(p.metrics(), "tollgate_archive_forked_shards 1\n")
			})
			p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
			redis := w.redis.Client()
			for shard := range 64 {
				meta := fmt.Sprintf("{tg%d}:meta", shard)
				if fork := redis.HGet(t.Context(), meta, "fork").Val(); fork != "" {
					ends := w.archived(fmt.Sprintf("SELECT seq FROM shards WHERE shard = %d", shard))
					if !strings.Contains(fork, "it ends at "+ends+"-0") {
						t.Errorf("it says %q, and ends at %s", fork, ends)
					}
					redis.HSet(t.Context(), meta, "archived", ends)
					redis.HDel(t.Context(), meta, "fork")
				}
			}
			used++
			eventually(t, "it has everything", func() bool {
				return w.archived(`SELECT count(*) FROM entries WHERE type = 'charge'`) == fmt.Sprint(used)
			})
			w.requireSettled("acme")
			if !strings.Contains(p.metrics(), "tollgate_archive_forked_shards 0\n") {
				t.Error("a shard is still said to have forked")
			}
		})
	}
}

// inArchive runs a statement in an archive's file.
func (w *world) inArchive(path, statement string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close() // it was written
	if _, err := db.ExecContext(w.t.Context(), statement); err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
}

// archived asks the world's archive for one value; "" if it is not there.
func (w *world) archived(question string) (value string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", "file:"+w.archivePath()+"?mode=ro")
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close() // it was read
	if err := db.QueryRowContext(w.t.Context(), question).Scan(&value); err != nil {
		return ""
	}
	return value
}
