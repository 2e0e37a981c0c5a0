package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
)

// journalPage is how many entries are read at once.
const journalPage = 500

// clockSlack is how far Redis's clock may have been set back: within as much
// the times in a shard's journal may fall. A hardware clock that keeps local time
// is up to 14 hours off until the network sets it.
const clockSlack = 24 * time.Hour

// errEnough ends a walk through the journal.
var errEnough = errors.New("enough")

// Journal calls each for the entries of an account that the query chooses,
// oldest first; with no account, for those of all accounts, shard by shard. An
// error of each ends it and is returned. ErrNotFound, ErrUnavailable.
func (l *Ledger) Journal(ctx context.Context, account string, q JournalQuery, each func(*Entry) error) error {
	first, last, err := l.shardsOf(ctx, account)
	if err != nil {
		return err
	}
	given := 0
	for shard := first; shard < last; shard++ {
		from, err := l.firstSince(ctx, shard, &q)
		if err != nil {
			return err
		}
		narrow := archive.Query{Account: account, Types: q.Types}
		err = l.eachRaw(ctx, shard, from, 0, narrow, func(e *archive.Entry) error {
			if !q.Until.IsZero() && !e.Time.Before(q.Until.Add(clockSlack)) {
				return errEnough
			}
			if account != "" && e.Account != account || len(q.Types) > 0 && !slices.Contains(q.Types, e.Type) ||
				!q.Since.IsZero() && e.Time.Before(q.Since) || !q.Until.IsZero() && !e.Time.Before(q.Until) {
				return nil
			}
			if q.Limit > 0 && given == q.Limit {
				return errEnough
			}
			given++
			entry, err := fromArchive(e) // not before it is chosen: one of another account that cannot be read is theirs to mend
			if err != nil {
				return err
			}
			return each(entry)
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	return nil
}

// WriteJournal writes those entries as a JSON array, one a line, as they are read: a
// journal may be longer than memory. After an error the array stays unfinished, so that
// nobody takes it for the whole; one before the first entry leaves nothing written.
func (l *Ledger) WriteJournal(ctx context.Context, account string, q JournalQuery, to io.Writer) error {
	out := bufio.NewWriter(to)
	separator := "["
	err := l.Journal(ctx, account, q, func(e *Entry) error {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n%s", separator, line)
		separator = ","
		return err
	})
	if err != nil {
		return err
	}
	if separator == "[" {
		fmt.Fprint(out, "[")
	}
	fmt.Fprint(out, "\n]\n")
	return out.Flush()
}

// shardsOf are the shards, from first up to last, where the entries of an account
// are, or with no account those of all. ErrNotFound, ErrUnavailable.
func (l *Ledger) shardsOf(ctx context.Context, account string) (first, last int, err error) {
	if account == "" {
		return 0, len(l.tags), nil
	}
	_, err = l.stateWithoutKeys(ctx, account)
	first = l.shardOf(account)
	return first, first + 1, err
}

// head is the journal's last seq now.
func (l *Ledger) head(ctx context.Context, shard int) (int64, error) {
	r, err := l.run(ctx, l.scripts.snapshot, shard, []string{l.metaKey(shard), l.journalKey(shard), l.dueKey(shard)}, l.args(0))
	if err != nil {
		return 0, err
	}
	return r.integer(1), r.problem()
}

// firstSince finds, by bisection, a seq before which all entries are older than q.Since.
func (l *Ledger) firstSince(ctx context.Context, shard int, q *JournalQuery) (int64, error) {
	if q.Since.IsZero() {
		return 1, nil
	}
	since := q.Since.Add(-clockSlack)
	low, high := int64(1), l.at(shard).seq()+1
	for low < high {
		middle := low + (high-low)/2
		e, err := l.entryFrom(ctx, shard, middle)
		if err != nil {
			return 0, err
		}
		if e != nil && int64(e.Seq) > middle && !e.Time.Before(since) {
			// It has been trimmed, and may be what is looked for.
			if e, err = l.archivedFrom(ctx, shard, middle, e); err != nil {
				return 0, err
			}
		}
		if e == nil {
			high = middle
			continue
		}
		if e.Time.Before(since) {
			low = int64(e.Seq) + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

func entryID(seq int64) string { return strconv.FormatInt(seq, 10) + "-0" }
