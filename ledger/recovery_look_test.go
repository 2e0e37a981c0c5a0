package ledger

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// meddler is a client's hook: just before the first command, or pipeline, of which name is a part goes out, something happens.
type meddler struct {
	name string
	do   func()
}

func (*meddler) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *meddler) meddle(commands ...redis.Cmder) {
	for _, c := range commands {
		if do := m.do; do != nil && strings.Contains(c.String(), m.name) {
			m.do = nil
			do()
		}
	}
}

func (m *meddler) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		m.meddle(command)
		return next(ctx, command)
	}
}

func (m *meddler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		m.meddle(commands...)
		return next(ctx, commands)
	}
}

// What was restored in place, without a restart, is noticed by a process that starts, and by the archiver of one that has seen
// nothing; each then replays its log, and takes no call until the others have had their time for that.
func TestRestoredInPlaceIsNoticedByTheArchive(t *testing.T) {
	for _, who := range []string{"a start", "the archiver"} {
		t.Run(who, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
			f.account("acme", "10", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{})
			kept := f.dump()
			f.topup("acme", Bonus, "1")
			f.archiveNow()
			o := Options{Shards: 1, Archive: f.ledger.vault.address}
			var l *Ledger
			if who == "a start" {
				f.restore(kept)
				l = f.open(o)
			} else {
				l = f.open(o)
				f.restore(kept)
				l.heads[0].Store(int64(positionAt(l.at(0).epoch(), 0)))
				l.losses.patience = time.Hour
				l.archiver.round(f.ctx())
				f.must(l.archiver.state.Err)
				if len(l.circuits.suspected) == 0 {
					t.Error("nobody is told to replay")
				}
				_, err := l.Reserve(f.ctx(), f.reservation(key, cost(t, "1")))
				wants(t, err, ErrUnavailable)
			}
			head, err := f.store().Head(f.ctx(), 0)
			f.must(err)
			if seq := f.shardSeq(0); seq != int64(head.Seq) || l.at(0).epoch() != head.Epoch {
				t.Errorf("Redis ends at %d, epoch %d, the archive at %d, epoch %d", seq, l.at(0).epoch(), head.Seq, head.Epoch)
			}
			f.balances("acme", "10 1 0")
		})
	}
}

// Who takes a shard that is where it should be for one that has gone back takes nothing away.
func TestNothingIsFencedWithoutNeed(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	before := f.ledger.at(0)
	for _, least := range []position{before, positionAt(before.epoch()+1, 1)} {
		f.must(f.ledger.recoverer.recoverBehind(f.ctx(), 0, least))
		_, err := f.ledger.Account(f.ctx(), "acme")
		f.must(err)
		if at := f.ledger.at(0); at != before {
			t.Errorf("it was recovered: at %s, and was at %s", at, before)
		}
	}
}

// An archive that lacks an entry, in the middle or at its end, brings no shard up: what it has is not the journal.
func TestArchiveWithAHoleOpensNothing(t *testing.T) {
	for name, lost := range map[string]int64{"middle": 3, "end": 6} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			before := f.snapshot()
			for range 4 {
				f.topup("acme", Bonus, "1")
			}
			f.archiveNow()
			f.goBack(before)
			f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
			db, err := sql.Open("sqlite", strings.TrimPrefix(f.ledger.vault.address, "sqlite:"))
			f.must(err)
			defer db.Close()
			_, err = db.ExecContext(f.ctx(), `DELETE FROM entries WHERE seq = $1`, lost)
			f.must(err)
			err = f.ledger.recoverer.recoverShard(f.ctx(), 0)
			wants(t, err, errDisagree)
			if !strings.Contains(err.Error(), "the archive lacks entry "+entryID(lost)) {
				t.Errorf("error %v", err)
			}
			if open, err := f.ledger.areOpen(f.ctx()); err != nil || open {
				t.Errorf("open: %t, %v", open, err)
			}
		})
	}
}

