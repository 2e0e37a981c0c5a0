package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/archive"
)

// What keeps two from recovering a server at cross purposes is the epoch: one
// raises it in the archive, which shuts out archivers that read before, and
// writes it to the shard, which shuts out recoveries that began before. The
// lock only spares the others the work. What keeps a server that fell while it
// was being recovered from being opened is that the library is opened on the
// very connection on which the shards were found right.

const (
	recoveryLock = 10 * time.Second
	recoveryPoll = 25 * time.Millisecond
	putBackBatch = 200
	// putBackAtOnce is how many entries one call of the script books: what each call costs Redis by itself is more than an entry does.
	putBackAtOnce = 20
	// putBackKeep is how many entries may be put back into Redis and stay there.
	putBackKeep = 10_000
)

// errLate is met by a recovery that another process has overtaken, or taken the scripts from, or whose server has fallen: it begins anew.
var errLate = errors.New("another recovery has begun since")

// A recovery is one attempt to bring a server up to the archive, under a lock.
type recovery struct {
	*recoverer
	node        *node
	library     libraryState // as it was found
	lock, token string       // the lock's key, and what stands there while it is this recovery's

	store *archive.Archive
	heads []archive.Head // of the node's shards in the archive, under this recovery's epoch
}

// try recovers the server under its lock; begun is false when another has that.
func (r *recovery) try(ctx context.Context) (begun bool, err error) {
	if err := r.belongs(ctx); err != nil {
		return false, err
	}
	if locked, err := r.takeLock(ctx); err != nil || !locked {
		return false, unavailable(err)
	}
	defer r.keepLock(ctx)()
	start := time.Now()
	back, err := r.bringUp(ctx)
	if isNoScript(err) {
		// Somebody who found a shard gone back took the scripts away, and with
		// them those of this recovery.
		err = errLate
	}
	if err != nil {
		if !errors.Is(err, ErrUnavailable) && !errors.Is(err, errLate) {
			err = fmt.Errorf("%w: recovery: %w", ErrUnavailable, err)
		}
		return true, err
	}
	r.tell(back, time.Since(start))
	if back > 0 {
		r.back.Add(back)
		r.losses.add()
	}
	r.circuits.suspect()
	return true, nil
}

// tell says what has happened. Where there was no library yet, in a new ledger
// or for a new version of this program, nothing has.
func (r *recovery) tell(back int64, took time.Duration) {
	switch {
	case back > 0:
		r.logger.Warn("recovered a Redis that had gone back in time, from the archive",
			zap.Int("shards", len(r.node.shards)), zap.Int64("entries_put_back", back), zap.Duration("took", took))
	case r.library == libraryClosed:
		r.logger.Info("Redis came up anew, and lacks nothing that is archived", zap.Int("shards", len(r.node.shards)), zap.Duration("took", took))
	}
}

// takeLock takes the lock of the server's recovery, if nobody has it. A lock of
// the server's earlier life, come back with its data, counts for nothing, and so
// does one that would last longer than any is taken for: Redis's clock has been set
// back since, and nobody alive has renewed it. Whoever takes it lets a new
// append-only file begin first.
func (r *recovery) takeLock(ctx context.Context) (locked bool, err error) {
	r.lock = r.tags[r.node.shards[0]] + "recovery"
	info, err := r.node.client.Info(ctx, "server").Result()
	if err != nil {
		return false, err
	}
	_, life, _ := strings.Cut(info, "run_id:")
	life, _, _ = strings.Cut(life, "\r\n")
	holder, err := r.node.client.Get(ctx, r.lock).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, err
	}
	left, err := r.node.client.PTTL(ctx, r.lock).Result()
	if err != nil {
		return false, err
	}
	if strings.HasPrefix(holder, life+" ") && 0 < left && left <= recoveryLock {
		return false, nil
	}
	if err := r.newAOF(ctx, r.node.client); err != nil {
		return false, err
	}
	if holder != "" {
		// Should another have done the same meanwhile, its lock goes: then there are two, which the epoch sorts out.
		if err := r.node.client.Del(ctx, r.lock).Err(); err != nil {
			return false, err
		}
	}
	r.token = life + " " + newID("recovery_", time.Now())
	return r.node.client.SetNX(ctx, r.lock, r.token, recoveryLock).Result()
}

// keepLock renews the lock until what it returns is called, which gives it back.
func (r *recovery) keepLock(ctx context.Context) (giveBack func()) {
	renewing, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() { r.renew(renewing); close(renewed) }()
	return func() {
		stop()
		<-renewed
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if r.hasLock(release) {
			r.node.client.Del(release, r.lock)
		}
	}
}

func (r *recovery) renew(ctx context.Context) {
	ticker := time.NewTicker(recoveryLock / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if r.hasLock(ctx) {
				r.node.client.PExpire(ctx, r.lock, recoveryLock)
			}
		}
	}
}

func (r *recovery) hasLock(ctx context.Context) bool {
	holder, err := r.node.client.Get(ctx, r.lock).Result()
	return err == nil && holder == r.token
}

