package archive

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/pgtest"
)

// stores runs a test on every store there is: SQLite always, PostgreSQL where
// it is installed.
func stores(t *testing.T, test func(t *testing.T, a *Archive)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, openArchive(t, pgtest.Start(t)))
	})
}

func openArchive(t *testing.T, address string) *Archive {
	t.Helper()
	a, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func entry(seq uint64, text string) Entry {
	return Entry{
		Shard: 3, Seq: seq, Time: time.UnixMilli(1_700_000_000_000 + int64(seq)).UTC(), Type: "charge",
		Account: "acme", Key: "k", RequestID: fmt.Sprintf("req_%d", seq), Fields: []string{"t", "charge", "v", text},
	}
}

func run(from, to uint64) (list []Entry) {
	for seq := from; seq <= to; seq++ {
		list = append(list, entry(seq, fmt.Sprint("entry ", seq)))
	}
	return list
}

func mustAppend(t *testing.T, a *Archive, head Head, entries []Entry) Head {
	t.Helper()
	head, err := a.Append(t.Context(), head, entries)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func archived(t *testing.T, a *Archive, q Query) (seqs []uint64) {
	t.Helper()
	if err := a.Entries(t.Context(), q, func(e *Entry) error { seqs = append(seqs, e.Seq); return nil }); err != nil {
		t.Fatal(err)
	}
	return seqs
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 5))
		var got []Entry
		if err := a.Entries(t.Context(), Query{Shard: 3, Account: "acme", AfterSeq: 1, UntilSeq: 4}, func(e *Entry) error {
			got = append(got, *e)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want := run(2, 4); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		if got := archived(t, a, Query{Shard: 3, RequestID: "req_3"}); !slices.Equal(got, []uint64{3}) {
			t.Errorf("by request id: %v", got)
		}
		for _, q := range []Query{{Shard: 3, Account: "other"}, {Shard: 3, Account: "other", RequestID: "req_3"}, {Shard: 2, RequestID: "req_3"}} {
			if got := archived(t, a, q); got != nil {
				t.Errorf("of another account or shard: %v", got)
			}
		}
	})
}

// A walk of many pages holds no connection while it visits: an archive of which
// all connections were with walks could not be asked what they ask, and a
// visitor that takes its time would keep others waiting.
func TestVisitMayAskTheArchive(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		a.db.SetMaxOpenConns(1)
		mustAppend(t, a, Head{Shard: 3}, run(1, 2*pageSize+1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var want uint64
		if err := a.Entries(ctx, Query{Shard: 3}, func(e *Entry) error {
			if want++; e.Seq != want {
				t.Fatalf("entry %d where %d should be", e.Seq, want)
			}
			if want%pageSize != 1 {
				return nil
			}
			_, err := a.Head(ctx, e.Shard)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if want != 2*pageSize+1 {
			t.Errorf("visited %d entries", want)
		}
		if n, err := a.Verify(ctx, 3); err != nil || n != want {
			t.Errorf("verified %d entries: %v", n, err)
		}
	})
}

// A receipt, a bill and a refund ask for few of many entries: they may not read
// the shard. PostgreSQL goes by statistics; SQLite has none.
func TestQueriesGoByTheirIndex(t *testing.T) {
	a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
	for _, c := range []struct {
		query Query
		want  string
	}{
		{Query{Shard: 3, RequestID: "r"}, "entries_by_request (request_id=?)"},
		{Query{Shard: 3, RequestID: "r", Account: "acme", UntilSeq: 9, Types: []string{"charge"}}, "entries_by_request (request_id=?)"},
		{Query{Shard: 3, Account: "acme", AfterSeq: 1}, "entries_by_account (account=? AND seq>?)"},
		{Query{Shard: 3, Account: "acme", AfterSeq: 1, UntilSeq: 9, Types: []string{"charge"}}, "entries_by_account (account=? AND seq>? AND seq<?)"},
		{Query{Shard: 3, AfterSeq: 1, UntilSeq: 9}, "sqlite_autoindex_entries_1 (shard=? AND seq>? AND seq<?)"},
	} {
		text, args := c.query.sql()
		var id, parent, unused int
		var plan string
		if err := a.db.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...).Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, c.want) {
			t.Errorf("%+v: %q, want %q", c.query, plan, c.want)
		}
	}
}

