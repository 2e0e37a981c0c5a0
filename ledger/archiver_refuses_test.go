package ledger

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger/archive"
)

// What keeps a shard from being archived: each by itself, whatever else is right.
func TestArchiverRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(f *fixture) error
		err    error
		forked bool
	}{
		"a person must look": {func(f *fixture) error {
			return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(0), metaFork, "x").Err()
		}, nil, true},
		"another archive": {func(f *fixture) error {
			return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(0), metaArchive, "x").Err()
		}, ErrUnavailable, false},
		"an epoch that the archive has not": {func(f *fixture) error {
			return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(0), metaEpoch, 7).Err()
		}, archive.ErrGap, true},
		"a hole": {func(f *fixture) error {
			return f.server.Client().XDel(f.ctx(), f.ledger.journalKey(0), entryID(f.shardSeq(0)-1)).Err()
		}, archive.ErrGap, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			f.archiveNow()
			f.topup("acme", Bonus, "1")
			f.topup("acme", Bonus, "1")
			f.must(c.spoil(f))
			w := f.ledger.archiver
			all := w.state.At
			w.round(f.ctx())
			if w.state.Archived != 0 || w.state.Backlog != 2 || (len(w.state.Forked) == 1) != c.forked || !w.state.At.Equal(all) {
				t.Errorf("state %+v", w.state)
			}
			if !errors.Is(w.state.Err, c.err) {
				t.Errorf("error %v, want %v", w.state.Err, c.err)
			}
		})
	}
}

// A head that was read before a recovery is no archive that has gone back.
func TestHeadReadBeforeARecovery(t *testing.T) {
	f := archived(t, Options{Shards: 1}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	before, err := f.store().Head(f.ctx(), 0)
	f.must(err)
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	f.topup("acme", Bonus, "1") // it is recovered
	metas, err := f.ledger.archiveMetas(f.ctx())
	f.must(err)
	f.must(f.ledger.archiver.archiveShard(f.ctx(), f.store(), before, metas[0]))
	f.must(f.server.Client().HGet(f.ctx(), f.ledger.metaKey(0), metaEpoch).Err())
	if fork := f.server.Client().HGet(f.ctx(), f.ledger.metaKey(0), metaFork).Val(); fork != "" {
		t.Errorf("archiving has stopped: %s", fork)
	}
	f.archiveNow()
}

// What is archived and kept goes when its time has come, though nothing new is booked.
func TestKeptEntriesGoOfAShardThatStandsStill(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	if n := f.hot(0); n != 3 {
		t.Errorf("%d entries are kept", n)
	}
	f.pass(2 * time.Hour)
	f.archiveNow()
	if n := f.hot(0); n != 1 {
		t.Errorf("%d entries are kept when their time is over", n)
	}
	if n := len(f.entries("acme")); n != 3 {
		t.Errorf("the journal has %d entries", n)
	}
}

// A backlog stops admission when it is beyond the bound, not at it; and beyond a tenth of it, when it has waited for long.
func TestBackpressureBounds(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveBacklog: 30})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	_, err := f.store().Lease(f.ctx(), archiverLease, "another", time.Minute)
	f.must(err)
	w := f.ledger.archiver
	waiting := 0
	admitted := func(n int, want bool) {
		t.Helper()
		for ; waiting < n; waiting++ {
			f.topup("acme", Bonus, "1")
		}
		w.round(f.ctx())
		if err := w.keepsUp(); (err == nil) != want {
			t.Errorf("%d wait: %v", n, err)
		}
	}
	admitted(3, true)
	f.pass(staleAfter + time.Minute)
	admitted(3, true)
	admitted(4, false)
	f.pass(-staleAfter - time.Minute)
	admitted(30, true)
	admitted(31, false)
	f.must(f.store().Unlease(f.ctx(), archiverLease, "another"))
	admitted(31, true)
	f.release(f.reserve(key, cost(t, "1")))
}

// An archiver that ends gives its lease back: another goes on at once.
func TestArchiverThatEndsGivesItsLeaseBack(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	ctx, cancel := context.WithCancel(f.ctx())
	f.ledger.archiver.observe = func(ArchiveState) { cancel() }
	f.ledger.RunArchiver(ctx)
	if mine, err := f.store().Lease(f.ctx(), archiverLease, "another", time.Minute); err != nil || !mine {
		t.Errorf("the lease is not free: %v", err)
	}
}

// Whether an archive that cannot be reached knows a ledger cannot be told: no new one is made in an empty Redis. And who may only
// read makes a ledger no archive.
func TestNoLedgerWithoutAskingTheArchive(t *testing.T) {
	server := redistest.Start(t)
	o := Options{URL: server.URL(), Currency: "CNY", Shards: 1, Archive: "postgres://nobody@127.0.0.1:1/nothing"}
	_, err := Open(t.Context(), o)
	wants(t, err, ErrUnavailable)
	if err == nil || !strings.Contains(err.Error(), "whether the archive knows one cannot be told") {
		t.Errorf("error %v", err)
	}
	if n := server.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were made", n)
	}

	o.Archive, o.ArchiveReadOnly = sqlite(t), true
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if there := server.Client().HGet(t.Context(), l.metaKey(0), metaArchive).Val(); there != "" || l.vault.here() {
		t.Errorf("the ledger has been given an archive: %q", there)
	}
}

// The watermark only rises, never beyond the journal, and is that of the ledger's own archive.
func TestWatermarkOnlyRises(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	client, meta := f.server.Client(), f.ledger.metaKey(0)
	for _, upTo := range []int64{1, 99} {
		f.must(f.ledger.archiver.trim(f.ctx(), 0, upTo))
		if archived := client.HGet(f.ctx(), meta, metaArchived).Val(); archived != "3" {
			t.Errorf("told %d, it is %s", upTo, archived)
		}
	}
	f.must(client.HSet(f.ctx(), meta, metaArchive, "another").Err())
	wants(t, f.ledger.archiver.trim(f.ctx(), 0, 3), ErrUnavailable)
}
