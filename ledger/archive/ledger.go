package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// ErrMissing is returned when there is no archive where one is expected, and
// ErrOther when what is there is another ledger's.
var (
	ErrMissing = errors.New("there is no archive")
	ErrOther   = errors.New("it is another ledger's archive")
)

// Ledger is whose journal the archive keeps: all that it takes, beside the
// entries, to make the ledger anew.
type Ledger struct {
	Identity, Currency string
	Shards             int
	Format             string
	Created            time.Time
}

// OpenExisting opens an archive and makes nothing: ErrMissing where there is none.
func OpenExisting(ctx context.Context, address string) (*Archive, error) {
	return open(ctx, address, (*Archive).find)
}

func (a *Archive) find(ctx context.Context) error {
	if a.path != "" {
		if _, err := os.Stat(a.path); errors.Is(err, fs.ErrNotExist) {
			if !filepath.IsAbs(a.path) {
				return fmt.Errorf("%w (sqlite:%s goes by the working directory)", ErrMissing, a.path)
			}
			return ErrMissing
		}
	}
	// Only what is not there at all may be called missing: a database that cannot be reached is no proof.
	probe := `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'archive'`
	if a.postgres {
		probe = `SELECT count(*) FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) AND tablename = 'archive'`
	}
	var tables int
	if err := a.db.QueryRowContext(ctx, probe).Scan(&tables); err != nil {
		return err
	}
	if tables == 0 {
		return ErrMissing
	}
	if err := a.readIdentity(ctx); errors.Is(err, sql.ErrNoRows) {
		return ErrMissing
	} else if err != nil {
		return err
	}
	return nil
}

// Refresh reads the identity anew: the file or database may have been
// exchanged since it was opened.
func (a *Archive) Refresh(ctx context.Context) error {
	if a.path != "" { // an open file is there as long as it is open, whatever has become of its name
		there, err := os.Stat(a.path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(there, a.file) {
			err = ErrMissing
		}
		if err != nil {
			return annotate(err)
		}
	}
	fresh := Archive{db: a.db}
	if err := fresh.readIdentity(ctx); err != nil {
		return annotate(err)
	}
	if fresh.identity != a.identity {
		return annotate(fmt.Errorf("%w: it was %s, and is %s", ErrOther, a.identity, fresh.identity))
	}
	return nil
}

// Claim makes the archive a ledger's, unless it is another's already: ErrOther.
func (a *Archive) Claim(ctx context.Context, l Ledger) error {
	_, err := a.db.ExecContext(ctx, `INSERT INTO ledger (one, identity, currency, shards, format, created_ms)
		VALUES (1, $1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, l.Identity, l.Currency, l.Shards, l.Format, l.Created.UnixMilli())
	if err != nil {
		return annotate(err)
	}
	there, err := a.Ledger(ctx)
	if err != nil {
		return err
	}
	if there.Identity != l.Identity || there.Shards != l.Shards || there.Currency != l.Currency {
		return annotate(fmt.Errorf("%w: it keeps %s (%d shards, %s), not %s (%d shards, %s)", ErrOther,
			there.Identity, there.Shards, there.Currency, l.Identity, l.Shards, l.Currency))
	}
	return nil
}

// Ledger returns whose journal this is; the zero value when nobody's yet.
func (a *Archive) Ledger(ctx context.Context) (l Ledger, err error) {
	var createdMS int64
	err = a.db.QueryRowContext(ctx, `SELECT identity, currency, shards, format, created_ms FROM ledger`).
		Scan(&l.Identity, &l.Currency, &l.Shards, &l.Format, &createdMS)
	if errors.Is(err, sql.ErrNoRows) {
		return Ledger{}, nil
	}
	l.Created = time.UnixMilli(createdMS).UTC()
	return l, annotate(err)
}

// Heads returns where the archive of each of n shards ends.
func (a *Archive) Heads(ctx context.Context, n int) ([]Head, error) {
	heads := make([]Head, n)
	for i := range heads {
		heads[i].Shard = i
	}
	rows, err := a.db.QueryContext(ctx, `SELECT shard, seq, epoch, hash FROM shards`)
	if err != nil {
		return nil, annotate(err)
	}
	defer rows.Close()
	for rows.Next() {
		var h Head
		if err := rows.Scan(&h.Shard, &h.Seq, &h.Epoch, &h.hash); err != nil {
			return nil, annotate(err)
		}
		if h.Shard >= 0 && h.Shard < n {
			heads[h.Shard] = h
		}
	}
	return heads, annotate(rows.Err())
}

// At returns one entry; nil when it is not archived.
func (a *Archive) At(ctx context.Context, shard int, seq uint64) (found *Entry, err error) {
	if seq == 0 {
		return nil, nil
	}
	err = a.Entries(ctx, Query{Shard: shard, AfterSeq: seq - 1, UntilSeq: seq}, func(e *Entry) error {
		found = e
		return nil
	})
	return found, err
}