func TestOfferedTwiceIsArchivedOnce(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 3))
		head := mustAppend(t, a, Head{Shard: 3}, run(2, 6)) // an archiver that was late, and overlaps
		if head.Seq != 6 {
			t.Errorf("head %d, want 6", head.Seq)
		}
		if got := archived(t, a, Query{Shard: 3}); len(got) != 6 {
			t.Errorf("%d entries, want 6", len(got))
		}
		if n, err := a.Verify(t.Context(), 3); err != nil || n != 6 {
			t.Errorf("Verify = %d, %v", n, err)
		}
	})
}

func TestOtherContentUnderAnIdIsAFork(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 3))
		_, err := a.Append(t.Context(), Head{Shard: 3}, []Entry{entry(3, "another"), entry(4, "entry 4")})
		if !errors.Is(err, ErrFork) {
			t.Errorf("got %v, want ErrFork", err)
		}
		if got := archived(t, a, Query{Shard: 3}); len(got) != 3 {
			t.Errorf("the refused call left %d entries, want 3", len(got))
		}
	})
}

// An entry that is offered again, and that the archive has lost since, is named.
func TestLostEntryIsNamed(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 3))
		if _, err := a.db.ExecContext(t.Context(), `DELETE FROM entries WHERE seq = 3`); err != nil {
			t.Fatal(err)
		}
		_, err := a.Append(t.Context(), Head{Shard: 3}, run(3, 4))
		if err == nil || !strings.Contains(err.Error(), "shard 3: it lacks entry 3-0") || !strings.Contains(err.Error(), "backup") {
			t.Errorf("error %v", err)
		}
	})
}

func TestGapIsRefused(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 3))
		elsewhere := entry(4, "x")
		elsewhere.Shard = 2
		for _, list := range [][]Entry{run(5, 6), {entry(4, "x"), entry(6, "x")}, {entry(0, "x")}, {elsewhere}} {
			if _, err := a.Append(t.Context(), Head{Shard: 3}, list); !errors.Is(err, ErrGap) {
				t.Errorf("appending from %d: %v, want ErrGap", list[0].Seq, err)
			}
		}
	})
}

// The archiver has read entries that Redis then lost; a recovery reads the
// older head, and new entries take those ids. The late commit must not land.
func TestRecoveryShutsOutWhoReadBefore(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		before := mustAppend(t, a, Head{Shard: 3}, run(1, 3))
		raised, err := a.RaiseEpochs(t.Context(), []int{3})
		if err != nil || len(raised) != 1 || raised[0].Seq != 3 || raised[0].Epoch != before.Epoch+1 {
			t.Fatalf("RaiseEpochs = %+v, %v", raised, err)
		}
		if _, err := a.Append(t.Context(), before, run(4, 5)); !errors.Is(err, ErrEpoch) {
			t.Errorf("an append under the old epoch: %v, want ErrEpoch", err)
		}
		mustAppend(t, a, raised[0], run(4, 5))
		// Of several, each has its own, in the order of the shards.
		if raised, err = a.RaiseEpochs(t.Context(), []int{7, 3}); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(len(raised))
		for _, h := range raised {
			got += fmt.Sprint("; ", h.Shard, " ", h.Seq, " ", h.Epoch)
		}
		if want := "2; 3 5 2; 7 0 1"; got != want {
			t.Errorf("raised: %s, want %s", got, want)
		}
	})
}

func TestTamperingIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		damage    error
		where     string
	}{
		"changed":         {`UPDATE entries SET fields = '["t","charge","v","cheaper"]' WHERE seq = 2`, ErrFork, "the hash of entry 2-0"},
		"hash exchanged":  {`UPDATE entries SET hash = (SELECT hash FROM entries WHERE seq = 3) WHERE seq = 2`, ErrFork, "the hash of entry 2-0"},
		"cannot be read":  {`UPDATE entries SET fields = '{' WHERE seq = 2`, ErrFork, "entry 2-0"},
		"removed":         {`DELETE FROM entries WHERE seq = 2`, ErrGap, "has 3-0 where 2-0 should be"},
		"first removed":   {`DELETE FROM entries WHERE seq = 1`, ErrGap, "has 2-0 where 1-0 should be"},
		"cut":             {`DELETE FROM entries WHERE seq = 5`, ErrGap, "ends at 4-0"},
		"head is another": {`UPDATE shards SET hash = (SELECT hash FROM entries WHERE seq = 4)`, ErrGap, "ends at 5-0"},
	} {
		t.Run(name, func(t *testing.T) {
			a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
			mustAppend(t, a, Head{Shard: 3}, run(1, 5))
			if _, err := a.db.ExecContext(t.Context(), c.statement); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Verify(t.Context(), 3); !errors.Is(err, c.damage) || !strings.Contains(err.Error(), c.where) {
				t.Errorf("Verify = %v, want %v: %s", err, c.damage, c.where)
			}
		})
	}
}

// Each hash covers all entries before it: of two journals that differ in one entry, no later one has the same.
func TestHashCoversAllBefore(t *testing.T) {
	var heads [2]Head
	for i, first := range []string{"entry 1", "another"} {
		a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
		heads[i] = mustAppend(t, a, Head{Shard: 3}, append([]Entry{entry(1, first)}, run(2, 5)...))
	}
	if bytes.Equal(heads[0].hash, heads[1].hash) {
		t.Error("the fifth entries have one hash")
	}
}

// The address of a SQLite file is a path, and not a URL: what means something in one is a character like others.
func TestPathIsTakenLiterally(t *testing.T) {
	path := filepath.Join(t.TempDir(), "50%20 a?b#c.db")
	openArchive(t, "sqlite:"+path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// The journal is nobody else's to read, whatever the directory allows; what its owner has opened stays open.
func TestFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "archive.db")
	first := openArchive(t, "sqlite:"+path)
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(file), info.Mode(), err)
		}
	}
	if err := errors.Join(first.Close(), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	openArchive(t, "sqlite:"+path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("opened to a group: %v, %v", info.Mode(), err)
	}
}

func TestIdentityStays(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "archive.db")
	first := openArchive(t, address).Identity()
	if again := openArchive(t, address).Identity(); first == "" || again != first {
		t.Errorf("identity %q, then %q", first, again)
	}
	if other := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db")).Identity(); other == first {
		t.Error("two archives have one identity")
	}
}

// Proxies that start together make the archive together.
func TestMadeByManyAtOnce(t *testing.T) {
	t.Run("postgres", func(t *testing.T) { openByMany(t, pgtest.Start(t)) })
	t.Run("sqlite", func(t *testing.T) {
		for range 100 { // it takes luck to see two in one another's way
			openByMany(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
		}
	})
}

func openByMany(t *testing.T, address string) {
	t.Helper()
	const many = 8
	made := make(chan error)
	for range many {
		go func() {
			a, err := Open(t.Context(), address)
			if err == nil {
				err = a.Close()
			}
			made <- err
		}()
	}
	for range many {
		if err := <-made; err != nil {
			t.Error(err)
		}
	}
}

func TestLeaseIsOnesUntilItRunsOut(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		take := func(holder string, ttl time.Duration) bool {
			got, err := a.Lease(context.WithoutCancel(t.Context()), "archiver", holder, ttl)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if !take("a", time.Hour) || take("b", time.Hour) || !take("a", -time.Second) {
			t.Error("the lease is not its holder's alone")
		}
		if !take("b", time.Hour) {
			t.Error("a lease that ran out is not free")
		}
		if err := a.Unlease(t.Context(), "archiver", "b"); err != nil {
			t.Fatal(err)
		}
		if !take("a", time.Hour) {
			t.Error("a lease given back is not free")
		}
	})
}

