package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger/archive"
)

func mustAddress(s string) netip.Addr { return netip.MustParseAddr(s) }

func entryText(t testing.TB, e *Entry) string {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sqlite(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "archive.db") }

// archived makes a ledger with an archive, on a Redis of its own.
func archived(t *testing.T, o Options, with ...redistest.Option) *fixture {
	t.Helper()
	if o.Archive == "" {
		o.Archive = sqlite(t)
	}
	return newFixture(t, o, append(with, redistest.WithConfig("--save", ""))...)
}

// archiveNow lets the archiver do one round, which must come to a good end.
func (f *fixture) archiveNow() ArchiveState {
	f.Helper()
	w := f.ledger.archiver
	w.round(f.ctx())
	w.endLease(f.ctx())
	if w.state.Err != nil {
		f.Fatalf("archiving: %v", w.state.Err)
	}
	return w.state
}

func (f *fixture) store() *archive.Archive {
	f.Helper()
	a, err := f.ledger.vault.archive(f.ctx())
	f.must(err)
	return a
}

func (f *fixture) hot(shard int) int64 {
	f.Helper()
	n, err := f.server.Client().XLen(f.ctx(), f.ledger.journalKey(shard)).Result()
	f.must(err)
	return n
}

// What Redis has let go of is still in journal, receipts, audit and repeats.
func TestTrimmedEntriesAreStillThere(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	tr := f.traffic(1, "acme", "bolt", "cork")
	tr.run(200)
	tr.finish()
	before := f.journals(f.ledger)
	state := f.archiveNow()
	if state.Backlog != 0 || state.Archived != int64(len(before)) || state.At.IsZero() {
		t.Errorf("state %+v after %d entries", state, len(before))
	}
	for shard := range f.ledger.tags {
		if n := f.hot(shard); n > 1 {
			t.Errorf("shard %d keeps %d entries, want the last archived one at most", shard, n)
		}
	}
	f.sameBooks(before, f.journals(f.ledger))
	for _, c := range tr.charged[:3] {
		_, err := f.ledger.Receipt(f.ctx(), c.account, c.request)
		f.must(err)
	}
	f.audit()

	tr.run(50) // and it goes on
	tr.finish()
	f.audit()
	since := 0
	f.must(f.ledger.Journal(f.ctx(), "acme", JournalQuery{Since: time.Now().Add(-time.Hour), Limit: 5}, func(*Entry) error { since++; return nil }))
	if since != 5 {
		t.Errorf("%d entries since an hour ago, want 5", since)
	}
}

// A repeat finds the first answer, wherever its entry is.
func TestRepeatsOfTrimmedEntries(t *testing.T) {
	f := archived(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	hold := f.reserve(f.key("acme", KeyLimits{}), cost(f, "1"))
	first := f.settle(hold, cost(f, "1"))
	topup := Topup{Account: "acme", Amount: f.nano("2"), Ref: "r1"}
	paid, err := f.ledger.TopUp(f.ctx(), topup)
	f.must(err)
	pack, err := f.ledger.GrantPack(f.ctx(), Grant{Account: "acme", Quantity: 5, Ref: "g1"})
	f.must(err)
	_, err = f.ledger.RevokePack(f.ctx(), "acme", pack.ID, "x")
	f.must(err)
	f.topup("acme", Bonus, "1")
	f.archiveNow()

	again := f.settle(hold, cost(f, "1"))
	if diff := sameEntry(&first.Entry, &again.Entry); diff != "" || !again.Repeated {
		t.Errorf("settled again: repeated %t: %s", again.Repeated, diff)
	}
	paidAgain, err := f.ledger.TopUp(f.ctx(), topup)
	f.must(err)
	if diff := sameEntry(paid, paidAgain); diff != "" {
		t.Error(diff)
	}
	if _, err = f.ledger.GrantPack(f.ctx(), Grant{Account: "acme", Quantity: 5, Ref: "g1"}); err != nil {
		t.Error(err)
	}
	if _, err = f.ledger.RevokePack(f.ctx(), "acme", pack.ID, "x"); err != nil {
		t.Error(err)
	}
	_, err = f.ledger.Refund(f.ctx(), Refund{Account: "acme", RequestID: hold.ID, Reason: "of a trimmed charge"})
	f.must(err)
	f.balances("acme", "12 1 0")

	f.pass(markerLife + 2*time.Hour) // Redis forgets by its own clock; the script goes by ours
	idMS, err := idMillis(hold.ID)
	f.must(err)
	f.must(f.server.Client().Del(f.ctx(), f.ledger.markerKey(f.ledger.shardOf("acme"), idMS)).Err())
	f.archiveNow()
	again = f.settle(hold, cost(f, "1"))
	if diff := sameEntry(&first.Entry, &again.Entry); diff != "" || !again.Repeated {
		t.Errorf("settled again, days later: repeated %t: %s", again.Repeated, diff)
	}
	_, err = f.ledger.Settle(f.ctx(), settlement(hold, cost(f, "2")))
	wants(t, err, ErrConflict)
	receipt, err := f.ledger.Receipt(f.ctx(), "acme", hold.ID)
	f.must(err)
	if diff := sameEntry(&first.Entry, &receipt.Entry); diff != "" {
		t.Error(diff)
	}
	f.ledger.clockOffset.Store(0)
}

// A verb beside running proxies reads the archive; without one it says what is missing.
func TestVerbsReadTheArchive(t *testing.T) {
	o := Options{Archive: sqlite(t)}
	f := archived(t, o)
	f.account("acme", "10", "0", AccountOptions{})
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	o.ArchiveReadOnly = true
	reader := f.open(o)
	if n := len(f.journals(reader)); n != 3 {
		t.Errorf("%d entries", n)
	}
	without := f.open(Options{})
	err := without.Journal(f.ctx(), "acme", JournalQuery{}, func(*Entry) error { return nil })
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "archive.url") {
		t.Errorf("without an archive: %v", err)
	}
	a, err := without.Account(f.ctx(), "acme") // needs no entries
	f.must(err)
	if a.Wallets[Bonus].Balance != f.nano("1") {
		t.Errorf("account %+v", a)
	}
}

