package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger/archive"
)

// aofTail is the file that an append-only Redis writes to, once it has none that it is about to leave behind.
func (f *fixture) aofTail() string {
	f.Helper()
	for {
		info, err := f.server.Client().Info(f.ctx(), "persistence").Result()
		f.must(err)
		files, err := filepath.Glob(filepath.Join(f.server.Dir(), "appendonlydir", "*.incr.aof"))
		f.must(err)
		if len(files) == 1 && strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return files[0]
		}
		time.Sleep(time.Millisecond)
	}
}

// aofSize is how long that file is.
func (f *fixture) aofSize() int64 {
	f.Helper()
	info, err := os.Stat(f.aofTail())
	f.must(err)
	return info.Size()
}

// cut kills the server, takes a part of the end of its append-only file away, and starts it again.
func (f *fixture) cut(keep func(size int64) int64) {
	f.Helper()
	path, size := f.aofTail(), f.aofSize()
	f.server.Kill()
	f.must(os.Truncate(path, keep(size)))
	f.server.Start()
}

// eachArchivedIsThere checks that the journal is dense, and equal to the archive as far as that goes.
func (f *fixture) eachArchivedIsThere(l *Ledger) {
	f.Helper()
	for shard := range l.tags {
		head, err := f.store().Head(f.ctx(), shard)
		f.must(err)
		if seq := f.shardSeq(shard); seq < int64(head.Seq) {
			f.Errorf("shard %d ends at %d, the archive at %d", shard, seq, head.Seq)
		}
	}
	report, err := l.Audit(f.ctx(), "")
	f.must(err)
	for _, d := range report.Differences {
		// A hold that had been released comes back with the cut, until it is
		// swept or its proxy's log releases it again: a pack may hold too much.
		if d.Law != lawHoldCover {
			f.Errorf("audit: %+v", d)
		}
	}
}

// The append-only file is cut at random places after traffic, part of which was
// archived; the two proxies that booked it keep running. Whatever was archived
// is there again under its own ids, every answer that was delivered is charged
// once, and all goes on.
func TestCutAtRandom(t *testing.T) {
	address := sqlite(t)
	f := newFixture(t, Options{Shards: 2, Archive: address, Log: t.TempDir()}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
	second := *f
	second.ledger = f.open(Options{Shards: 2, Archive: address, Log: t.TempDir()})
	random := rand.New(rand.NewPCG(3, 3))
	proxies := []*traffic{f.traffic(2, "acme", "bolt", "cork"), second.traffic(31, "dune", "elba")}
	for _, tr := range proxies {
		(&logged{fixture: tr.fixture}).replaying(tr.ledger)
	}
	rounds, lost, cutEntries := 100, 0, int64(0)
	if testing.Short() {
		rounds = 15
	}
	for range rounds {
		for _, tr := range proxies {
			tr.run(5 + random.IntN(15))
		}
		f.archiveNow()
		for _, tr := range proxies {
			tr.run(random.IntN(15))
		}
		before := f.shardSeq(0) + f.shardSeq(1)
		f.cut(func(size int64) int64 { return size - random.Int64N(min(size, 20_000)) })
		after := f.shardSeq(0) + f.shardSeq(1)
		if cutEntries += before - after; after < before {
			lost++
		}
		f.must(f.settleOne(proxies[random.IntN(2)]))
		f.chargedOnce(proxies...)
		f.eachArchivedIsThere(f.ledger)
		f.eachArchivedIsThere(second.ledger)
		if t.Failed() {
			t.FailNow()
		}
	}
	if lost < rounds/2 {
		t.Errorf("only %d of %d cuts lost anything: this proves little", lost, rounds)
	}
	t.Logf("%d cuts, %d of them lost entries, %d in all; %d answers", rounds, lost, cutEntries, len(proxies[0].acknowledged)+len(proxies[1].acknowledged))
	for _, tr := range proxies {
		tr.finish()
	}
	f.pass(defaultHoldTTL + time.Minute)
	for f.sweep().Open > 0 {
	}
	f.archiveNow()
	f.chargedOnce(proxies...)
}

// chargedOnce waits until every acknowledged charge stands, and checks that each stands once.
func (f *fixture) chargedOnce(proxies ...*traffic) {
	f.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		wrong := f.notOnce(proxies...)
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(deadline) {
			f.Errorf("NO-LOST, ONCE: charged, by request: %v, want 1 of each", wrong)
			return
		}
	}
}

