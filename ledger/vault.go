package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger/archive"
)

// vaultTimeout bounds the way to an archive that does not answer.
const vaultTimeout = 5 * time.Second

// A vault is the way to the ledger's archive. It opens it when it is first
// needed, and again after that has failed, so that a database that is away
// stops nothing but what cannot do without. It promises that what it opens is the
// archive that the shards have recorded, and keeps what archiver and recoverer
// find out: that the two are not of one journal.
type vault struct {
	shards   *shards // whose archive it must be
	address  string  // "" when none is configured in this process
	identity string  // what the shards have recorded, "" for none yet; the archive must have it

	mu   sync.Mutex
	open *archive.Archive
}

// here reports whether this process knows where the archive is. A ledger may
// have one, known by its identity alone, that is configured elsewhere.
func (v *vault) here() bool { return v.address != "" }

// archive returns the open archive: ErrUnavailable when it is out of reach,
// gone, or another.
func (v *vault) archive(ctx context.Context) (*archive.Archive, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open != nil {
		return v.open, nil
	}
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	a, err := archive.OpenExisting(ctx, v.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := v.check(ctx, a); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), a.Close())
	}
	v.open = a
	return a, nil
}

// check tells whether an archive is the ledger's or, where none is recorded, could become it.
func (v *vault) check(ctx context.Context, a *archive.Archive) error {
	if v.identity != "" && a.Identity() != v.identity {
		return fmt.Errorf("this is not the ledger's archive: it is %s, the ledger has recorded %s", a.Identity(), v.identity)
	}
	owner, err := a.Ledger(ctx)
	free := v.identity == "" && owner.Identity == ""
	if err == nil && !free && owner.Identity != v.shards.identity {
		err = fmt.Errorf("%w: it keeps ledger %q, not %q", archive.ErrOther, owner.Identity, v.shards.identity)
	}
	return err
}

// current is archive for those who write to it, or decide by it: it looks whether the one that is open is still in its place.
func (v *vault) current(ctx context.Context) (*archive.Archive, error) {
	a, err := v.archive(ctx)
	if err != nil {
		return nil, err
	}
	if err = v.recheck(ctx, a); errors.Is(err, archive.ErrMissing) {
		return v.archive(ctx)
	}
	return a, err
}

// recheck looks whether what is behind the connection is still the archive.
func (v *vault) recheck(ctx context.Context, a *archive.Archive) error {
	if err := a.Refresh(ctx); err != nil {
		if errors.Is(err, archive.ErrMissing) { // what is there now is looked at anew
			v.mu.Lock()
			if v.open == a {
				v.open = nil
				err = errors.Join(err, a.Close())
			}
			v.mu.Unlock()
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return unavailable(v.check(ctx, a))
}

func (v *vault) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		return nil
	}
	return v.open.Close()
}