func TestArchiveIsTheLedgersOwn(t *testing.T) {
	f := archived(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	_, err := Open(f.ctx(), Options{URL: f.server.URL(), Archive: sqlite(t)})
	wants(t, err, nil) // out of reach: what is there is not touched
	other := newFixtureOn(t, Options{}, redistest.Start(t))
	_, err = Open(f.ctx(), Options{URL: other.server.URL(), Archive: f.ledger.vault.address})
	wants(t, err, ErrInvalid)
	if err == nil || !strings.Contains(err.Error(), "another ledger's archive") {
		t.Errorf("error %v", err)
	}
	_, err = Open(f.ctx(), Options{URL: Embedded, Currency: "CNY", Archive: sqlite(t)})
	wants(t, err, ErrInvalid)
}

// Nor is anything read from, or copied into, the archive of another ledger that is named in its place: what is not archived stays.
func TestArchiveOfAnotherIsLeftAlone(t *testing.T) {
	f, other := archived(t, Options{Shards: 1, ArchiveKeep: time.Millisecond}), archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	other.account("acme", "3", "0", AccountOptions{})
	other.archiveNow()
	there := f.headOf(other.ledger.vault.address)
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "2")
	hot := f.hot(0)
	time.Sleep(2 * time.Millisecond) // older than what is kept
	l := f.open(Options{Shards: 1, Archive: other.ledger.vault.address, ArchiveKeep: time.Millisecond})
	l.archiver.round(f.ctx())
	if err := l.archiver.state.Err; err == nil || !strings.Contains(err.Error(), "not the ledger's archive") {
		t.Errorf("archived: %v", err)
	}
	if err := l.Journal(f.ctx(), "acme", JournalQuery{}, func(*Entry) error { return nil }); !errors.Is(err, ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if now := f.headOf(other.ledger.vault.address); !reflect.DeepEqual(now, there) {
		t.Errorf("it ended at %+v, and ends at %+v", there, now)
	}
	if now := f.hot(0); now != hot {
		t.Errorf("%d entries are in Redis, of %d that were", now, hot)
	}
}

// An archive that was made, and whose maker was killed before it was any ledger's, is the next one's.
func TestArchiveThatIsNobodysIsTaken(t *testing.T) {
	address := sqlite(t)
	made, err := archive.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	f := archived(t, Options{Archive: address})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
}

// One works, the others look on; when it has died, another takes over.
func TestOneArchiverAtATime(t *testing.T) {
	f := archived(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	first, second := f.ledger.archiver, f.open(Options{Archive: f.ledger.vault.address}).archiver
	first.round(f.ctx())
	f.topup("acme", Bonus, "1")
	second.round(f.ctx())
	if second.state.Err != nil || second.state.Archived != 0 || second.state.Backlog != 1 {
		t.Errorf("the second: %+v", second.state)
	}
	first.endLease(f.ctx())
	second.round(f.ctx())
	if second.state.Err != nil || second.state.Archived != 1 || second.state.Backlog != 0 {
		t.Errorf("the second, alone: %+v", second.state)
	}
	// Two that both believe to have the lease do no harm.
	f.topup("acme", Bonus, "1")
	a := f.store()
	heads, err := a.Heads(f.ctx(), len(f.ledger.tags))
	f.must(err)
	shard := f.ledger.shardOf("acme")
	for range 2 {
		_, err := f.ledger.archiver.archiveSome(f.ctx(), a, heads[shard])
		f.must(err)
	}
	f.archiveNow()
	f.audit()
}

// Killed between archiving and trimming, or before it could say so: the next one goes on from there.
func TestArchiverKilledBetweenSteps(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "5", AccountOptions{})
	a := f.store()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	_, err = f.ledger.archiver.archiveSome(f.ctx(), a, head)
	f.must(err)
	if n := f.hot(0); n != 3 {
		t.Fatalf("%d entries in Redis", n)
	}
	if state := f.archiveNow(); state.Archived != 0 || state.Backlog != 0 || f.hot(0) != 1 {
		t.Errorf("state %+v, %d entries in Redis", state, f.hot(0))
	}
	f.audit()
}

// What is archived stays in Redis for its time.
func TestKeep(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Minute})
	f.account("acme", "10", "0", AccountOptions{})
	w := f.ledger.archiver
	w.round(f.ctx())
	if f.hot(0) != 2 {
		t.Errorf("%d entries in Redis, want both", f.hot(0))
	}
	f.pass(2 * time.Minute)
	f.topup("acme", Bonus, "1")
	w.round(f.ctx())
	if f.hot(0) != 1 {
		t.Errorf("%d entries in Redis, want the young one", f.hot(0))
	}
	f.pass(2 * time.Minute)
	w.round(f.ctx())
	f.ledger.clockOffset.Store(0)
	if f.hot(0) != 1 {
		t.Errorf("%d entries in Redis: the last archived one must stay", f.hot(0))
	}
}