// notOnce are the acknowledged requests that are not charged once, and how often they are.
func (f *fixture) notOnce(proxies ...*traffic) map[string]int {
	f.Helper()
	standing := make(map[string]int)
	f.must(f.ledger.Journal(f.ctx(), "", JournalQuery{}, func(e *Entry) error {
		switch {
		case e.Type == TypeCharge || e.Type == TypeAbandon:
			standing[e.RequestID]++
		case e.takenBack:
			standing[e.RequestID]--
		}
		return nil
	}))
	wrong := make(map[string]int)
	for _, tr := range proxies {
		for id := range tr.acknowledged {
			if standing[id] != 1 {
				wrong[id] = standing[id]
			}
		}
	}
	return wrong
}

// settleOne delivers an answer, whatever was lost: a proxy has the charge in its log then, or in Redis.
func (f *fixture) settleOne(tr *traffic) error {
	c := tr.keys[0]
	id := NewRequestID()
	r, err := tr.ledger.Settle(f.ctx(), Settlement{ID: id, Account: c.Account, Key: keyID(c.Account, c.suffix()), Model: "glm-4", Endpoint: "chat", Charge: cost(f, "0.001")})
	if err == nil {
		tr.acknowledged[id] = r.FeeDue()
	}
	return err
}

// Putting back does all that booking did: the books that were cut and put back
// are those before the cut.
func TestPutBackIsBooking(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := archived(t, Options{Shards: 2, ArchiveKeep: time.Hour}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
			tr := f.traffic(seed, "acme", "bolt", "cork")
			size := f.aofSize()
			f.pass(2 * time.Hour) // to buckets of markers that the cut takes whole
			tr.run(300)
			tr.finish()
			f.archiveNow()
			before, journal, mortal := f.books(), f.journals(f.ledger), f.mortal()
			f.cut(func(int64) int64 { return size })
			f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
			f.sameBooks(before, f.books())
			if after := f.mortal(); mortal == "" || after != mortal {
				t.Errorf("with a time of death there are %s, and were %s", after, mortal)
			}
			f.sameBooks(journal, f.journals(f.ledger))
		})
	}
}