// bringUp compares, puts back and lifts. It returns how many entries were put back.
func (r *recovery) bringUp(ctx context.Context) (back int64, err error) {
	if r.store, err = r.vault.current(ctx); err != nil {
		return 0, err
	}
	if err = r.begin(ctx); err != nil {
		return 0, err
	}
	if r.heads, err = r.store.RaiseEpochs(ctx, r.node.shards); err != nil {
		return 0, err
	}
	found, err := r.step(ctx, "begin")
	if err != nil {
		return 0, err
	}
	if r.anyBehind(found) {
		// Scripts of another version of this program may be loaded: nobody books while entries are put back.
		if err := r.scripts.close(ctx, r.node.client); err != nil {
			return 0, err
		}
		if found, err = r.step(ctx, "begin"); err != nil {
			return 0, err
		}
	}
	for i, head := range r.heads {
		if err := r.compare(ctx, head, found[i]); err != nil {
			return back, r.disagree(ctx, head.Shard, err)
		}
	}
	for i, head := range r.heads {
		if head.Seq <= uint64(found[i].seq) {
			continue
		}
		if err := r.putBack(ctx, head, found[i].seq); err != nil {
			return back, r.disagree(ctx, head.Shard, err)
		}
		back += int64(head.Seq) - found[i].seq
	}
	ends, err := r.step(ctx, "end")
	if err != nil {
		return back, err
	}
	return back, r.lift(ctx, ends)
}

func (r *recovery) anyBehind(found []shardFound) bool {
	for i, head := range r.heads {
		if head.Seq > uint64(found[i].seq) {
			return true
		}
	}
	return false
}

// belongs checks whose shards these are. To a server that has been emptied, or
// is another ledger's, not even the lock is written.
func (r *recovery) belongs(ctx context.Context) error {
	ids := make([]*redis.StringCmd, len(r.node.shards))
	_, err := r.node.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, shard := range r.node.shards {
			ids[i] = p.HGet(ctx, r.metaKey(shard), metaIdentity)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for i, id := range ids {
		switch {
		case id.Val() == "":
			return fmt.Errorf("%w: shard %d: the shard is empty: its meta is gone; `tollgate rebuild` restores an emptied ledger", ErrUnavailable, r.node.shards[i])
		case id.Val() != r.identity:
			return fmt.Errorf("%w: shard %d: the shard belongs to another ledger", ErrUnavailable, r.node.shards[i])
		}
	}
	return nil
}

// begin marks the shards, and loads what a recovery needs: scripts that
// write nothing but what the archive has.
func (r *recovery) begin(ctx context.Context) error {
	if err := r.belongs(ctx); err != nil {
		return err
	}
	_, err := r.node.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ScriptLoad(ctx, r.scripts.recover.source)
		p.ScriptLoad(ctx, r.scripts.putback.source)
		for _, shard := range r.node.shards {
			p.HSet(ctx, r.metaKey(shard), metaRecovering, r.token)
		}
		return nil
	})
	return unavailable(err)
}

// shardFound is a shard as a recovery finds it.
type shardFound struct {
	seq, first, archived int64
	shared               int64    // the last entry that shard and archive should both have
	fields               []string // of that, if it is still in Redis
}

