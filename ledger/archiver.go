package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/archive"
)

// The archiver copies the journal to SQL and then lets Redis forget what is
// old: every entry once, in the order of its id, under the epoch that was read
// before it. Every proxy runs one; a lease lets one of them work, and all look.

const (
	archiveBatch   = 500
	archiverLease  = "archiver"
	minLease       = 10 * time.Second
	trimAtOnce     = 20_000
	wordBatches    = 20
	trimAgain      = 100 * time.Millisecond
	defaultBacklog = 1_000_000
	// staleAfter is how long the archive may be behind before a backlog that is
	// smaller than the bound, but not small, stops admission.
	staleAfter = 10 * time.Minute
	stalePart  = 10
)

// ArchiveState is how far the archive is.
type ArchiveState struct {
	// Backlog is how many entries Redis has that are not archived, Lag how long the oldest of them has waited.
	Backlog int64
	Lag     time.Duration
	// Archived is how many entries this process has archived in this round.
	Archived int64
	// At is when everything there was had last been archived, as far as this process knows.
	At time.Time
	// Forked are the shards whose archiving has stopped, with the reason.
	Forked map[int]string
	// Err is what went wrong in this round.
	Err error
}

// archiveMeta is a shard's meta, as far as the archive is concerned.
type archiveMeta struct {
	at         position
	archive    string // identity
	archived   int64
	fork       string
	recovering string
}

// archiver is what a ledger's archiving process remembers between rounds.
type archiver struct {
	holder string
	trimAt []time.Time // when something can next be trimmed, by shard
	state  ArchiveState
}

// archiveFacts is what admission and readiness must know of the archive.
type archiveFacts struct {
	lagging atomic.Pointer[string] // why admission has stopped
	marks   []atomic.Int64         // watermarks, by shard
	words   []atomic.Bool          // shards in which this process booked an operator's word
}

// RunArchiver archives until ctx ends. It does nothing without an archive.
func (l *Ledger) RunArchiver(ctx context.Context) {
	if !l.vault.here() {
		return
	}
	w := l.newArchiver()
	ticker := time.NewTicker(l.archiveInterval)
	defer ticker.Stop()
	for {
		l.archiveRound(ctx, w)
		select {
		case <-ctx.Done():
			l.endLease(context.WithoutCancel(ctx), w)
			return
		case <-ticker.C:
		}
	}
}

func (l *Ledger) newArchiver() *archiver {
	return &archiver{holder: newID("archiver_", time.Now()), trimAt: make([]time.Time, len(l.tags))}
}

func (l *Ledger) endLease(ctx context.Context, w *archiver) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if a, err := l.vault.archive(ctx); err == nil {
		_ = a.Unlease(ctx, archiverLease, w.holder) // it runs out by itself
	}
}

// archiveRound is one round: look, archive, trim, tell.
func (l *Ledger) archiveRound(ctx context.Context, w *archiver) {
	before := w.state.Err
	w.state.Archived = 0
	w.state.Err = l.archiveAll(ctx, w)
	if ctx.Err() != nil {
		return
	}
	if err := l.measureLag(ctx, w); err != nil {
		w.state.Err = onceEach([]error{w.state.Err, err})
	}
	if w.state.Err == nil && w.state.Backlog == 0 {
		w.state.At = time.Now()
	}
	if w.state.Err != nil && (before == nil || before.Error() != w.state.Err.Error()) {
		l.logger.Error("archiving failed", zap.Error(w.state.Err), zap.Int64("backlog", w.state.Backlog))
	}
	if l.observeArchive != nil {
		l.observeArchive(w.state)
	}
}