// mortal lists the keys that have a time of death: the buckets of markers.
func (f *fixture) mortal() string {
	f.Helper()
	keys, err := f.server.Client().Keys(f.ctx(), "*").Result()
	f.must(err)
	keys = slices.DeleteFunc(keys, func(key string) bool {
		left, err := f.server.Client().PTTL(f.ctx(), key).Result()
		f.must(err)
		return left < 0
	})
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

// The archiver has read entries that Redis then lost; recovery sees the older
// archive head, lifts the fence, new entries take those ids, and only then does
// the archiver commit.
func TestLateArchiverIsShutOut(t *testing.T) {
	f := archived(t, Options{Shards: 1}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	size := f.aofSize()
	f.topup("acme", Bonus, "1")
	f.topup("acme", Bonus, "2")
	a := f.store()
	head, err := a.Head(f.ctx(), 0)
	f.must(err)
	read := mustRaw(f, 0)
	f.cut(func(int64) int64 { return size })
	f.topup("acme", Bonus, "4")
	if _, err := a.Append(f.ctx(), head, read); !errors.Is(err, archive.ErrEpoch) {
		t.Errorf("the late commit: %v, want ErrEpoch", err)
	}
	f.archiveNow()
	f.balances("acme", "10 4 0")
	f.audit()
}

// The old master of a split brain has missed the recovery: what it has is not archived.
func TestOldMasterIsNotArchived(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	a := f.store()
	_, err := a.RaiseEpochs(f.ctx(), []int{0}) // another server was recovered
	f.must(err)
	f.topup("acme", Bonus, "1")
	w := f.ledger.archiver
	w.round(f.ctx())
	if w.state.Archived != 0 || !errors.Is(w.state.Err, ErrUnavailable) || !strings.Contains(w.state.Err.Error(), "another server") {
		t.Errorf("state %+v", w.state)
	}
	_, err = Open(f.ctx(), Options{URL: f.server.URL(), Archive: f.ledger.vault.address})
	wants(t, err, ErrUnavailable)
}

// A recovery that died between raising the epoch and loading the scripts is followed by the next.
func TestRecoveryBrokenOff(t *testing.T) {
	f := archived(t, Options{Shards: 2}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	f.must((&recovery{recoverer: f.ledger.recoverer, node: list[0], token: "somebody"}).begin(f.ctx()))
	_, err = f.store().RaiseEpochs(f.ctx(), []int{0, 1})
	f.must(err)
	f.topup("acme", Bonus, "1") // the scripts were there
	f.archiveNow()
	f.archiveNow()
	if head, err := f.store().Head(f.ctx(), f.ledger.shardOf("acme")); err != nil || int64(head.Seq) != f.shardSeq(head.Shard) {
		t.Errorf("archived up to %d of %d, %v", head.Seq, f.shardSeq(head.Shard), err)
	}
	f.balances("acme", "10 1 0")
	f.audit()

	f.server.Kill()
	f.server.Start()
	f.must(f.server.Client().Set(f.ctx(), f.ledger.tags[0]+"recovery", "somebody who died", 300*time.Millisecond).Err())
	f.topup("acme", Bonus, "1")
	f.balances("acme", "10 2 0")
}

// Two recover at once because a lock ran out: the older one changes nothing any more.
func TestTwoRecoverAtOnce(t *testing.T) {
	f := archived(t, Options{Shards: 2}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.account("bolt", "10", "0", AccountOptions{})
	size := f.aofSize()
	for range 50 {
		f.topup("acme", Bonus, "0.1")
		f.topup("bolt", Bonus, "0.1")
	}
	f.archiveNow()
	f.cut(func(int64) int64 { return size })

	// The first one stops half way.
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	first := &recovery{recoverer: f.ledger.recoverer, node: list[0], lock: f.ledger.tags[0] + "recovery", token: "first", store: f.store()}
	f.must(first.begin(f.ctx()))
	first.heads, err = first.store.RaiseEpochs(f.ctx(), first.node.shards)
	f.must(err)
	found, err := first.step(f.ctx(), "begin")
	f.must(err)
	head := first.heads[0]
	var some []*archive.Entry
	f.must(first.store.Entries(f.ctx(), archive.Query{Shard: head.Shard, AfterSeq: uint64(found[0].seq), UntilSeq: uint64(found[0].seq) + 10}, func(e *archive.Entry) error {
		some = append(some, e)
		return nil
	}))
	f.must(first.putBackBatch(f.ctx(), head.Epoch, some[:5]))

	second := f.open(Options{Shards: 2, Archive: f.ledger.vault.address})
	a2, err := second.Account(f.ctx(), "acme")
	f.must(err)
	if a2.Wallets[Bonus].Balance != f.nano("5") {
		t.Errorf("after the second recovery: %+v", a2.Wallets)
	}
	wants(t, first.putBackBatch(f.ctx(), head.Epoch, some[5:]), errLate)
	_, err = first.step(f.ctx(), "end")
	wants(t, err, errLate)
	wants(t, first.lift(f.ctx(), found), errLate)
	f.topup("acme", Bonus, "1")
	f.audit()
}

// flushOnce is a client's hook that takes all scripts from the server just before the n-th pipeline of a script goes out.
type flushOnce struct {
	f   *fixture
	sha string
	n   int
}

func (*flushOnce) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*flushOnce) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *flushOnce) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if args := commands[0].Args(); len(args) > 1 && args[0] == "evalsha" && args[1] == h.sha {
			if h.n--; h.n == 0 {
				h.f.must(h.f.server.Client().ScriptFlush(ctx).Err())
			}
		}
		return next(ctx, commands)
	}
}