// An archiver that is offered other content under an id it has stops, for all
// processes, says so, and trims nothing.
func TestForkStopsArchiving(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	// Another archiver, on a server that was recovered by mistake, was faster.
	a := f.store()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	forged := archive.Entry{Shard: 0, Seq: head.Seq + 1, Time: time.Now(), Type: TypeTopup, Account: "acme", Fields: []string{"t", "topup", "m", "1", "a", "acme", "w", "bonus", "n", "5"}}
	_, err = a.Append(f.ctx(), head, []archive.Entry{forged})
	f.must(err)
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "1")
	before := f.hot(0)
	w := f.ledger.archiver
	w.round(f.ctx())
	if !errors.Is(w.state.Err, archive.ErrFork) || len(w.state.Forked) != 1 {
		t.Errorf("state %+v", w.state)
	}
	f.must(f.ledger.Ready(f.ctx())) // calls are taken, as those of the other shards are
	w.endLease(f.ctx())

	other := f.open(Options{Shards: 1, Archive: f.ledger.vault.address})
	second := other.archiver
	f.topup("acme", Bonus, "1")
	second.round(f.ctx())
	if len(second.state.Forked) != 1 || second.state.Archived != 0 || second.state.Backlog == 0 {
		t.Errorf("another process: %+v", second.state)
	}
	if f.hot(0) != before+1 {
		t.Error("a forked shard was trimmed")
	}
	f.differs(lawArchivePrefix)
}

// differs audits, and wants a difference by a law.
func (f *fixture) differs(law string) {
	f.Helper()
	report, err := f.ledger.Audit(f.ctx(), "")
	f.must(err)
	for _, d := range report.Differences {
		if d.Law == law {
			return
		}
	}
	f.Errorf("the audit does not name %s: %+v", law, report.Differences)
}

// forget takes the end of a shard's archive away, as restoring a backup would.
func (f *fixture) forget(shard int, seq int64) {
	f.Helper()
	path, _ := strings.CutPrefix(f.ledger.vault.address, "sqlite:")
	db, err := sql.Open("sqlite", path)
	f.must(err)
	defer db.Close()
	_, err = db.ExecContext(f.ctx(), `DELETE FROM entries WHERE shard = $1 AND seq > $2`, shard, seq)
	f.must(err)
	_, err = db.ExecContext(f.ctx(), `UPDATE shards SET seq = $2, hash = (SELECT hash FROM entries WHERE shard = $1 AND seq = $2) WHERE shard = $1`, shard, seq)
	f.must(err)
}

