package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tollgate/tollgate/ledger/archive"
)

// archivePrefix holds a shard's archive against its journal: the archive is
// whole, its hashes follow from each other, and what both have is the same. It
// is skipped where no archive is configured.
func (a *auditor) archivePrefix(ctx context.Context, l *Ledger) error {
	if !l.vault.here() {
		return nil
	}
	store, err := l.vault.archive(ctx)
	if err != nil {
		return err
	}
	// What Redis was told is read before the archive, and how far Redis is after it: both move on.
	before, err := l.archiveMeta(ctx, a.shard)
	if err != nil {
		return err
	}
	archived, err := store.Verify(ctx, a.shard)
	if errors.Is(err, archive.ErrFork) || errors.Is(err, archive.ErrGap) {
		a.differ("", lawArchivePrefix, "archive", "whole", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	after, err := l.archiveMeta(ctx, a.shard)
	if err != nil {
		return err
	}
	if end := after.at.seq(); int64(archived) > end {
		a.differ("", lawArchivePrefix, "archive", fmt.Sprintf("ends at %d, as Redis does", end), fmt.Sprintf("ends at %d", archived))
	}
	if told := before.archived; told > int64(archived) {
		a.differ("", lawArchivePrefix, "archive", fmt.Sprintf("has all up to %d, as Redis was told", told), fmt.Sprintf("ends at %d", archived))
	}
	return a.sameEntries(ctx, l, store, int64(archived))
}

// sameEntries compares the entries that are both here and there.
func (a *auditor) sameEntries(ctx context.Context, l *Ledger, store *archive.Archive, upTo int64) error {
	if upTo == 0 {
		return nil
	}
	batch := make([]archive.Entry, 0, journalPage)
	compare := func() error {
		defer func() { batch = batch[:0] }()
		return a.sameBatch(ctx, store, batch)
	}
	err := l.eachHot(ctx, a.shard, 1, upTo, func(e *archive.Entry) error {
		if batch = append(batch, *e); len(batch) < journalPage {
			return nil
		}
		return compare()
	})
	if err != nil {
		return err
	}
	return compare()
}

func (a *auditor) sameBatch(ctx context.Context, store *archive.Archive, batch []archive.Entry) error {
	if len(batch) == 0 {
		return nil
	}
	hot := make(map[uint64][]string, len(batch))
	for i := range batch {
		hot[batch[i].Seq] = batch[i].Fields
	}
	query := archive.Query{Shard: a.shard, AfterSeq: batch[0].Seq - 1, UntilSeq: batch[len(batch)-1].Seq}
	err := store.Entries(ctx, query, func(e *archive.Entry) error {
		if fields, there := hot[e.Seq]; there && !slices.Equal(e.Fields, fields) {
			a.differ(e.Account, lawArchivePrefix, fmt.Sprintf("entry %d-0", e.Seq), fmt.Sprint(fields), fmt.Sprint(e.Fields))
		}
		return nil
	})
	return unavailable(err)
}
