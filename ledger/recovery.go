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

// A server that has come up anew may have gone back in time: it answers
// NOSCRIPT, and nobody books on it before one has compared its shards with the
// archive, put back what they lack, and opened the library.
//
// What keeps two from doing so at cross purposes is the epoch: a recovery
// raises it in the archive, which shuts out archivers that read before, and
// writes it to the shard, which shuts out recoveries that began before. The
// lock only spares the others the work. What keeps a server that fell while it
// was being recovered from being opened is that the library is opened on the
// very connection on which the shards were found right.

const (
	recoveryLock = 10 * time.Second
	recoveryPoll = 25 * time.Millisecond
	putBackBatch = 200
	// putBackKeep is how many entries may be put back into Redis and stay there.
	putBackKeep = 10_000
)

// errLate is met by a recovery that another process has overtaken, or taken the scripts from: it begins anew.
var errLate = errors.New("another recovery has begun since")

// errBehind is what the scripts answer for a shard that has gone back in time
// since its last recovery; its text is that of lua/trip.lua.
var errBehind = errors.New("the shard has gone back in time")

// recoverShard recovers the server that a shard is on, unless that has been done meanwhile.
func (l *Ledger) recoverShard(ctx context.Context, shard int) error {
	return l.recoverBehind(ctx, shard, 0)
}

// recoverBehind is recoverShard for a shard that must have come as far as
// least; if it has not, though its server has the scripts, they are taken away.
func (l *Ledger) recoverBehind(ctx context.Context, shard int, least position) error {
	select {
	case l.admitting <- struct{}{}:
		defer func() { <-l.admitting }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	list, err := l.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range list {
		if !slices.Contains(n.shards, shard) {
			continue
		}
		if least != 0 {
			if err := l.fence(ctx, n, shard, least); err != nil {
				return err
			}
		}
		return l.recoverNode(ctx, n)
	}
	return fmt.Errorf("%w: nobody has shard %d", ErrUnavailable, shard)
}

// fence takes the scripts from a server with a shard that has gone back
// although the server did not come up anew: a dataset that was restored in
// place, or a former master that was promoted again.
func (l *Ledger) fence(ctx context.Context, n *node, shard int, least position) error {
	meta, err := n.client.HMGet(ctx, l.metaKey(shard), "seq", metaEpoch).Result()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	there := positionOf(meta[0], meta[1])
	if there >= least || there.epoch() != least.epoch() {
		return nil
	}
	l.logger.Error("a shard has gone back in time while its server kept running: its library is taken away until it is recovered",
		zap.Int("shard", shard), zap.Int64("seq", there.seq()), zap.Int64("was", least.seq()))
	if err := l.scripts.close(ctx, n.client); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// recoverNode recovers a server, or waits until another has done it.
func (l *Ledger) recoverNode(ctx context.Context, n *node) error {
	for {
		open, err := l.scripts.areOpen(ctx, n.client, l.identity)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if open {
			return nil
		}
		begun, err := l.tryRecover(ctx, n)
		if !errors.Is(err, errLate) && (begun || err != nil) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the server is being recovered by another process: %w", ErrUnavailable, ctx.Err())
		case <-time.After(recoveryPoll):
		}
	}
}

// tryRecover recovers a server under its lock; begun is false when another has that.
func (l *Ledger) tryRecover(ctx context.Context, n *node) (begun bool, err error) {
	if err := l.belongs(ctx, n); err != nil {
		return false, err
	}
	lock, token, err := l.lockRecovery(ctx, n)
	if err != nil {
		return false, unavailable(err)
	}
	if token == "" {
		return false, nil
	}
	renewing, stop := context.WithCancel(ctx)
	renewed := make(chan struct{})
	go func() { l.renew(renewing, n.client, lock, token); close(renewed) }()
	defer func() {
		stop()
		<-renewed
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if mine, err := n.client.Get(release, lock).Result(); err == nil && mine == token {
			n.client.Del(release, lock)
		}
	}()
	start := time.Now()
	back, err := l.recoverLocked(ctx, n, lock, token)
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
	if back > 0 || time.Since(start) > time.Second {
		l.logger.Warn("recovered a Redis that had gone back in time, from the archive",
			zap.Int("shards", len(n.shards)), zap.Int64("entries put back", back), zap.Duration("took", time.Since(start)))
	} else {
		l.logger.Info("Redis came up anew, and lacks nothing that is archived", zap.Int("shards", len(n.shards)), zap.Duration("took", time.Since(start)))
	}
	if back > 0 {
		l.tally.putBack.Add(back)
		l.losses.add()
	}
	l.circuits.suspect()
	return true, nil
}

// lockRecovery takes the lock of a server's recovery; token is empty when
// another has it. A lock of the server's earlier life, come back with its data,
// counts for nothing. Whoever takes it lets a new append-only file begin first.
func (l *Ledger) lockRecovery(ctx context.Context, n *node) (lock, token string, err error) {
	lock = l.tags[n.shards[0]] + "recovery"
	info, err := n.client.Info(ctx, "server").Result()
	if err != nil {
		return "", "", err
	}
	_, life, _ := strings.Cut(info, "run_id:")
	life, _, _ = strings.Cut(life, "\r\n")
	holder, err := n.client.Get(ctx, lock).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", "", err
	}
	if holder != "" && strings.HasPrefix(holder, life+" ") {
		return lock, "", nil
	}
	if err := l.newAOF(ctx, n.client); err != nil {
		return "", "", err
	}
	if holder != "" {
		// Should another have done the same meanwhile, its lock goes: then there are two, which the epoch sorts out.
		if err := n.client.Del(ctx, lock).Err(); err != nil {
			return "", "", err
		}
	}
	token = life + " " + newID("recovery_", time.Now())
	got, err := n.client.SetNX(ctx, lock, token, recoveryLock).Result()
	if err != nil || !got {
		return lock, "", err
	}
	return lock, token, nil
}