// archiveAll archives every shard, if the lease is this process's.
func (l *Ledger) archiveAll(ctx context.Context, w *archiver) error {
	a, err := l.vault.archive(ctx)
	if err != nil {
		return err
	}
	if err := l.vault.recheck(ctx, a); err != nil {
		return err
	}
	mine, err := a.Lease(ctx, archiverLease, w.holder, l.leaseTTL())
	if err != nil || !mine {
		return err
	}
	// The heads first: what Redis then has can only be more, if all is well.
	heads, err := a.Heads(ctx, len(l.tags))
	if err != nil {
		return err
	}
	metas, err := l.archiveMetas(ctx)
	if err != nil {
		return err
	}
	renewed := time.Now()
	var failures []error
	for shard, head := range heads {
		if metas[shard].fork != "" {
			continue
		}
		if time.Since(renewed) > l.leaseTTL()/3 {
			if mine, err = a.Lease(ctx, archiverLease, w.holder, l.leaseTTL()); err != nil || !mine {
				return err
			}
			renewed = time.Now()
		}
		if err := l.archiveShard(ctx, w, a, head, metas[shard]); err != nil {
			failures = append(failures, fmt.Errorf("shard %d: %w", shard, err))
		}
	}
	return errors.Join(failures...)
}

func (l *Ledger) leaseTTL() time.Duration { return max(minLease, 3*l.archiveInterval) }

// archiveMetas reads the metas of all shards.
func (s *shards) archiveMetas(ctx context.Context) ([]archiveMeta, error) {
	answers := make([]*redis.SliceCmd, len(s.tags))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range s.tags {
			answers[shard] = p.HMGet(ctx, s.metaKey(shard), "id", "seq", metaEpoch, metaArchive, metaArchived, metaFork, metaRecovering)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	metas := make([]archiveMeta, len(s.tags))
	for shard, answer := range answers {
		values := answer.Val()
		text := func(i int) string {
			value, _ := values[i].(string)
			return value
		}
		if text(0) != s.identity {
			return nil, fmt.Errorf("%w: shard %d: its meta is gone, or another ledger's", ErrUnavailable, shard)
		}
		metas[shard] = archiveMeta{
			at: positionOf(values[1], values[2]), archive: text(3), archived: positionOf(values[4], nil).seq(),
			fork: text(5), recovering: text(6),
		}
	}
	return metas, nil
}

// archiveShard archives what a shard has beyond the archive's head, and trims.
func (l *Ledger) archiveShard(ctx context.Context, w *archiver, a *archive.Archive, head archive.Head, m archiveMeta) error {
	if m.archive != l.vault.identity {
		return fmt.Errorf("%w: Redis has recorded another archive (%s)", ErrUnavailable, m.archive)
	}
	if m.at.epoch() > head.Epoch {
		// Recovered since the head was read? Then the archive's epoch has risen first.
		again, err := a.Head(ctx, head.Shard)
		if err != nil || again.Epoch >= m.at.epoch() {
			return err
		}
		return l.vault.stopArchiving(ctx, head.Shard, fmt.Errorf("%w: it is of epoch %d, and Redis of %d: the archive has gone back in time",
			archive.ErrGap, again.Epoch, m.at.epoch()))
	}
	if err := l.recoverer.catchUpShard(ctx, head, m); err != nil || m.at.epoch() < head.Epoch || m.at.seq() < int64(head.Seq) {
		return err
	}
	if m.archived > int64(head.Seq) {
		// Another archiver may have come first, while this one stood still.
		again, err := a.Head(ctx, head.Shard)
		if err != nil || m.archived <= int64(again.Seq) {
			return err
		}
		return l.vault.stopArchiving(ctx, head.Shard, fmt.Errorf("%w: it ends at %d-0, and Redis was told that it had up to %d-0: the archive has gone back in time",
			archive.ErrGap, head.Seq, m.archived))
	}
	end := m.at.seq()
	for int64(head.Seq) < end {
		next, err := l.archiveSome(ctx, a, head)
		switch {
		case errors.Is(err, archive.ErrEpoch):
			return nil
		case errors.Is(err, archive.ErrFork), errors.Is(err, archive.ErrGap):
			return l.vault.stopArchiving(ctx, head.Shard, err)
		case err != nil:
			return err
		case next.Seq == head.Seq:
			return nil // lost or recovered since: the next round looks again
		}
		w.state.Archived += int64(next.Seq - head.Seq)
		head = next
		if err := l.trim(ctx, w, head.Shard, int64(head.Seq)); err != nil {
			return err
		}
	}
	if m.archived < int64(head.Seq) || !w.trimAt[head.Shard].IsZero() && !l.now().Before(w.trimAt[head.Shard]) {
		return l.trim(ctx, w, head.Shard, int64(head.Seq))
	}
	return nil
}

// archiveSome archives the next batch of a shard, and offers the last archived
// entry again: if that is another now, the journal has forked. Epoch and entries
// are read at one moment: entries of a server that has missed a recovery are
// not the ledger's.
func (l *Ledger) archiveSome(ctx context.Context, a *archive.Archive, head archive.Head) (archive.Head, error) {
	var epoch, after *redis.SliceCmd
	var page *redis.Cmd
	// No MULTI: a Redis that is full takes none, and is to be emptied by this.
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		epoch = p.HMGet(ctx, l.metaKey(head.Shard), "seq", metaEpoch)
		page = p.Do(ctx, "XRANGE", l.journalKey(head.Shard), entryID(max(1, int64(head.Seq))), "+", "COUNT", archiveBatch)
		after = p.HMGet(ctx, l.metaKey(head.Shard), "seq", metaEpoch)
		return nil
	})
	if err != nil {
		return head, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for _, at := range [][]any{epoch.Val(), after.Val()} { // epochs only rise: it was this one in between
		if positionOf(at[0], at[1]).epoch() != head.Epoch {
			return head, archive.ErrEpoch
		}
	}
	entries, err := rawEntries(head.Shard, page)
	if err != nil || len(entries) == 0 {
		return head, err
	}
	return a.Append(ctx, head, entries)
}