// The archive was restored from a backup: Redis begins beyond its end.
func TestArchiveGoneBackIsNoticed(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	f.forget(0, 1)
	w := f.ledger.archiver
	f.topup("acme", Bonus, "1")
	w.round(f.ctx())
	if !errors.Is(w.state.Err, archive.ErrGap) || len(w.state.Forked) != 1 {
		t.Errorf("state %+v", w.state)
	}
	f.differs(lawArchivePrefix)
}

// An archive that lags stops admission before Redis is full, and never a settlement.
func TestBackpressure(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveBacklog: 5})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, cost(f, "1"))
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "1")
	const hangs = "another" // that has the lease
	_, err := f.store().Lease(f.ctx(), archiverLease, hangs, time.Minute)
	f.must(err)
	w := f.ledger.archiver
	w.round(f.ctx())
	_, err = f.tryReserve(key, cost(f, "1"))
	wants(t, err, ErrUnavailable)
	if err == nil || !strings.Contains(err.Error(), "archive lags") {
		t.Errorf("error %v", err)
	}
	wants(t, f.ledger.Ready(f.ctx()), ErrUnavailable)
	f.settle(hold, cost(f, "1"))
	f.must(f.store().Unlease(f.ctx(), archiverLease, hangs))
	w.round(f.ctx())
	f.release(f.reserve(key, cost(f, "1")))
}

func mustRaw(f *fixture, shard int) (list []archive.Entry) {
	f.Helper()
	f.must(f.ledger.eachHot(f.ctx(), shard, 1, 0, func(e *archive.Entry) error {
		list = append(list, *e)
		return nil
	}))
	return list
}

// An operator's word is archived before it is reported as done, whatever it
// is: each by a process of its own, as verbs are.
func TestOperatorsWordIsArchivedAtOnce(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	charged := f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	abandoned := f.reserve(key, cost(f, "1"))
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(abandoned, cost(f, "1"))}))
	f.archiveNow()
	overdraft := f.nano("1")
	for _, word := range []struct {
		what string
		say  func(l *Ledger) error
	}{
		{"nothing", func(*Ledger) error { return nil }},
		{"account", func(l *Ledger) error { _, err := l.CreateAccount(f.ctx(), "dune", AccountOptions{}); return err }},
		{"topup", func(l *Ledger) error { _, err := l.TopUp(f.ctx(), Topup{Account: "acme", Amount: 1}); return err }},
		{"topup by reference", func(l *Ledger) error {
			_, err := l.TopUp(f.ctx(), Topup{Account: "acme", Amount: 1, Ref: "r"})
			return err
		}},
		{"grant", func(l *Ledger) error { _, err := l.GrantPack(f.ctx(), Grant{Account: "acme", Quantity: 5}); return err }},
		{"pack revoked", func(l *Ledger) error { _, err := l.RevokePack(f.ctx(), "acme", "p1", "x"); return err }},
		{"adjustment", func(l *Ledger) error {
			_, err := l.Adjust(f.ctx(), Adjustment{Account: "acme", Amount: -1, Reason: "x"})
			return err
		}},
		{"refund", func(l *Ledger) error {
			_, err := l.Refund(f.ctx(), Refund{Account: "acme", RequestID: charged.RequestID, Reason: "x"})
			return err
		}},
		{"overdraft", func(l *Ledger) error {
			_, err := l.SetAccount(f.ctx(), "acme", AccountChange{Overdraft: &overdraft})
			return err
		}},
		{"suspension", func(l *Ledger) error { return l.SuspendAccount(f.ctx(), "acme", "x") }},
		{"resumption", func(l *Ledger) error { return l.ResumeAccount(f.ctx(), "acme", "x") }},
		{"key", func(l *Ledger) error { _, _, err := l.CreateKey(f.ctx(), "acme", NewKey{}); return err }},
		{"key revoked", func(l *Ledger) error { return l.RevokeKey(f.ctx(), "acme", keyID("acme", key.suffix())) }},
		{"hold ended", func(l *Ledger) error {
			l.clockOffset.Add(time.Hour.Milliseconds())
			_, err := l.EndHold(f.ctx(), "acme", abandoned.ID, true)
			return err
		}},
	} {
		l := f.open(Options{Shards: 2, Archive: f.ledger.vault.address, ArchiveReadOnly: true})
		f.must(word.say(l))
		f.must(l.ArchiveWord(f.ctx()))
		for shard := range l.tags {
			head, err := f.store().Head(f.ctx(), shard)
			f.must(err)
			if int64(head.Seq) != f.shardSeq(shard) {
				t.Errorf("%s: shard %d ends at %d, the archive at %d", word.what, shard, f.shardSeq(shard), head.Seq)
			}
		}
		f.archiveNow()
	}
}

