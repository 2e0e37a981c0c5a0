package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
)

// vaultTimeout bounds the way to an archive that does not answer.
const vaultTimeout = 5 * time.Second

// Fields of a shard's meta that the archive keeps there.
const (
	metaArchive    = "archive"    // the archive's identity: recorded when it is first used, checked ever after
	metaArchived   = "archived"   // all entries up to this seq are archived
	metaEpoch      = "epoch"      // how often the shard has been recovered
	metaRecovering = "recovering" // who is at it
	metaFork       = "fork"       // why archiving has stopped
)

const defaultArchiveInterval = time.Second

func (o *Options) checkArchive() error {
	switch {
	case o.Archive != "" && o.URL == Embedded:
		return fmt.Errorf("%w: an embedded ledger ends with its process: it has no use for an archive", ErrInvalid)
	case o.ArchiveInterval < 0 || o.ArchiveKeep < 0 || o.ArchiveBacklog < 0:
		return fmt.Errorf("%w: archive: interval, keep and backlog are not to be negative", ErrInvalid)
	}
	return nil
}

// A vault is the way to the ledger's archive. It opens it when it is first
// needed, and again after that has failed, so that a database that is away
// stops nothing but what cannot do without.
type vault struct {
	address  string
	identity string // what Redis has recorded; the archive must have it
	ledger   string // whose archive it must be

	mu   sync.Mutex
	open *archive.Archive
}

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