// ArchiveWord archives what this process has booked for an operator (topups,
// grants, refunds, keys, …), at once. A settlement that Redis loses is in its
// proxy's log; an operator's word is nowhere else, so whoever reports it as done
// has this done first. It does nothing for a ledger without an archive; one that
// has an archive of which this process does not know the address cannot have it
// done. ErrUnavailable.
func (l *Ledger) ArchiveWord(ctx context.Context) error {
	var failures []error
	for shard := range l.archive.words {
		switch said := l.archive.words[shard].Swap(false); {
		case !said:
		case l.vault.here():
			failures = append(failures, l.archiveUpTo(ctx, shard, l.at(shard).seq()))
		case l.vault.identity != "":
			return fmt.Errorf("%w: the ledger has an archive, and none is configured here: name it as archive.url in the file of -c", ErrUnavailable)
		}
	}
	return errors.Join(failures...)
}

// archiveUpTo archives a shard up to an entry, as the archiver would a moment later.
func (l *Ledger) archiveUpTo(ctx context.Context, shard int, seq int64) error {
	a, err := l.vault.archive(ctx)
	if err != nil {
		return err
	}
	head, err := a.Head(ctx, shard)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for range wordBatches {
		if int64(head.Seq) >= seq {
			return nil
		}
		next, err := l.archiveSome(ctx, a, head)
		if err != nil {
			return unavailable(fmt.Errorf("shard %d: %w", shard, err))
		}
		if next.Seq == head.Seq {
			break
		}
		head = next
	}
	return fmt.Errorf("%w: shard %d: the archive is behind: it ends at %d-0", ErrUnavailable, shard, head.Seq)
}

// rawEntries reads the answer of XRANGE with the fields in their order, as the client's own way of reading it would not.
func rawEntries(shard int, answer *redis.Cmd) ([]archive.Entry, error) {
	list, err := answer.Slice()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	entries := make([]archive.Entry, len(list))
	for i, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("%w: shard %d: XRANGE answered %.200v", ErrUnavailable, shard, item)
		}
		r := &reply{values: pair}
		id, _, _ := strings.Cut(r.text(0), "-")
		values, _ := pair[1].([]any)
		head := &reply{values: []any{id}}
		fields := &reply{values: values}
		e := archive.Entry{Shard: shard, Seq: uint64(head.integer(0)), Fields: fields.texts(0)}
		m := fieldMap(e.Fields)
		e.Type, e.Account, e.RequestID, e.Key = m["t"], m["a"], m["r"], keyID(m["a"], m["k"])
		booked := &record{fields: m}
		e.Time = millis(booked.integer("m"))
		if err := errors.Join(r.err, head.err, fields.err, booked.err); err != nil {
			return nil, fmt.Errorf("%w: shard %d, entry %s: %w", ErrUnavailable, shard, id, err)
		}
		entries[i] = e
	}
	return entries, nil
}

