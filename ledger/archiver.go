package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/archive"
)

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

// An archiver copies the journal to SQL and then lets Redis forget what is old:
// every entry once, in the order of its id, under the epoch that was read before
// it. Every proxy runs one; a lease lets one of them work, and all look. It stops
// at a shard whose entries are not those of the archive, and has one recovered
// that is behind it.
//
// It needs the shards, the vault, the recoverer, and Ledger.run for the one script of its
// own. The rest of the process asks it what is archived, and whether it keeps up.
type archiver struct {
	*shards
	vault     *vault
	recoverer *recoverer
	run       func(ctx context.Context, s *script, shard int, keys []string, args []any) (*reply, error)

	interval, keep time.Duration
	bound          int64 // on the entries that wait
	observe        func(ArchiveState)

	// Of the loop alone.
	holder string      // of the lease
	trimAt []time.Time // when something can next be trimmed, by shard
	state  ArchiveState

	lagging atomic.Pointer[string] // why admission has stopped
	marks   []atomic.Int64         // the seq up to which the archive has a shard, as far as is known here
	words   []word                 // by shard
}

// A word is an operator's: what this process has booked for operators in one shard and not archived yet.
type word struct {
	said atomic.Int64  // the shard's position when the first of it was booked; 0: there is none
	turn chan struct{} // held by whoever archives it; others wait
}

// say notes that something has been booked, or may have been.
func (w *word) say(at position) { w.said.CompareAndSwap(0, max(1, int64(at))) }

func newArchiver(l *Ledger, o *Options) *archiver {
	words := make([]word, len(l.tags))
	for shard := range words {
		words[shard].turn = make(chan struct{}, 1)
	}
	return &archiver{
		shards: l.shards, vault: l.vault, recoverer: l.recoverer, run: l.run,
		interval: o.ArchiveInterval, keep: o.ArchiveKeep, bound: o.ArchiveBacklog, observe: o.ObserveArchive,
		holder: newID("archiver_", time.Now()), trimAt: make([]time.Time, len(l.tags)),
		marks: make([]atomic.Int64, len(l.tags)), words: words,
	}
}

// RunArchiver archives until ctx ends. It does nothing without an archive.
func (l *Ledger) RunArchiver(ctx context.Context) {
	if l.vault.here() {
		l.archiver.loop(ctx)
	}
}