func (v *vault) check(ctx context.Context, a *archive.Archive) error {
	if a.Identity() != v.identity {
		return fmt.Errorf("this is not the ledger's archive: it is %s, the ledger has recorded %s", a.Identity(), v.identity)
	}
	owner, err := a.Ledger(ctx)
	if err == nil && owner.Identity != v.ledger {
		err = fmt.Errorf("%w: it keeps ledger %q, not %q", archive.ErrOther, owner.Identity, v.ledger)
	}
	return err
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
	if err := v.check(ctx, a); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

func (v *vault) close() error {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		return nil
	}
	return v.open.Close()
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

// openVault prepares the way to the archive. recorded is the archive's
// identity in Redis, if there is one yet.
func (l *Ledger) openVault(ctx context.Context, o *Options, recorded string) error {
	l.archiveRecorded = recorded
	if o.Archive == "" || recorded == "" && o.ArchiveReadOnly {
		return nil
	}
	v := &vault{address: o.Archive, identity: recorded, ledger: l.identity}
	if recorded == "" {
		if err := l.claimArchive(ctx, v); err != nil {
			return errors.Join(err, v.close())
		}
	}
	l.vault = v
	return nil
}

// openServers lets this process use the servers: with an archive by comparing
// them with that, without one by what the process itself has seen.
func (l *Ledger) openServers(ctx context.Context) error {
	if l.vault != nil {
		l.archived = l.everCharged
		l.watermark = func(shard int) int64 { return l.archive.marks[shard].Load() }
		return l.admit(ctx)
	}
	if l.archiveRecorded != "" {
		open, err := l.areOpen(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if open {
			return nil
		}
	}
	return unavailable(l.readmit(ctx, 0))
}

func unavailable(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// everCharged tells whether a charge of a request stands, in the archive or in
// what waits for it.
func (l *Ledger) everCharged(ctx context.Context, request string) (bool, error) {
	_, _, stands, err := l.archivedCharge(ctx, "", request)
	if err != nil || stands {
		return stands, err
	}
	metas, err := l.archiveMetas(ctx)
	if err != nil {
		return false, err
	}
	for shard, m := range metas {
		err := l.eachHot(ctx, shard, m.archived+1, 0, func(e *archive.Entry) error {
			if e.RequestID != request {
				return nil
			}
			stands = e.Type == TypeCharge || e.Type == TypeAbandon || stands && !takenBack(e.Fields)
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return stands, nil
}

// claimArchive makes the archive this ledger's and records it in every shard.
func (l *Ledger) claimArchive(ctx context.Context, v *vault) error {
	limited, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	a, err := archive.Open(limited, v.address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	v.open, v.identity = a, a.Identity()
	err = a.Claim(limited, archive.Ledger{Identity: l.identity, Currency: l.currency, Shards: len(l.tags), Format: format, Created: time.Now()})
	if errors.Is(err, archive.ErrOther) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	recorded := make([]*redis.StringCmd, len(l.tags))
	_, err = l.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for shard := range l.tags {
			p.HSetNX(ctx, l.metaKey(shard), metaArchive, v.identity)
			recorded[shard] = p.HGet(ctx, l.metaKey(shard), metaArchive)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for shard, there := range recorded {
		if there.Val() != v.identity {
			return fmt.Errorf("%w: shard %d is archived elsewhere (%s)", ErrInvalid, shard, there.Val())
		}
	}
	l.archiveRecorded = v.identity
	return nil
}

// history is the archive, for those who need entries that Redis has no more.
func (l *Ledger) history(ctx context.Context, shard int, upTo int64) (*archive.Archive, error) {
	if l.vault != nil {
		return l.vault.archive(ctx)
	}
	return nil, fmt.Errorf("%w: entries up to %d-0 of shard %d are in the archive alone, and none is configured: name it as archive.url in the file of -c", ErrUnavailable, upTo, shard)
}

// entryOrArchived is reply.entry for an entry that may have been trimmed.
func (l *Ledger) entryOrArchived(ctx context.Context, r *reply, shard, i int) (*Entry, error) {
	if len(r.values) > i+1 {
		return r.entry(shard, i)
	}
	seq := r.integer(i)
	if err := r.problem(); err != nil {
		return nil, err
	}
	e, err := l.archivedAt(ctx, shard, seq)
	if err == nil && e == nil {
		err = fmt.Errorf("%w: journal entry %d-0 of shard %d is neither in Redis nor in the archive", ErrUnavailable, seq, shard)
	}
	return e, err
}

// archivedAt returns an entry from the archive; nil when it is not there.
func (l *Ledger) archivedAt(ctx context.Context, shard int, seq int64) (*Entry, error) {
	a, err := l.history(ctx, shard, seq)
	if err != nil {
		return nil, err
	}
	found, err := a.At(ctx, shard, uint64(seq))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if found == nil {
		return nil, nil
	}
	return fromArchive(found)
}

// archivedCharge returns the last charge that the archive has for a request,
// with the digest of its content, and whether it stands: a charge that was
// taken back again does not. All is zero when the archive, or there being
// none, knows of none.
func (l *Ledger) archivedCharge(ctx context.Context, account, request string) (last *Entry, digest string, stands bool, err error) {
	if l.vault == nil {
		return nil, "", false, nil
	}
	a, err := l.vault.archive(ctx)
	if err != nil {
		return nil, "", false, err
	}
	err = a.Entries(ctx, archive.Query{Shard: l.shardOf(account), Account: account, RequestID: request}, func(e *archive.Entry) error {
		switch e.Type {
		case TypeCharge, TypeAbandon:
			digest, stands = fieldOf(e.Fields, "d"), true
			last, err = fromArchive(e)
			return err
		case TypeRefund:
			stands = stands && !takenBack(e.Fields)
		}
		return nil
	})
	if err != nil {
		return nil, "", false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return last, digest, stands, nil
}

// archivedReceipt is the receipt of a request that Redis has forgotten.
func (l *Ledger) archivedReceipt(ctx context.Context, account, request string) (*Receipt, error) {
	last, _, stands, err := l.archivedCharge(ctx, account, request)
	if err != nil {
		return nil, err
	}
	if last == nil || !stands {
		return nil, fmt.Errorf("%w: request %s", ErrNotFound, request)
	}
	return &Receipt{Entry: *last}, nil
}

// bookedLongAgo answers for a settlement of a request whose outcome Redis has
// forgotten: by the archive, if that knows it.
func (l *Ledger) bookedLongAgo(ctx context.Context, b *booking) (*Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	last, content, stands, err := l.archivedCharge(ctx, b.account, b.id)
	if err != nil {
		return nil, err
	}
	switch {
	case stands && last.Type == TypeCharge && content == b.digest():
		return &Receipt{Entry: *last, Repeated: true}, nil
	case stands:
		return nil, fmt.Errorf("%w: request %s has ended otherwise (%s, entry %s)", ErrConflict, b.id, last.Type, last.ID)
	}
	return nil, fmt.Errorf("%w: request %s is older than %s: whether it has been booked is no longer known here", ErrConflict, b.id, markerLife)
}

// fromArchive reads an archived entry.
func fromArchive(e *archive.Entry) (*Entry, error) {
	out, err := entryOf(e.Shard, fmt.Sprint(e.Seq), fieldMap(e.Fields))
	if err != nil {
		return nil, fmt.Errorf("%w: archive: %w", ErrUnavailable, err)
	}
	return out, nil
}

// fieldMap is a list of names and values as a map.
func fieldMap(list []string) map[string]string {
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

func fieldOf(list []string, name string) string {
	for i := 0; i+1 < len(list); i += 2 {
		if list[i] == name {
			return list[i+1]
		}
	}
	return ""
}