// What somebody of another version books after a recovery has looked, and before it has taken all scripts away, is seen.
func TestBookedWhileARecoveryBegins(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "0", AccountOptions{})
	before := f.snapshot()
	f.topup("acme", Bonus, "1")
	f.archiveNow()
	f.goBack(before)
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	client, seq := f.server.Client(), f.shardSeq(0)+1
	m := &meddler{name: "function list libraryname", do: func() {
		f.must(client.Do(f.ctx(), "XADD", f.ledger.journalKey(0), entryID(seq), "t", "topup", "m", "1").Err())
		f.must(client.HSet(f.ctx(), f.ledger.metaKey(0), "seq", seq).Err())
	}}
	f.ledger.client.AddHook(m)
	wants(t, f.ledger.recoverer.recoverShard(f.ctx(), 0), errDisagree)
	if m.do != nil {
		t.Error("nothing was booked")
	}
}

// Right before it opens the library a recovery looks once more: not where a journal is shorter by now, nor where the lock has
// become another's in that very moment.
func TestRecoveryLooksOnceMore(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	r := &recovery{recoverer: f.ledger.recoverer, node: list[0], lock: f.ledger.tags[0] + "recovery", token: "mine", store: f.store()}
	client := f.server.Client()
	f.must(client.Set(f.ctx(), r.lock, r.token, recoveryLock).Err())
	f.must(r.begin(f.ctx()))
	r.heads, err = r.store.RaiseEpochs(f.ctx(), r.node.shards)
	f.must(err)
	_, err = r.step(f.ctx(), "begin")
	f.must(err)
	found, err := r.step(f.ctx(), "end")
	f.must(err)
	more := []shardFound{{seq: found[0].seq + 1}}
	wants(t, r.lift(f.ctx(), more), errLate)
	m := &meddler{name: f.ledger.scripts.toOpen(), do: func() { f.must(client.Set(f.ctx(), r.lock, "another", recoveryLock).Err()) }}
	f.ledger.client.AddHook(m)
	wants(t, r.lift(f.ctx(), found), errLate)
	if open, err := f.ledger.areOpen(f.ctx()); err != nil || open || m.do != nil {
		t.Errorf("open: %t, %v", open, err)
	}
	f.withoutLock()
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
}

// A recovery that others have overtaken begins nothing, nor does one from another archive; and one from an archive that has gone back
// leaves standing by what that is known, for the next to see.
func TestRecoveryBeginsNothingWhereItMustNot(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	with := func(epochs int) *recovery {
		r := &recovery{recoverer: f.ledger.recoverer, node: list[0], token: "mine", store: f.store()}
		f.must(r.begin(f.ctx()))
		for range epochs {
			r.heads, err = r.store.RaiseEpochs(f.ctx(), r.node.shards)
			f.must(err)
		}
		return r
	}
	older, newer := with(1), with(1)
	_, err = newer.step(f.ctx(), "begin")
	f.must(err)
	_, err = older.step(f.ctx(), "begin")
	wants(t, err, errLate)
	_, err = with(1).step(f.ctx(), "end") // which has not begun
	wants(t, err, errLate)

	client, meta := f.server.Client(), f.ledger.metaKey(0)
	was := client.HGet(f.ctx(), meta, metaArchive).Val()
	f.must(client.HSet(f.ctx(), meta, metaArchive, "another").Err())
	if _, err = with(1).step(f.ctx(), "begin"); err == nil || !strings.Contains(err.Error(), "archived elsewhere") {
		t.Errorf("error %v", err)
	}
	f.must(client.HSet(f.ctx(), meta, metaArchive, was).Err())

	f.forget(0, 1)
	f.must(f.ledger.scripts.close(f.ctx(), client))
	for range 2 {
		_, err := (&recovery{recoverer: f.ledger.recoverer, node: list[0]}).try(f.ctx())
		wants(t, err, errDisagree)
	}
	if archived := client.HGet(f.ctx(), meta, metaArchived).Val(); archived != "3" {
		t.Errorf("Redis had up to 3-0 archived, and says %s-0", archived)
	}
}