// renew keeps the lock while the recovery lasts.
func (l *Ledger) renew(ctx context.Context, c *redis.Client, lock, token string) {
	ticker := time.NewTicker(recoveryLock / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if mine, err := c.Get(ctx, lock).Result(); err == nil && mine == token {
				c.PExpire(ctx, lock, recoveryLock)
			}
		}
	}
}

// recoverLocked compares, puts back and lifts. It returns how many entries were put back.
func (l *Ledger) recoverLocked(ctx context.Context, n *node, lock, token string) (back int64, err error) {
	a, err := l.vault.archive(ctx)
	if err != nil {
		return 0, err
	}
	if err := l.beginRecovery(ctx, n, token); err != nil {
		return 0, err
	}
	heads, err := a.RaiseEpochs(ctx, n.shards)
	if err != nil {
		return 0, err
	}
	found, err := l.runRecover(ctx, n, heads, "begin")
	if err != nil {
		return 0, err
	}
	if anyBehind(heads, found) {
		// Scripts of another version of this program may be loaded: nobody books while entries are put back.
		if err := l.scripts.close(ctx, n.client); err != nil {
			return 0, err
		}
		if found, err = l.runRecover(ctx, n, heads, "begin"); err != nil {
			return 0, err
		}
	}
	for i := range heads {
		if err := l.compare(ctx, a, heads[i], found[i]); err != nil {
			return back, l.disagree(ctx, heads[i].Shard, err)
		}
	}
	for i := range heads {
		if heads[i].Seq <= uint64(found[i].seq) {
			continue
		}
		if err := l.putBack(ctx, n, a, heads[i], found[i].seq); err != nil {
			return back, l.disagree(ctx, heads[i].Shard, err)
		}
		back += int64(heads[i].Seq) - found[i].seq
	}
	ends, err := l.runRecover(ctx, n, heads, "end")
	if err != nil {
		return back, err
	}
	return back, l.lift(ctx, n, heads, ends, lock, token)
}

func anyBehind(heads []archive.Head, found []shardFound) bool {
	for i := range heads {
		if heads[i].Seq > uint64(found[i].seq) {
			return true
		}
	}
	return false
}