// trim records the watermark and lets go of what is archived and old.
func (l *Ledger) trim(ctx context.Context, w *archiver, shard int, upTo int64) error {
	args := append(l.args(4), l.vault.identity, upTo, l.archiveKeep.Milliseconds(), trimAtOnce)
	r, err := l.run(ctx, l.scripts.watermark, shard, []string{l.metaKey(shard), l.journalKey(shard)}, args)
	if err != nil {
		return err
	}
	if r.text(0) != "OK" {
		return r.unexpected()
	}
	mark, oldest := r.integer(2), r.integer(3)
	if err := r.problem(); err != nil {
		return err
	}
	raise(&l.archive.marks[shard], mark)
	w.trimAt[shard] = time.Time{}
	if oldest > 0 {
		// Not at the very moment: a stream that is trimmed entry by entry would keep Redis busy.
		w.trimAt[shard] = millis(oldest).Add(l.archiveKeep + max(trimAgain, l.archiveInterval))
	}
	return nil
}

// measureLag measures how far the archive is behind, and tells admission and readiness.
func (l *Ledger) measureLag(ctx context.Context, w *archiver) error {
	metas, err := l.archiveMetas(ctx)
	if err != nil {
		return err
	}
	w.state.Backlog, w.state.Forked = 0, make(map[int]string)
	for shard, m := range metas {
		w.state.Backlog += max(0, m.at.seq()-m.archived)
		raise(&l.archive.marks[shard], m.archived)
		if m.fork != "" {
			w.state.Forked[shard] = m.fork
		}
	}
	if w.state.Lag, err = l.oldestWaiting(ctx, metas); err != nil {
		return err
	}
	l.archive.tell(w.state, l.archiveBacklog)
	l.vault.forked.Store(firstOf(w.state.Forked))
	return nil
}

// oldestWaiting is the age of the oldest entry that is not archived.
func (l *Ledger) oldestWaiting(ctx context.Context, metas []archiveMeta) (time.Duration, error) {
	waiting := make(map[int]*redis.Cmd)
	_, err := l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard, m := range metas {
			if m.at.seq() > m.archived {
				waiting[shard] = p.Do(ctx, "XRANGE", l.journalKey(shard), entryID(m.archived+1), "+", "COUNT", 1)
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	lag := time.Duration(0)
	for shard, answer := range waiting {
		entries, err := rawEntries(shard, answer)
		if err != nil {
			return 0, err
		}
		if len(entries) > 0 {
			lag = max(lag, l.now().Sub(entries[0].Time))
		}
	}
	return lag, nil
}

// tell sets what admission and readiness go by.
func (f *archiveFacts) tell(s ArchiveState, bound int64) {
	f.lagging.Store(nil)
	if s.Backlog > bound || s.Lag > staleAfter && s.Backlog > bound/stalePart {
		text := fmt.Sprintf("archive lags: %d entries wait for it, for %s", s.Backlog, s.Lag.Round(time.Second))
		f.lagging.Store(&text)
	}
}

// firstOf is the text of the lowest shard, nil if there is none.
func firstOf(texts map[int]string) *string {
	if len(texts) == 0 {
		return nil
	}
	text := texts[slices.Min(slices.Collect(maps.Keys(texts)))]
	return &text
}

// admits refuses new calls while what Redis has lost is not replayed yet, and
// while more entries wait for the archive than Redis should have to keep.
func (l *Ledger) admits() error {
	if err := l.losses.reconciled(l.log != nil); err != nil {
		return err
	}
	if why := l.archive.lagging.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrUnavailable, *why)
	}
	return nil
}

// archiveReady reports what a person must see to: nil or ErrUnavailable.
func (l *Ledger) archiveReady() error {
	if why := l.vault.forked.Load(); why != nil {
		return fmt.Errorf("%w: archiving has stopped: %s", ErrUnavailable, *why)
	}
	return l.admits()
}