// A process that does not know the ledger's archive says that its word is not
// there; one that has said nothing, or of a ledger without one, has nothing to tell.
func TestWordWithoutTheArchive(t *testing.T) {
	for name, tt := range map[string]struct {
		archived, says bool
		want           error
	}{
		"a word, and an archive": {true, true, ErrUnavailable},
		"no word":                {true, false, nil},
		"no archive":             {false, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{Shards: 2}
			if tt.archived {
				o.Archive = sqlite(t)
			}
			f := newFixture(t, o)
			f.account("acme", "10", "0", AccountOptions{})
			l := f.open(Options{Shards: 2, ArchiveReadOnly: true})
			if tt.says {
				_, err := l.TopUp(f.ctx(), Topup{Account: "acme", Amount: 1})
				f.must(err)
			}
			for range 2 { // what cannot be archived stays to be done, and is told again
				if err := l.ArchiveWord(f.ctx()); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
			}
		})
	}
}

// The same on a cluster, whose shards are in different slots.
func TestArchiveOnACluster(t *testing.T) {
	f := newFixtureOn(t, Options{Shards: 4, Archive: sqlite(t)}, shared.cluster)
	f.broken = true // it is audited below
	tr := f.traffic(21, "acme", "bolt", "cork", "dune")
	tr.run(200)
	tr.finish()
	f.archiveNow()
	f.audit()
	before := f.books()
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client())) // as if a node had come up anew
	_, err := f.ledger.Account(f.ctx(), "acme")
	f.must(err)
	f.sameBooks(before, f.books())
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	report, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: f.ledger.vault.address})
	f.must(err)
	if !report.Audit.OK {
		t.Errorf("audit %+v", report.Audit)
	}
	f.sameBooks(before, f.books())
}

// betweenPipelines does something before each pipeline of a client, until it is told to rest.
type betweenPipelines struct {
	do   func()
	rest atomic.Bool
}

func (*betweenPipelines) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*betweenPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *betweenPipelines) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if b.rest.CompareAndSwap(false, true) {
			b.do()
			b.rest.Store(false)
		}
		return next(ctx, commands)
	}
}

// withAnother is a ledger of one shard whose archive another process looks after, too.
func withAnother(t *testing.T) (f, other *fixture) {
	t.Helper()
	o := Options{Shards: 1, Archive: sqlite(t), ArchiveKeep: time.Hour}
	f = archived(t, o)
	beside := *f
	beside.ledger = f.open(o)
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	return f, &beside
}

// during runs act, and do before each of the pipelines that it sends.
func (f *fixture) during(act, do func()) {
	f.Helper()
	between := &betweenPipelines{do: do}
	f.ledger.client.(*redis.Client).AddHook(between)
	act()
	between.rest.Store(true)
}

// An archiver that stands still between two looks, while another goes on, finds nothing wrong.
func TestArchiverStandsStill(t *testing.T) {
	f, other := withAnother(t)
	f.topup("acme", Recharge, "1")
	a := f.ledger.archiver
	f.during(func() { a.round(f.ctx()) }, func() {
		f.must(f.store().Unlease(f.ctx(), archiverLease, a.holder)) // its lease has run out
		other.archiveNow()
	})
	f.must(a.state.Err)
	f.must(f.ledger.Ready(f.ctx()))
}

// What is archived and trimmed while a reader goes through the journal, he finds in the archive.
func TestTrimmedWhileRead(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "0", "0", AccountOptions{})
	for range 3 * journalPage {
		f.topup("acme", Recharge, "0.01")
	}
	var ids []string
	f.must(f.ledger.Journal(f.ctx(), "acme", JournalQuery{}, func(e *Entry) error {
		if len(ids) == 0 {
			f.archiveNow()
		}
		ids = append(ids, e.ID)
		return nil
	}))
	if len(ids) != 3*journalPage+1 || ids[len(ids)-1] != entryID(int64(len(ids))) {
		t.Errorf("read were %d entries up to %s, want %d", len(ids), ids[len(ids)-1], 3*journalPage+1)
	}
}

// An audit finds nothing wrong while an archiver goes on.
func TestAuditBesideAnArchiver(t *testing.T) {
	f, other := withAnother(t)
	f.during(f.audit, func() {
		other.topup("acme", Recharge, "1")
		other.archiveNow()
	})
}