// Another process takes the scripts away in the midst of a recovery, as one
// does that finds a shard gone back: the recovery begins anew.
func TestScriptsTakenDuringRecovery(t *testing.T) {
	f := archived(t, Options{Shards: 2}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	client := f.ledger.client.(*redis.Client)
	recoverSHA, putbackSHA := f.ledger.scripts.recover.sha, f.ledger.scripts.putback.sha
	for i, taken := range []*flushOnce{{f, recoverSHA, 1}, {f, recoverSHA, 2}, {f, putbackSHA, 1}} {
		size := f.aofSize()
		f.topup("acme", Bonus, "1")
		f.archiveNow()
		f.cut(func(int64) int64 { return size })
		client.AddHook(taken)
		f.balances("acme", fmt.Sprintf("10 %d 0", i+1))
		if taken.n > 0 {
			t.Errorf("the scripts were never taken: %d", taken.n)
		}
	}
	f.audit()
}

// Many meet a server that has come up anew; it is recovered, and nobody books twice.
func TestManyRecoverAtOnce(t *testing.T) {
	f := archived(t, Options{Shards: 4}, redistest.WithAOF("always"))
	f.broken = true // holds that had been released come back: their proxies' logs release them again
	tr := f.traffic(9, "acme", "bolt", "cork")
	tr.run(200)
	tr.finish()
	f.archiveNow()
	before := withoutHolds(f.books()) // what was released, not charged, comes back as a hold
	ledgers := []*Ledger{f.ledger}
	for range 3 {
		ledgers = append(ledgers, f.open(Options{Shards: 4, Archive: f.ledger.vault.address}))
	}
	for range 5 {
		f.cut(func(size int64) int64 { return size * 2 / 3 })
		var group sync.WaitGroup
		for i, l := range ledgers {
			for range 4 {
				group.Go(func() {
					if _, err := l.Account(f.ctx(), tr.accounts[i%3]); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		f.sameBooks(before, withoutHolds(f.books()))
	}
}

// A server that comes up whole is opened again at once: in 20 ms or so, and the
// bound is for a machine that is busy. It is said to have come up anew then, and not when the ledger was made.
func TestCleanRestartIsQuick(t *testing.T) {
	core, logged := observer.New(zap.InfoLevel)
	f := archived(t, Options{Shards: 64, Logger: zap.New(core)}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	if list := logged.TakeAll(); len(list) > 0 {
		t.Errorf("logged of a new ledger: %v", list)
	}
	f.server.Stop()
	f.server.Start()
	start := time.Now()
	f.topup("acme", Bonus, "1")
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the first booking after a restart took %s", took)
	} else {
		t.Logf("the first booking after a restart took %s", took)
	}
	if n := logged.FilterMessageSnippet("Redis came up anew").Len(); n != 1 {
		t.Errorf("%d times logged that Redis came up anew: %v", n, logged.All())
	}
	recovered, err := f.ledger.recoveredAt(f.ctx(), time.Now())
	f.must(err)
	if time.Since(recovered) > time.Minute {
		t.Errorf("recovered at %s", recovered)
	}
}

// With the archive out of reach, a server that came up anew stays shut; one that is known goes on.
func TestNoLiftingWithoutTheArchive(t *testing.T) {
	address := sqlite(t)
	f := archived(t, Options{Archive: address}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	path := strings.TrimPrefix(address, "sqlite:")
	f.must(f.ledger.vault.close())
	f.ledger.vault.open = nil
	f.must(os.Rename(path, path+".away"))
	f.topup("acme", Bonus, "1")
	opened := f.open(Options{Archive: address}) // the scripts are there: somebody has looked
	_, err := opened.Account(f.ctx(), "acme")
	f.must(err)

	f.server.Kill()
	f.server.Start()
	for range 2 {
		_, err = f.ledger.Account(f.ctx(), "acme")
		wants(t, err, ErrUnavailable)
	}
	_, err = Open(f.ctx(), Options{URL: f.server.URL(), Archive: address})
	wants(t, err, ErrUnavailable)
	_, err = Open(f.ctx(), Options{URL: f.server.URL()})
	wants(t, err, ErrUnavailable) // the ledger has an archive, and this process knows none
	f.must(os.Rename(path+".away", path))
	f.balances("acme", "10 1 0")
}

// Redis was emptied, or the URL leads elsewhere: refused, by those who run and by those who start.
func TestEmptiedWithAnArchive(t *testing.T) {
	address := sqlite(t)
	f := archived(t, Options{Archive: address})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	_, err := f.tryReserve(key, cost(f, "1"))
	wants(t, err, ErrUnavailable)
	w := f.ledger.archiver
	w.round(f.ctx())
	wants(t, w.state.Err, ErrUnavailable)
	for range 2 {
		_, err = Open(f.ctx(), Options{URL: f.server.URL(), Currency: "CNY", Archive: address})
		wants(t, err, ErrUnavailable)
		if err == nil || !strings.Contains(err.Error(), "tollgate rebuild") {
			t.Errorf("error %v", err)
		}
		f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
		_, err = f.tryReserve(key, cost(f, "1"))
		wants(t, err, ErrUnavailable)
	}
}

// A dataset restored in place, without a restart, keeps its scripts; who has
// seen more notices, and so does one that starts, and the archiver.
func TestRestoredInPlace(t *testing.T) {
	for _, who := range []string{"a proxy", "a start", "the archiver"} {
		t.Run(who, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
			f.account("acme", "10", "0", AccountOptions{})
			kept := f.dump()
			f.topup("acme", Bonus, "1")
			f.topup("acme", Bonus, "2")
			f.archiveNow()
			f.topup("acme", Bonus, "4") // lost for good: no log, not archived
			f.restore(kept)
			switch who {
			case "a proxy":
				f.topup("acme", Recharge, "1")
			case "a start":
				f.open(Options{Shards: 1, Archive: f.ledger.vault.address})
				f.topup("acme", Recharge, "1")
			case "the archiver":
				l := f.openFresh()
				w := l.archiver
				w.round(f.ctx())
				f.must(w.state.Err)
				f.topup("acme", Recharge, "1")
			}
			f.balances("acme", "11 3 0")
			f.archiveNow()
			f.audit()
		})
	}
}

// openFresh opens a ledger, and makes it forget what it has seen.
func (f *fixture) openFresh() *Ledger {
	l := f.open(Options{Shards: len(f.ledger.tags), Archive: f.ledger.vault.address})
	for i := range l.heads {
		l.heads[i].Store(int64(positionAt(l.at(i).epoch(), 0)))
	}
	return l
}

func (f *fixture) dump() map[string]string {
	f.Helper()
	all := make(map[string]string)
	keys, err := f.server.Client().Keys(f.ctx(), "*").Result()
	f.must(err)
	for _, key := range keys {
		all[key], err = f.server.Client().Dump(f.ctx(), key).Result()
		f.must(err)
	}
	return all
}

func (f *fixture) restore(all map[string]string) {
	f.Helper()
	f.must(f.server.Client().FlushAll(f.ctx()).Err())
	for key, value := range all {
		f.must(f.server.Client().Restore(f.ctx(), key, 0, value).Err())
	}
}

func withoutHolds(books map[string]string) map[string]string {
	for key := range books {
		for _, held := range []string{" held", ":h", ":sh", ":th", ":p"} {
			if strings.HasSuffix(key, held) {
				delete(books, key)
			}
		}
	}
	return books
}

// A block of writes that a crash has cut within a command must not come back at
// the second restart: see newAOF.
func TestCutTwice(t *testing.T) {
	for name, o := range map[string]Options{"archive": {Shards: 1, Archive: sqlite(t)}, "none": {Shards: 1}} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, o, redistest.WithAOF("always"))
			f.account("acme", "10", "0", AccountOptions{})
			f.topup("acme", Bonus, "1")
			before := f.aofSize()
			f.topup("acme", Bonus, "2")
			after := f.aofSize()
			f.ledger.heads[0].Store(0) // what is lost was never acknowledged
			f.cut(func(int64) int64 { return before + (after-before)*3/4 })
			f.topup("acme", Bonus, "4")
			f.aofSize() // the rewrite is through
			f.server.Kill()
			f.server.Start()
			f.topup("acme", Bonus, "8")
			f.balances("acme", "10 13 0")
		})
	}
}

// A shard of whose journal nothing is left in Redis goes on with its ids, over a
// restart, too: the stream itself refuses an id that is not beyond its last.
func TestFullyTrimmedShardGoesOn(t *testing.T) {
	f := archived(t, Options{Shards: 1}, redistest.WithAOF("always"))
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	for round := range 3 {
		f.must(f.server.Client().XTrimMaxLen(f.ctx(), f.ledger.journalKey(0), 0).Err())
		if round == 1 {
			f.server.Kill()
			f.server.Start()
		}
		before := f.shardSeq(0)
		f.topup("acme", Bonus, "1")
		if after := f.shardSeq(0); after != before+1 {
			t.Errorf("DENSE: after %d comes %d", before, after)
		}
		f.archiveNow()
	}
	f.balances("acme", "10 3 0")
}

// A ledger is rebuilt while its proxies run, and try: none books before it is
// whole, what they had promised comes to the books, and nothing twice.
func TestRebuildBesideProxies(t *testing.T) {
	address := sqlite(t)
	f := newFixture(t, Options{Shards: 2, Archive: address, Log: t.TempDir()}, redistest.WithAOF("always"))
	tr := f.traffic(4, "acme", "bolt")
	(&logged{fixture: f}).replaying(f.ledger)
	tr.run(100)
	f.archiveNow()
	tr.run(30) // the log alone will have it
	open := len(tr.holds)

	f.server.Kill()
	f.must(os.RemoveAll(filepath.Join(f.server.Dir(), "appendonlydir")))
	f.server.Start()
	tr.run(30) // refused, or promised
	if len(tr.holds) > open {
		t.Error("a call was admitted by an empty Redis")
	}
	if n, err := f.server.Client().DBSize(f.ctx()).Result(); err != nil || n != 0 {
		t.Errorf("proxies wrote %d keys into an empty Redis", n)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Rebuild(f.ctx(), Options{URL: f.server.URL(), Archive: address})
		done <- err
	}()
	for range 30 {
		tr.run(1)
	}
	f.must(<-done)
	f.must(f.settleOne(tr))
	f.chargedOnce(tr)
	tr.finish()
	f.chargedOnce(tr)
	f.archiveNow()
}

// Two ledgers in two databases of one server: whoever has recovered his own has not recovered the other.
func TestTwoLedgersOnOneServer(t *testing.T) {
	f := newFixture(t, Options{Shards: 1, Archive: sqlite(t)}, redistest.WithAOF("always"), redistest.WithConfig("--auto-aof-rewrite-percentage", "0"))
	f.account("acme", "10", "0", AccountOptions{})
	address := sqlite(t)
	open := func() *Ledger {
		l, err := Open(f.ctx(), Options{URL: "redis://" + f.server.Addr() + "/1", Currency: "CNY", Shards: 1, Archive: address, ArchiveKeep: time.Hour})
		f.must(err)
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	one, two := open(), open()
	_, err := one.CreateAccount(f.ctx(), "bolt", AccountOptions{})
	f.must(err)
	_, err = two.Account(f.ctx(), "bolt")
	f.must(err)
	size := f.aofSize()
	_, err = one.TopUp(f.ctx(), Topup{Account: "bolt", Amount: f.nano("5")})
	f.must(err)
	f.must(one.ArchiveWord(f.ctx()))
	f.cut(func(int64) int64 { return size }) // which is lost
	_, err = f.ledger.Account(f.ctx(), "acme")
	f.must(err)
	_, err = two.TopUp(f.ctx(), Topup{Account: "bolt", Amount: f.nano("7")}) // had not seen it
	f.must(err)
	a, err := two.Account(f.ctx(), "bolt")
	f.must(err)
	if a.Wallets[Recharge].Balance.String() != "12" {
		t.Errorf("balance %s, want 12: what was lost has not been put back", a.Wallets[Recharge].Balance)
	}
}