func (w *archiver) loop(ctx context.Context) {
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		w.round(ctx)
		select {
		case <-ctx.Done():
			w.endLease(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

func (w *archiver) endLease(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if a, err := w.vault.archive(ctx); err == nil {
		_ = a.Unlease(ctx, archiverLease, w.holder) // it runs out by itself
	}
}

// round is one round: look, archive, trim, tell.
func (w *archiver) round(ctx context.Context) {
	before := w.state.Err
	w.state.Archived = 0
	w.state.Err = w.archiveAll(ctx)
	if ctx.Err() != nil {
		return
	}
	if err := w.measureLag(ctx); err != nil {
		w.state.Err = onceEach([]error{w.state.Err, err})
	}
	if w.state.Err == nil && w.state.Backlog == 0 {
		w.state.At = time.Now()
	}
	if w.state.Err != nil && (before == nil || before.Error() != w.state.Err.Error()) {
		w.logger.Error("archiving failed", zap.Error(w.state.Err), zap.Int64("backlog", w.state.Backlog))
	}
	if w.observe != nil {
		w.observe(w.state)
	}
}

// archiveAll archives every shard, if the lease is this process's.
func (w *archiver) archiveAll(ctx context.Context) error {
	a, err := w.vault.current(ctx)
	if err != nil {
		return err
	}
	mine, err := a.Lease(ctx, archiverLease, w.holder, w.leaseTTL())
	if err != nil || !mine {
		return err
	}
	// The heads first: what Redis then has can only be more, if all is well.
	heads, err := a.Heads(ctx, len(w.tags))
	if err != nil {
		return err
	}
	metas := w.eachArchiveMeta(ctx)
	renewed, failures := time.Now(), whyUnknown(metas)
	for shard, head := range heads {
		if metas[shard].err != nil || metas[shard].fork != "" {
			continue
		}
		if time.Since(renewed) > w.leaseTTL()/3 {
			if mine, err = a.Lease(ctx, archiverLease, w.holder, w.leaseTTL()); err != nil || !mine {
				return errors.Join(append(reasons(failures), err)...)
			}
			renewed = time.Now()
		}
		failures[shard] = w.archiveShard(ctx, a, head, metas[shard])
	}
	return errors.Join(reasons(failures)...)
}

func (w *archiver) leaseTTL() time.Duration { return max(minLease, 3*w.interval) }

// archiveShard archives what a shard has beyond the archive's head, and trims.
func (w *archiver) archiveShard(ctx context.Context, a *archive.Archive, head archive.Head, m archiveMeta) error {
	if m.archive != w.vault.identity {
		return fmt.Errorf("%w: Redis has recorded another archive (%s)", ErrUnavailable, m.archive)
	}
	if m.at.epoch() > head.Epoch {
		// Recovered since the head was read? Then the archive's epoch has risen first.
		again, err := a.Head(ctx, head.Shard)
		if err != nil || again.Epoch >= m.at.epoch() {
			return err
		}
		return w.vault.stopArchiving(ctx, head.Shard, fmt.Errorf("%w: it is of epoch %d, and Redis of %d: the archive has gone back in time",
			archive.ErrGap, again.Epoch, m.at.epoch()))
	}
	if err := w.recoverer.catchUpShard(ctx, head, m); err != nil || m.at.epoch() < head.Epoch || m.at.seq() < int64(head.Seq) {
		return err
	}
	if m.archived > int64(head.Seq) {
		// Another archiver may have come first, while this one stood still.
		again, err := a.Head(ctx, head.Shard)
		if err != nil || m.archived <= int64(again.Seq) {
			return err
		}
		return w.vault.stopArchiving(ctx, head.Shard, fmt.Errorf("%w: it ends at %d-0, and Redis was told that it had up to %d-0: the archive has gone back in time",
			archive.ErrGap, head.Seq, m.archived))
	}
	end := m.at.seq()
	for int64(head.Seq) < end {
		next, err := w.archiveSome(ctx, a, head)
		switch {
		case errors.Is(err, archive.ErrEpoch):
			return nil
		case errors.Is(err, archive.ErrFork), errors.Is(err, archive.ErrGap):
			return w.vault.stopArchiving(ctx, head.Shard, err)
		case err != nil:
			return err
		case next.Seq == head.Seq:
			return nil // lost or recovered since: the next round looks again
		}
		w.state.Archived += int64(next.Seq - head.Seq)
		head = next
		if err := w.trim(ctx, head.Shard, int64(head.Seq)); err != nil {
			return err
		}
	}
	if m.archived < int64(head.Seq) || !w.trimAt[head.Shard].IsZero() && !w.now().Before(w.trimAt[head.Shard]) {
		return w.trim(ctx, head.Shard, int64(head.Seq))
	}
	return nil
}

// archiveSome archives the next batch of a shard, and offers the last archived
// entry again: if that is another now, the journal has forked. Epoch and entries
// are read at one moment: entries of a server that has missed a recovery are
// not the ledger's.
func (w *archiver) archiveSome(ctx context.Context, a *archive.Archive, head archive.Head) (archive.Head, error) {
	var epoch, after *redis.SliceCmd
	var page *redis.Cmd
	// No MULTI: a Redis that is full takes none, and is to be emptied by this.
	_, err := w.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		epoch = p.HMGet(ctx, w.metaKey(head.Shard), metaSeq, metaEpoch)
		page = p.Do(ctx, "XRANGE", w.journalKey(head.Shard), entryID(max(1, int64(head.Seq))), "+", "COUNT", archiveBatch)
		after = p.HMGet(ctx, w.metaKey(head.Shard), metaSeq, metaEpoch)
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
	return a.Append(ctx, head, wholeSteps(entries))
}

// wholeSteps leaves out a last entry that takes a charge back, to be booked at another price: the charge that takes its place is
// the next one, of the same step. A Redis that has lost both, and gets back this one alone, has a call that nobody pays.
func wholeSteps(batch []archive.Entry) []archive.Entry {
	if last := len(batch) - 1; fieldOf(batch[last].Fields, "y") != "" {
		return batch[:last]
	}
	return batch
}

// ArchiveWord archives at once what this process has booked for an operator (topups,
// grants, refunds, keys, …). A settlement that Redis loses is in its proxy's log; an
// operator's instruction is nowhere else, so it is archived before it is reported as done.
// Without an archive this does nothing. ErrUnavailable, also if the ledger has an archive
// that this process has no address of.
func (l *Ledger) ArchiveWord(ctx context.Context) error {
	var failures []error
	for shard := range l.archiver.words {
		if err := l.archiver.archiveWord(ctx, shard); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// archiveWord archives what was booked for operators in a shard. Callers that come together
// each wait until their own is archived, whoever does it; the next one tries again what
// failed. After a recovery the seq does not say whether an entry survived, since another
// one may have its id: that is reported as an error, once.
func (w *archiver) archiveWord(ctx context.Context, shard int) (err error) {
	word := &w.words[shard]
	select {
	case word.turn <- struct{}{}:
		defer func() { <-word.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: shard %d: %w", ErrUnavailable, shard, ctx.Err())
	}
	said := word.said.Swap(0)
	if said == 0 {
		return nil
	}
	at := w.at(shard)
	var epoch int64
	switch {
	case w.vault.here():
		epoch, err = w.archiveUpTo(ctx, shard, at.seq())
	case w.vault.identity != "":
		err = fmt.Errorf("%w: the ledger has an archive, and none is configured here: name it as archive.url in the file of -c", ErrUnavailable)
	}
	if err != nil {
		word.said.Store(said)
		return err
	}
	if max(at.epoch(), epoch) > position(said).epoch() {
		return fmt.Errorf("%w: shard %d: Redis was recovered since it was booked, and may have lost it: look whether it is there", ErrUnavailable, shard)
	}
	return nil
}

// archiveUpTo archives a shard up to a seq, as the archiver would a moment later, and returns
// the epoch under which the archive has it. If that is later than the caller's, the entry
// with this seq may be another one.
func (w *archiver) archiveUpTo(ctx context.Context, shard int, seq int64) (epoch int64, err error) {
	a, err := w.vault.current(ctx)
	if err != nil {
		return 0, err
	}
	head, err := a.Head(ctx, shard)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for range wordBatches {
		if int64(head.Seq) >= seq {
			return head.Epoch, nil
		}
		next, err := w.archiveSome(ctx, a, head)
		if err != nil {
			return 0, unavailable(fmt.Errorf("shard %d: %w", shard, err))
		}
		if next.Seq == head.Seq {
			break
		}
		head = next
	}
	return 0, fmt.Errorf("%w: shard %d: the archive is behind: it ends at %d-0", ErrUnavailable, shard, head.Seq)
}

// trim records the watermark and lets go of what is archived and old.
func (w *archiver) trim(ctx context.Context, shard int, upTo int64) error {
	args := append(w.args(4), w.vault.identity, upTo, w.keep.Milliseconds(), trimAtOnce)
	r, err := w.run(ctx, w.scripts.watermark, shard, []string{w.metaKey(shard), w.journalKey(shard)}, args)
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
	raise(&w.marks[shard], mark)
	w.trimAt[shard] = time.Time{}
	if oldest > 0 {
		// Not at the very moment: a stream that is trimmed entry by entry would keep Redis busy.
		w.trimAt[shard] = millis(oldest).Add(w.keep + max(trimAgain, w.interval))
	}
	return nil
}

// measureLag measures how far the archive is behind, in the shards that can be asked, and tells admission and readiness.
func (w *archiver) measureLag(ctx context.Context) error {
	metas := w.eachArchiveMeta(ctx)
	failures := failed(metas)
	if !slices.ContainsFunc(metas, func(m archiveMeta) bool { return m.err == nil }) {
		return errors.Join(failures...)
	}
	w.state.Backlog, w.state.Forked = 0, make(map[int]string)
	for shard, m := range metas {
		if m.err != nil {
			continue
		}
		w.state.Backlog += max(0, m.at.seq()-m.archived)
		raise(&w.marks[shard], m.archived)
		if m.fork != "" {
			w.state.Forked[shard] = m.fork
		}
	}
	lag, err := w.oldestWaiting(ctx, metas)
	if err != nil { // what cannot be read has not come any later
		lag = max(lag, w.state.Lag)
	}
	w.state.Lag = lag
	w.tell()
	return errors.Join(append(failures, err)...)
}

// oldestWaiting is the age of the oldest entry that is not archived, among those that can be read.
func (w *archiver) oldestWaiting(ctx context.Context, metas []archiveMeta) (lag time.Duration, err error) {
	waiting := make([]*redis.Cmd, len(metas))
	sendAll(ctx, w.client, func(p redis.Pipeliner) error {
		for shard, m := range metas {
			if m.err == nil && m.at.seq() > m.archived {
				waiting[shard] = p.Do(ctx, "XRANGE", w.journalKey(shard), entryID(m.archived+1), "+", "COUNT", 1)
			}
		}
		return nil
	})
	var failures []error
	for shard, answer := range waiting {
		if answer == nil {
			continue
		}
		entries, err := rawEntries(shard, answer)
		if err != nil {
			failures = append(failures, err)
		}
		if len(entries) > 0 {
			lag = max(lag, w.now().Sub(entries[0].Time))
		}
	}
	return lag, onceEach(failures)
}

// tell sets what admission goes by.
func (w *archiver) tell() {
	var lagging *string
	if s := &w.state; s.Backlog > w.bound || s.Lag > staleAfter && s.Backlog > w.bound/stalePart {
		text := fmt.Sprintf("archive lags: %d entries wait for it, for %s", s.Backlog, s.Lag.Round(time.Second))
		lagging = &text
	}
	w.lagging.Store(lagging)
}

// keepsUp refuses new calls while more entries wait for the archive than Redis
// should have to keep: nil or ErrUnavailable.
func (w *archiver) keepsUp() error {
	if why := w.lagging.Load(); why != nil {
		return fmt.Errorf("%w: %s", ErrUnavailable, *why)
	}
	return nil
}

// watermark is the journal sequence up to which the archive has a shard.
func (w *archiver) watermark(shard int) int64 { return w.marks[shard].Load() }