// belongs checks whose shards these are. To a server that has been emptied, or
// is another ledger's, not even the lock is written.
func (l *Ledger) belongs(ctx context.Context, n *node) error {
	ids := make([]*redis.StringCmd, len(n.shards))
	_, err := n.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, shard := range n.shards {
			ids[i] = p.HGet(ctx, l.metaKey(shard), "id")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for i, id := range ids {
		switch {
		case id.Val() == "":
			return fmt.Errorf("%w: shard %d: the shard is empty: its meta is gone; `tollgate rebuild` restores an emptied ledger", ErrUnavailable, n.shards[i])
		case id.Val() != l.identity:
			return fmt.Errorf("%w: shard %d: the shard belongs to another ledger", ErrUnavailable, n.shards[i])
		}
	}
	return nil
}

// beginRecovery marks the shards, and loads what a recovery needs: scripts that
// write nothing but what the archive has.
func (l *Ledger) beginRecovery(ctx context.Context, n *node, token string) error {
	if err := l.belongs(ctx, n); err != nil {
		return err
	}
	_, err := n.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ScriptLoad(ctx, l.scripts.recover.source)
		p.ScriptLoad(ctx, l.scripts.putback.source)
		for _, shard := range n.shards {
			p.HSet(ctx, l.metaKey(shard), metaRecovering, token)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// shardFound is a shard as a recovery finds it.
type shardFound struct {
	seq, first, archived int64
	shared               int64    // the last entry that shard and archive should both have
	fields               []string // of that, if it is still in Redis
}

func (l *Ledger) runRecover(ctx context.Context, n *node, heads []archive.Head, step string) ([]shardFound, error) {
	replies := make([]*redis.Cmd, len(heads))
	_, err := n.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, h := range heads {
			keys := []string{l.metaKey(h.Shard), l.journalKey(h.Shard)}
			replies[i] = p.EvalSha(ctx, l.scripts.recover.sha, keys, l.identity, h.Epoch, l.vault.identity, h.Seq, step)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	found := make([]shardFound, len(heads))
	for i, answer := range replies {
		values, err := answer.Slice()
		if err != nil {
			return nil, err
		}
		r := &reply{values: values}
		switch r.text(0) {
		case "OK":
		case "LATE":
			return nil, errLate
		default:
			return nil, fmt.Errorf("%w: shard %d: %s", ErrUnavailable, heads[i].Shard, r.text(2))
		}
		found[i] = shardFound{seq: r.integer(1), first: r.integer(2), archived: r.integer(3), shared: r.integer(4), fields: r.texts(5)}
		if r.err != nil {
			return nil, r.err
		}
	}
	return found, nil
}

// errDisagree: Redis and archive are not of one journal. People must look.
var errDisagree = errors.New("the archive and Redis do not keep the same journal")

// compare holds a shard against its archive.
func (l *Ledger) compare(ctx context.Context, a *archive.Archive, head archive.Head, s shardFound) error {
	end := int64(head.Seq)
	switch {
	case s.first > end+1, s.first == 0 && s.seq > end, s.archived > end:
		return fmt.Errorf("%w: the archive ends at %d-0, but Redis begins at %d-0 and has had up to %d-0 archived: the archive has gone back in time",
			errDisagree, end, s.first, s.archived)
	case len(s.fields) == 0: // trimmed, or the journal is new
		return nil
	}
	archived, err := a.At(ctx, head.Shard, uint64(s.shared))
	if err != nil {
		return err
	}
	if archived == nil || !sameFields(archived, s.fields) {
		return fmt.Errorf("%w: entry %d-0 has other content here than there", errDisagree, s.shared)
	}
	return nil
}

// disagree makes a disagreement known to everybody, by the shard's meta.
func (l *Ledger) disagree(ctx context.Context, shard int, err error) error {
	err = fmt.Errorf("shard %d: %w", shard, err)
	if errors.Is(err, errDisagree) {
		return l.stopArchiving(ctx, shard, err)
	}
	return err
}

// putBack books again what a shard lacks.
func (l *Ledger) putBack(ctx context.Context, n *node, a *archive.Archive, head archive.Head, from int64) error {
	batch := make([]*archive.Entry, 0, putBackBatch)
	next := uint64(from)
	flush := func() error {
		defer func() { batch = batch[:0] }()
		if err := l.putBackBatch(ctx, n, head.Epoch, batch); err != nil || head.Seq-uint64(from) < putBackKeep {
			return err
		}
		// A whole history is put back for what it booked, not to be kept in memory: the archive has it.
		return n.client.XTrimMinID(ctx, l.journalKey(head.Shard), entryID(int64(next)-putBackBatch)).Err()
	}
	query := archive.Query{Shard: head.Shard, AfterSeq: uint64(from), UntilSeq: head.Seq}
	err := a.Entries(ctx, query, func(e *archive.Entry) error {
		if next++; e.Seq != next {
			return fmt.Errorf("%w: the archive lacks entry %d-0", errDisagree, next)
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
		return fmt.Errorf("%w: the archive lacks entry %d-0", errDisagree, next+1)
	}
	return flush()
}

func (l *Ledger) putBackBatch(ctx context.Context, n *node, epoch int64, batch []*archive.Entry) error {
	if len(batch) == 0 {
		return nil
	}
	replies := make([]*redis.Cmd, len(batch))
	var problem error
	_, err := n.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, e := range batch {
			keys, args, err := l.putBackArgs(epoch, e)
			if err != nil {
				problem = err
				return err
			}
			replies[i] = p.EvalSha(ctx, l.scripts.putback.sha, keys, args...)
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
		if err := putBackAnswer(&reply{values: values}, batch[i]); err != nil {
			return err
		}
	}
	return nil
}

func putBackAnswer(r *reply, e *archive.Entry) error {
	switch r.text(0) {
	case "OK":
		return nil
	case "LATE":
		return errLate
	case "PAST":
		// The pipeline was sent again after its reply was lost: it is there.
		if head := r.integer(1); r.err == nil && head >= int64(e.Seq) {
			return nil
		}
		return fmt.Errorf("%w: entry %d-0 does not follow %s-0", errDisagree, e.Seq, r.text(1))
	case "DIFFERS":
		return fmt.Errorf("%w: entry %d-0 would leave %s at %s, and says %s", errDisagree, e.Seq, r.text(1), r.text(2), r.text(3))
	}
	return fmt.Errorf("entry %d-0 was not put back: %.200v", e.Seq, r.values)
}

// lift opens the library, if the server is the process that was recovered, and
// nobody has taken over: lock, epochs and journals are looked at on the one
// connection on which the library is then opened, and a server that fell since
// has broken it.
func (l *Ledger) lift(ctx context.Context, n *node, heads []archive.Head, ends []shardFound, lock, token string) error {
	at := make([]position, len(heads))
	library, err := l.scripts.state(ctx, n.client, l.identity)
	if err != nil {
		return err
	}
	err = n.client.Watch(ctx, func(tx *redis.Tx) error {
		mine, err := tx.Get(ctx, lock).Result()
		if errors.Is(err, redis.Nil) || err == nil && mine != token {
			return errLate
		}
		if err != nil {
			return err
		}
		metas := make([]*redis.SliceCmd, len(heads))
		if _, err := tx.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, h := range heads {
				metas[i] = p.HMGet(ctx, l.metaKey(h.Shard), "seq", metaEpoch)
			}
			return nil
		}); err != nil {
			return err
		}
		for i, h := range heads {
			values := metas[i].Val()
			at[i] = positionOf(values[0], values[1])
			if at[i].epoch() != h.Epoch || at[i].seq() < ends[i].seq {
				return errLate
			}
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			l.scripts.open(ctx, p, library, l.identity)
			return nil
		})
		return err
	}, lock)
	if errors.Is(err, redis.TxFailedErr) {
		return errLate
	}
	if err != nil {
		return err
	}
	for i, h := range heads {
		l.recoveredTo(h.Shard, at[i])
	}
	return nil
}

// admit opens the servers to this process at its start: those that are closed
// are recovered, and so is one that is open and yet is behind the archive.
func (l *Ledger) admit(ctx context.Context) error {
	list, err := l.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := l.recoverNode(ctx, n); err != nil {
			return err
		}
	}
	a, err := l.vault.archive(ctx)
	if err != nil {
		// Whoever loaded the scripts has compared this server with the archive since it came up.
		l.logger.Warn("the archive is out of reach: entries stay in Redis, and a Redis that restarts is not opened before it is back", zap.Error(err))
		return nil
	}
	return l.catchUp(ctx, a)
}

// catchUp recovers the shards that are behind the archive.
func (l *Ledger) catchUp(ctx context.Context, a *archive.Archive) error {
	heads, err := a.Heads(ctx, len(l.tags))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	metas, err := l.archiveMetas(ctx)
	if err != nil {
		return err
	}
	for shard, m := range metas {
		if err := l.catchUpShard(ctx, heads[shard], m); err != nil {
			return fmt.Errorf("shard %d: %w", shard, err)
		}
	}
	return nil
}

// catchUpShard recovers a shard if it is behind the archive or its recovery
// was broken off. A server that others have recovered elsewhere since is not
// the ledger any more.
func (l *Ledger) catchUpShard(ctx context.Context, head archive.Head, m archiveMeta) error {
	switch behind := head.Epoch - m.at.epoch(); {
	case behind == 0 && m.at.seq() < int64(head.Seq):
		return l.recoverBehind(ctx, head.Shard, positionAt(head.Epoch, int64(head.Seq)))
	case behind > 0 && m.recovering != "":
		return l.recoverBehind(ctx, head.Shard, m.at+1)
	case behind > 0:
		return fmt.Errorf("%w: this shard was recovered on another server (epoch %d, here %d): if this is the right one, restart it",
			ErrUnavailable, head.Epoch, m.at.epoch())
	}
	return nil
}