func TestBadAddressSaysWhatWouldBeRight(t *testing.T) {
	for address, want := range map[string]string{
		"mysql://root:secret@host/db":          `archive: "mysql://root:xxxxx@host/db": want sqlite:PATH or postgres://USER@HOST/DATABASE`,
		"mysql://root@host/db?password=secret": `archive: "mysql://root@host/db?xxxxx": want sqlite:PATH or postgres://USER@HOST/DATABASE`,
		"mysql://root@host/db?sslmode=disable": `archive: "mysql://root@host/db?sslmode=disable": want sqlite:PATH or postgres://USER@HOST/DATABASE`,
	} {
		if _, err := Open(t.Context(), address); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// A password that is not written as it should be in a URL may be taken for a
// port, a database or a query: no part of it is shown.
func TestNoPartOfAPasswordIsShown(t *testing.T) {
	for _, mark := range []string{"/", "?", "#", "@", "%", ":", "@x/x:", "@x?x#", "@x,"} {
		for _, password := range []string{"12" + mark + "hush", "hush" + mark + "12", mark + "hush" + mark} {
			address := "postgres://tollgate:" + password + "@127.0.0.1:1/tollgate"
			if _, err := OpenExisting(t.Context(), address); err == nil || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s: got %v", password, err)
			}
		}
	}
}

// A relative path goes by the working directory, so the message says which that was.
func TestMissingArchiveSaysWhere(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenExisting(t.Context(), "sqlite:./data/archive.db")
	if want := filepath.Join(here, "data", "archive.db"); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "sqlite:./data/archive.db goes by the working directory") {
		t.Errorf("got %v, want the path %s, and why it is that", err, want)
	}
}

func BenchmarkAppend(b *testing.B) {
	a, err := Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "archive.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	head := Head{Shard: 3}
	for b.Loop() {
		if head, err = a.Append(b.Context(), head, run(head.Seq+1, head.Seq+100)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/entry")
}

// An archive of any earlier version is whole: the hash of an entry stays what it has always been.
func TestHashStays(t *testing.T) {
	a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
	head, err := a.Head(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range uint64(2) {
		if head, err = a.Append(t.Context(), head, []Entry{{Shard: 3, Seq: seq + 1, Fields: []string{"t", "topup", "amount", "1"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := hex.EncodeToString(head.hash), "10b582f0d3e230da7857b1c956c78ad76dff1d625bb0e5d48db50c610eec3302"; got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
}

// What Append has acknowledged is on disk: Redis lets go of it.
func TestSQLiteWaitsForTheDisk(t *testing.T) {
	const full = 2
	a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
	var level int
	if err := a.db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil || level != full {
		t.Errorf("synchronous is %d: %v", level, err)
	}
}

// A lease is given back by who has it, and no other with it.
func TestLeaseIsGivenBackByItsHolder(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		for _, lease := range []struct{ name, holder string }{{"first", "one"}, {"second", "one"}, {"third", "two"}} {
			if mine, err := a.Lease(t.Context(), lease.name, lease.holder, time.Hour); err != nil || !mine {
				t.Fatalf("%v: %t, %v", lease, mine, err)
			}
		}
		for _, given := range []struct{ name, holder string }{{"first", "one"}, {"third", "one"}} {
			if err := a.Unlease(t.Context(), given.name, given.holder); err != nil {
				t.Fatal(err)
			}
		}
		for name, free := range map[string]bool{"first": true, "second": false, "third": false} {
			if mine, err := a.Lease(t.Context(), name, "three", time.Hour); err != nil || mine != free {
				t.Errorf("%s: %t, %v", name, mine, err)
			}
		}
	})
}