// step runs a step of lua/recover.lua on every shard.
func (r *recovery) step(ctx context.Context, name string) ([]shardFound, error) {
	replies := make([]*redis.Cmd, len(r.heads))
	_, err := r.node.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, h := range r.heads {
			keys := []string{r.metaKey(h.Shard), r.journalKey(h.Shard)}
			replies[i] = p.EvalSha(ctx, r.scripts.recover.sha, keys, r.identity, h.Epoch, r.vault.identity, h.Seq, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := make([]shardFound, len(r.heads))
	for i, answer := range replies {
		values, err := answer.Slice()
		if err != nil {
			return nil, err
		}
		state := replyOf(values)
		switch state.text(0) {
		case "OK":
		case "LATE":
			return nil, errLate
		default:
			return nil, fmt.Errorf("%w: shard %d: %s", ErrUnavailable, r.heads[i].Shard, state.text(2))
		}
		found[i] = shardFound{seq: state.integer(1), first: state.integer(2), archived: state.integer(3), shared: state.integer(4), fields: state.texts(5)}
		if state.err != nil {
			return nil, state.err
		}
	}
	return found, nil
}

// errDisagree: Redis and archive are not of one journal. People must look.
var errDisagree = errors.New("the archive and Redis do not keep the same journal")

// compare holds a shard against its archive.
func (r *recovery) compare(ctx context.Context, head archive.Head, s shardFound) error {
	end := int64(head.Seq)
	switch {
	case s.first > end+1, s.first == 0 && s.seq > end, s.archived > end:
		return fmt.Errorf("%w: the archive ends at %d-0, but Redis begins at %d-0 and has had up to %d-0 archived: the archive has gone back in time",
			errDisagree, end, s.first, s.archived)
	case len(s.fields) == 0: // trimmed, or the journal is new
		return nil
	}
	archived, err := r.store.At(ctx, head.Shard, uint64(s.shared))
	if err != nil {
		return err
	}
	if archived == nil {
		return lacking(s.shared)
	}
	if !slices.Equal(archived.Fields, s.fields) {
		return fmt.Errorf("%w: entry %d-0 has other content here than there", errDisagree, s.shared)
	}
	return nil
}

// lacking is a disagreement over an entry that the archive must have had.
func lacking(seq int64) error {
	return fmt.Errorf("%w: the archive lacks entry %d-0, which it must have had: put that back from a backup of the archive", errDisagree, seq)
}

// disagree records a disagreement in the shard's meta, for all processes.
func (r *recovery) disagree(ctx context.Context, shard int, err error) error {
	err = fmt.Errorf("shard %d: %w", shard, err)
	if errors.Is(err, errDisagree) {
		return r.vault.stopArchiving(ctx, shard, err)
	}
	return err
}

// putBack books again what a shard lacks.
func (r *recovery) putBack(ctx context.Context, head archive.Head, from int64) error {
	batch := make([]*archive.Entry, 0, putBackBatch)
	next := uint64(from)
	flush := func() error {
		defer func() { batch = batch[:0] }()
		if err := r.putBackBatch(ctx, head.Epoch, batch); err != nil || head.Seq-uint64(from) < putBackKeep {
			return err
		}
		// A whole history is put back for what it booked, not to be kept in memory: the archive has it.
		return r.node.client.XTrimMinID(ctx, r.journalKey(head.Shard), entryID(int64(next)-putBackBatch)).Err()
	}
	query := archive.Query{Shard: head.Shard, AfterSeq: uint64(from), UntilSeq: head.Seq}
	err := r.store.Entries(ctx, query, func(e *archive.Entry) error {
		if next++; e.Seq != next {
			return lacking(int64(next))
		}
		if batch = append(batch, e); len(batch) < putBackBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	if next != head.Seq {
		return lacking(int64(next + 1))
	}
	return flush()
}

// putBackBatch books entries again, several by each call of the script.
func (r *recovery) putBackBatch(ctx context.Context, epoch int64, batch []*archive.Entry) error {
	if len(batch) == 0 {
		return nil
	}
	calls := slices.Collect(slices.Chunk(batch, putBackAtOnce))
	replies := make([]*redis.Cmd, len(calls))
	var problem error
	_, err := r.node.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, entries := range calls {
			keys, args, err := r.putBackCall(epoch, entries)
			if err != nil {
				problem = err
				return err
			}
			replies[i] = p.EvalSha(ctx, r.scripts.putback.sha, keys, args...)
		}
		return nil
	})
	if err = errors.Join(problem, err); err != nil {
		return err
	}
	for i, answer := range replies {
		values, err := answer.Slice()
		if err != nil {
			return err
		}
		if err := putBackAnswer(replyOf(values), calls[i]); err != nil {
			return err
		}
	}
	return nil
}

func putBackAnswer(r *reply, entries []*archive.Entry) error {
	last := entries[len(entries)-1].Seq
	switch r.text(0) {
	case "OK":
		return nil
	case "LATE":
		return errLate
	case "PAST":
		// The pipeline was sent again after its reply was lost: they are there. Or the server has fallen meanwhile, and lacks more now.
		if head := r.integer(1); r.err == nil && head < int64(last) {
			return errLate
		}
		return r.err
	case "DIFFERS":
		return fmt.Errorf("%w: entry %s-0 would leave %s at %s, and says %s", errDisagree, r.text(4), r.text(1), r.text(2), r.text(3))
	}
	return fmt.Errorf("entries %d-0 to %d-0 were not put back: %.200v", entries[0].Seq, last, r.values)
}

// lift opens the library, if the server is the process that was recovered, and
// nobody has taken over: lock, epochs and journals are looked at on the one
// connection on which the library is then opened, and a server that fell since
// has broken it.
func (r *recovery) lift(ctx context.Context, ends []shardFound) error {
	at := make([]position, len(r.heads))
	library, err := r.scripts.state(ctx, r.node.client, r.identity)
	if err != nil {
		return err
	}
	err = r.node.client.Watch(ctx, func(tx *redis.Tx) error {
		mine, err := tx.Get(ctx, r.lock).Result()
		if errors.Is(err, redis.Nil) || err == nil && mine != r.token {
			return errLate
		}
		if err != nil {
			return err
		}
		metas := make([]*redis.SliceCmd, len(r.heads))
		if _, err := tx.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, h := range r.heads {
				metas[i] = p.HMGet(ctx, r.metaKey(h.Shard), metaSeq, metaEpoch)
			}
			return nil
		}); err != nil {
			return err
		}
		for i, h := range r.heads {
			values := metas[i].Val()
			at[i] = positionOf(values[0], values[1])
			if at[i].epoch() != h.Epoch || at[i].seq() < ends[i].seq {
				return errLate
			}
		}
		return atOnce(ctx, tx, func(p redis.Pipeliner) error {
			r.scripts.open(ctx, p, library, r.identity)
			return nil
		})
	}, r.lock)
	if errors.Is(err, redis.TxFailedErr) {
		return errLate
	}
	if err != nil {
		return err
	}
	for i, h := range r.heads {
		r.recoveredTo(h.Shard, at[i])
	}
	return nil
}