// stopArchiving stops archiving a shard, for all processes, until a person has
// looked: nothing of it is archived or trimmed any more. Calls go on, and what
// they book stays in Redis. The reason stands in the shard's meta.
func (v *vault) stopArchiving(ctx context.Context, shard int, why error) error {
	text := fmt.Sprintf("shard %d: %v", shard, why)
	v.shards.logger.Error("ARCHIVING HAS STOPPED: Redis and the archive disagree, and a person must look", zap.Int("shard", shard), zap.Error(why))
	if err := v.shards.client.HSet(ctx, v.shards.metaKey(shard), metaFork, text).Err(); err != nil {
		return errors.Join(why, fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	return why
}

// refuseEmptied is asked before a ledger is made in an empty Redis: a ledger
// that the archive knows was emptied, and a new one in its place would lock out
// all of its key holders.
func (o *Options) refuseEmptied(ctx context.Context) error {
	if o.Archive == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	a, err := archive.OpenExisting(ctx, o.Archive)
	if errors.Is(err, archive.ErrMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: there is no ledger in this Redis, and whether the archive knows one cannot be told: %w", ErrUnavailable, err)
	}
	owner, err := a.Ledger(ctx)
	if err = errors.Join(err, a.Close()); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if owner.Identity == "" {
		return nil
	}
	return fmt.Errorf("%w: there is no ledger in this Redis, but the archive has one (%s, %d shards, %s): Redis has been emptied, or is another; "+
		"`tollgate rebuild` restores it", ErrUnavailable, owner.Identity, owner.Shards, owner.Currency)
}

// prepare takes in where the archive is, and makes it the ledger's if the
// shards have recorded none yet.
func (v *vault) prepare(ctx context.Context, o *Options, recorded string) error {
	v.identity = recorded
	if recorded == "" && o.ArchiveReadOnly {
		return nil
	}
	v.address = o.Archive
	if v.here() && recorded == "" {
		return v.claim(ctx)
	}
	return nil
}

// claim makes the archive this ledger's and records it in every shard.
func (v *vault) claim(ctx context.Context) error {
	s := v.shards
	limited, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	a, err := archive.Open(limited, v.address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	v.open, v.identity = a, a.Identity()
	err = a.Claim(limited, archive.Ledger{Identity: s.identity, Currency: s.currency, Shards: len(s.tags), Format: format, Created: time.Now()})
	if errors.Is(err, archive.ErrOther) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	// The first shard last: by its record the next start knows that all have theirs.
	if err := v.record(ctx, 1, len(s.tags)); err != nil {
		return err
	}
	return v.record(ctx, 0, 1)
}

// record writes the archive's identity into the shards from first up to last.
func (v *vault) record(ctx context.Context, first, last int) error {
	s := v.shards
	recorded := make([]*redis.StringCmd, len(s.tags))
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := first; shard < last; shard++ {
			p.HSetNX(ctx, s.metaKey(shard), metaArchive, v.identity)
			recorded[shard] = p.HGet(ctx, s.metaKey(shard), metaArchive)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for shard := first; shard < last; shard++ {
		if there := recorded[shard].Val(); there != v.identity {
			return fmt.Errorf("%w: shard %d is archived elsewhere (%s)", ErrInvalid, shard, there)
		}
	}
	return nil
}

// archiveMeta is a shard's meta, as far as the archive is concerned.
type archiveMeta struct {
	at         position
	archive    string // identity
	archived   int64
	fork       string
	recovering string
	err        error // why it is not known
}

// archiveMetas reads the metas of all shards, for who needs every one.
func (s *shards) archiveMetas(ctx context.Context) ([]archiveMeta, error) {
	metas := s.eachArchiveMeta(ctx)
	return metas, errors.Join(failed(metas)...)
}

// failed are the reasons why metas are not known, each once.
func failed(metas []archiveMeta) []error { return reasons(whyUnknown(metas)) }

// whyUnknown are the reasons by shard; nil for a meta that is known.
func whyUnknown(metas []archiveMeta) []error {
	failures := make([]error, len(metas))
	for shard := range metas {
		failures[shard] = metas[shard].err
	}
	return failures
}

// reasons are why shards failed, each once: all shards of a server say the same of it, and all shards of the archive. A shard
// that has not failed is nil in ofShards.
func reasons(ofShards []error) (failures []error) {
	shards := make(map[string][]int)
	for shard, err := range ofShards {
		if err != nil {
			shards[err.Error()] = append(shards[err.Error()], shard)
		}
	}
	for _, text := range slices.Sorted(maps.Keys(shards)) {
		first, n := shards[text][0], len(shards[text])
		err := ofShards[first]
		switch {
		case n == 1:
			err = fmt.Errorf("shard %d: %w", first, err)
		case n < len(ofShards):
			err = fmt.Errorf("shard %d and %d more: %w", first, n-1, err)
		}
		failures = append(failures, err)
	}
	return failures
}

// eachArchiveMeta reads the metas of all shards. One that cannot be read, of a server that is away or damaged, keeps no other
// from it.
func (s *shards) eachArchiveMeta(ctx context.Context) []archiveMeta {
	answers := make([]*redis.SliceCmd, len(s.tags))
	sendAll(ctx, s.client, func(p redis.Pipeliner) error {
		for shard := range s.tags {
			answers[shard] = s.askArchiveMeta(ctx, p, shard)
		}
		return nil
	})
	metas := make([]archiveMeta, len(s.tags))
	for shard, answer := range answers {
		metas[shard] = s.archiveMetaOf(answer)
	}
	return metas
}

// archiveMeta reads the meta of one shard.
func (s *shards) archiveMeta(ctx context.Context, shard int) (archiveMeta, error) {
	m := s.archiveMetaOf(s.askArchiveMeta(ctx, s.client, shard))
	if m.err != nil {
		m.err = fmt.Errorf("shard %d: %w", shard, m.err)
	}
	return m, m.err
}

func (s *shards) askArchiveMeta(ctx context.Context, client redis.Cmdable, shard int) *redis.SliceCmd {
	return client.HMGet(ctx, s.metaKey(shard), metaIdentity, metaSeq, metaEpoch, metaArchive, metaArchived, metaFork, metaRecovering)
}

func (s *shards) archiveMetaOf(answer *redis.SliceCmd) archiveMeta {
	values, err := answer.Result()
	if err != nil {
		return archiveMeta{err: fmt.Errorf("%w: %w", ErrUnavailable, err)}
	}
	text := func(i int) string {
		value, _ := values[i].(string)
		return value
	}
	if text(0) != s.identity {
		return archiveMeta{err: fmt.Errorf("%w: its meta is gone, or another ledger's", ErrUnavailable)}
	}
	return archiveMeta{
		at: positionOf(values[1], values[2]), archive: text(3), archived: positionOf(values[4], nil).seq(),
		fork: text(5), recovering: text(6),
	}
}
