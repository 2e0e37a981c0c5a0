package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/ledger/archive"
)

// The journal is one, wherever its entries are: what Redis has trimmed is read from the
// archive, and the rest from Redis.

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
		r := replyOf(pair)
		id, _, _ := strings.Cut(r.text(0), "-")
		values, _ := pair[1].([]any)
		head := &reply{values: []string{id}}
		fields := replyOf(values)
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

// entryAt returns the entry with a seq, wherever it is.
func (l *Ledger) entryAt(ctx context.Context, shard int, seq int64) (found *Entry, err error) {
	err = l.eachEntry(ctx, shard, seq, seq, archive.Query{}, func(e *Entry) error {
		found = e
		return nil
	})
	if err == nil && found == nil {
		err = errNowhere(shard, seq)
	}
	return found, err
}

func errNowhere(shard int, seq int64) error {
	return fmt.Errorf("%w: journal entry %d-0 of shard %d is neither in Redis nor in the archive", ErrUnavailable, seq, shard)
}

// history is the archive, for those who need entries that Redis has no more.
func (l *Ledger) history(ctx context.Context, shard int, upTo int64) (*archive.Archive, error) {
	if l.vault.here() {
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
		err = errNowhere(shard, seq)
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

// standingCharge is shown entries, and keeps in entry the request's charge that stands:
// one that was taken back does not.
func standingCharge(account, request string, entry **archive.Entry) func(*archive.Entry) error {
	return func(e *archive.Entry) error {
		switch {
		case e.RequestID != request || e.Account != account:
		case e.Type == TypeCharge || e.Type == TypeAbandon:
			*entry = e
		case takesBack(fieldOf(e.Fields, "u"), fieldOf(e.Fields, "x"), fieldOf(e.Fields, "y")):
			*entry = nil
		}
		return nil
	}
}

// archivedCharge returns the charge of a request that stands according to the archive, and
// the digest of its content; nil if the archive has none, or there is no archive.
func (l *Ledger) archivedCharge(ctx context.Context, account, request string) (charge *Entry, digest string, err error) {
	if !l.vault.here() {
		return nil, "", nil
	}
	a, err := l.vault.archive(ctx)
	if err != nil {
		return nil, "", err
	}
	var found *archive.Entry
	query := archive.Query{Shard: l.shardOf(account), Account: account, RequestID: request}
	if err := a.Entries(ctx, query, standingCharge(account, request, &found)); err != nil || found == nil {
		return nil, "", unavailable(err)
	}
	charge, err = fromArchive(found)
	return charge, fieldOf(found.Fields, "d"), err
}

// archivedReceipt is the receipt of a request that Redis has forgotten.
func (l *Ledger) archivedReceipt(ctx context.Context, account, request string) (*Receipt, error) {
	charge, _, err := l.archivedCharge(ctx, account, request)
	if err == nil && charge == nil {
		err = fmt.Errorf("%w: request %s", ErrNotFound, request)
	}
	if err != nil {
		return nil, err
	}
	return &Receipt{Entry: *charge}, nil
}

// bookedLongAgo answers for a settlement of a request whose outcome Redis has
// forgotten: by the archive, if that knows it.
func (l *Ledger) bookedLongAgo(ctx context.Context, b *booking) (*Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, vaultTimeout)
	defer cancel()
	charge, content, err := l.archivedCharge(ctx, b.account, b.id)
	switch {
	case err != nil:
		return nil, err
	case charge == nil:
		return nil, fmt.Errorf("%w: request %s is older than %s: whether it has been booked is no longer known here", ErrConflict, b.id, markerLife)
	case charge.Type != TypeCharge || content != b.digest():
		return nil, fmt.Errorf("%w: request %s has ended otherwise (%s, entry %s)", ErrConflict, b.id, charge.Type, charge.ID)
	}
	return &Receipt{Entry: *charge, Repeated: true}, nil
}

// everCharged tells what charge of an account's request stands, TypeCharge or
// TypeAbandon, in Redis or in the archive; "" for none. Both are read as one,
// since entries go from here to there meanwhile.
func (l *Ledger) everCharged(ctx context.Context, account, request string) (stands string, err error) {
	var found *archive.Entry
	narrow := archive.Query{Account: account, RequestID: request}
	err = l.eachRaw(ctx, l.shardOf(account), 1, 0, narrow, standingCharge(account, request, &found))
	if err != nil || found == nil {
		return "", unavailable(err)
	}
	return found.Type, nil
}

// fromArchive reads an entry as the archive keeps it.
func fromArchive(e *archive.Entry) (*Entry, error) {
	out, err := entryOf(e.Shard, fmt.Sprint(e.Seq), fieldMap(e.Fields))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
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
