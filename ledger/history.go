package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
)

// The journal is one, wherever its entries are: what Redis has let go of is
// read from the archive, and the rest from Redis.

// eachEntry calls each for the entries of a shard from a seq on, up to another
// (0: to the end). An error of each ends it and is returned. narrow may leave
// out archived entries that each would leave out too.
func (l *Ledger) eachEntry(ctx context.Context, shard int, from, to int64, narrow archive.Query, each func(*Entry) error) error {
	return l.eachRaw(ctx, shard, from, to, narrow, func(raw *archive.Entry) error {
		e, err := fromArchive(raw)
		if err != nil {
			return err
		}
		return each(e)
	})
}

func (l *Ledger) eachRaw(ctx context.Context, shard int, from, to int64, narrow archive.Query, each func(*archive.Entry) error) error {
	return l.eachPage(ctx, shard, from, to, each, func(from int64, page []archive.Entry) error {
		// What Redis has let go of, before this walk or in the middle of it, is archived, or missing.
		switch {
		case len(page) == 0:
			return l.eachArchived(ctx, shard, from, to, narrow, each)
		case int64(page[0].Seq) > from:
			return l.eachArchived(ctx, shard, from, int64(page[0].Seq)-1, narrow, each)
		}
		return nil
	})
}

// eachArchived visits the archived entries of a gap that trimming has left; to is 0 when Redis has nothing more.
func (l *Ledger) eachArchived(ctx context.Context, shard int, from, to int64, narrow archive.Query, each func(*archive.Entry) error) error {
	text, err := l.client.HGet(ctx, l.metaKey(shard), metaArchived).Result()
	if errors.Is(err, redis.Nil) {
		return nil // never archived, so never trimmed
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	archived, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: shard %d: its meta is damaged: archived %q", ErrUnavailable, shard, text)
	}
	if to == 0 || to > archived {
		to = archived
	}
	if from > to {
		return nil
	}
	a, err := l.history(ctx, shard, to)
	if err != nil {
		return err
	}
	narrow.Shard, narrow.AfterSeq, narrow.UntilSeq = shard, uint64(from-1), uint64(to)
	return a.Entries(ctx, narrow, each)
}

// eachHot visits entries that Redis still has.
func (s *shards) eachHot(ctx context.Context, shard int, from, to int64, each func(*archive.Entry) error) error {
	return s.eachPage(ctx, shard, from, to, each, func(int64, []archive.Entry) error { return nil })
}

// eachPage visits what Redis has, page by page. Before each, it shows the page and the seq at which it was to begin.
func (s *shards) eachPage(ctx context.Context, shard int, from, to int64, each func(*archive.Entry) error, before func(from int64, page []archive.Entry) error) error {
	for {
		page, err := s.hotPage(ctx, shard, from, to)
		if err == nil {
			err = before(from, page)
		}
		if err != nil {
			return err
		}
		for i := range page {
			if err := each(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < journalPage {
			return nil
		}
		from = int64(page[len(page)-1].Seq) + 1
	}
}

func (s *shards) hotPage(ctx context.Context, shard int, from, to int64) ([]archive.Entry, error) {
	end := "+"
	if to > 0 {
		end = entryID(to)
	}
	return rawEntries(shard, s.client.Do(ctx, "XRANGE", s.journalKey(shard), entryID(from), end, "COUNT", journalPage))
}

// archivedFrom is entryFrom where Redis's first entry is later than that with
// the seq: the archived one; first if nothing was ever trimmed.
func (l *Ledger) archivedFrom(ctx context.Context, shard int, seq int64, first *archive.Entry) (*archive.Entry, error) {
	found := first
	err := l.eachArchived(ctx, shard, seq, seq, archive.Query{}, func(e *archive.Entry) error {
		found = e
		return nil
	})
	return found, err
}

// entryFrom returns the entry in Redis with a seq, or the first after it if
// there is none; nil if there is none either.
func (s *shards) entryFrom(ctx context.Context, shard int, seq int64) (*archive.Entry, error) {
	answer := s.client.Do(ctx, "XRANGE", s.journalKey(shard), entryID(seq), "+", "COUNT", 1)
	found, err := rawEntries(shard, answer)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}
