// Package archive keeps the journal in SQL: exactly once by (shard, seq),
// dense, and chained by hashes, so that what was archived cannot change
// unnoticed. It knows entries as lists of fields, as they stand in the stream,
// so that they can be put back as they were; what they mean is the ledger's.
//
// Two stores, one schema: an embedded SQLite file (sqlite:PATH) or PostgreSQL
// (postgres://…).
//
// A shard's epoch makes a recovery and an archiver exclude each other: who
// recovers a shard raises its epoch and reads its head in one transaction; an
// archiver that read its entries before that appends under the old epoch and
// is refused.
package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite" // also the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrArchive is in every failure of the archive's database.
	ErrArchive = errors.New("archive")
	// ErrFork is returned when an entry is offered under an id that holds other
	// content, or an entry's hash does not follow from those before it: two
	// journals claim to be one. Nothing may be booked before a person has looked.
	ErrFork = errors.New("the journal has forked")
	// ErrGap is returned when entries are offered that do not follow the head.
	ErrGap = errors.New("entries are missing between the archive's head and the journal")
	// ErrEpoch is returned when a shard was recovered since its epoch was read.
	ErrEpoch = errors.New("the shard has been recovered meanwhile")
)

// Entry is one journal entry as it stands in the stream. Account, Key,
// RequestID, Type and Time are copies of fields, to search by.
type Entry struct {
	Shard     int
	Seq       uint64
	Time      time.Time
	Type      string
	Account   string
	Key       string
	RequestID string
	// Fields are the stream entry's, names and values in turn.
	Fields []string
}

// Head is where the archive of one shard ends.
type Head struct {
	Shard int
	Seq   uint64 // 0: nothing archived
	Epoch int64
	hash  []byte
}

// Archive is an open archive. Its methods may be called at the same time.
type Archive struct {
	db       *sql.DB
	identity string
	postgres bool
	idle     string // how long PostgreSQL waits for us within a transaction
	path     string // of the SQLite file
	file     os.FileInfo
}

const schema = `
CREATE TABLE IF NOT EXISTS archive (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ledger (one INTEGER PRIMARY KEY CHECK (one = 1), identity TEXT NOT NULL, currency TEXT NOT NULL,
	shards INTEGER NOT NULL, format TEXT NOT NULL, created_ms BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS shards (shard INTEGER PRIMARY KEY, seq BIGINT NOT NULL, epoch BIGINT NOT NULL, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
	shard INTEGER NOT NULL, seq BIGINT NOT NULL, time_ms BIGINT NOT NULL,
	type TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL, request_id TEXT NOT NULL,
	fields TEXT NOT NULL, hash BLOB NOT NULL,
	PRIMARY KEY (shard, seq)
);
CREATE INDEX IF NOT EXISTS entries_by_account ON entries (account, seq);
CREATE INDEX IF NOT EXISTS entries_by_request ON entries (request_id);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms BIGINT NOT NULL);
`

// Open opens the archive at an address, making it where there is none: sqlite:PATH
// or postgres://….
func Open(ctx context.Context, address string) (*Archive, error) {
	return open(ctx, address, (*Archive).prepare)
}

func open(ctx context.Context, address string, begin func(*Archive, context.Context) error) (*Archive, error) {
	a, err := dial(address)
	if err != nil {
		return nil, err
	}
	if err := begin(a, ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w %s: %w", ErrArchive, shown(address), err), a.db.Close())
	}
	if a.path != "" {
		if a.file, err = os.Stat(a.path); err != nil {
			return nil, errors.Join(annotate(err), a.db.Close())
		}
	}
	return a, nil
}

func dial(address string) (*Archive, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		// Full sync: an archive that forgets what it acknowledged would let the journal be trimmed too far.
		pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)"}, "_txlock": {"immediate"}}
		db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		return &Archive{db: db, path: path}, nil
	}
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return dialPostgres(address, patience)
	}
	return nil, fmt.Errorf("%w: %q: want sqlite:PATH or postgres://USER@HOST/DATABASE", ErrArchive, shown(address))
}

func dialPostgres(address string, patience time.Duration) (*Archive, error) {
	config, err := pgx.ParseConfig(address)
	switch {
	case err != nil && shown(address) != unshowable:
		return nil, fmt.Errorf("%w %s: %w", ErrArchive, shown(address), err)
	case err != nil || misread(address, config):
		// Which part is the password nobody can tell, so no part of it is repeated, as the driver's errors would.
		return nil, fmt.Errorf("%w %s: in a name or password write @ : / ? # %% as %%40 %%3A %%2F %%3F %%23 %%25", ErrArchive, unshowable)
	}
	config.DialFunc = patiently(config.DialFunc, patience)
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(8)
	return &Archive{db: db, postgres: true, idle: idleLimit}, nil
}

// unshowable stands for an address of which it cannot be told where its password ends.
const unshowable = "(an address that cannot be shown)"

// misread reports whether a part of a password has been taken for a host or a database.
func misread(address string, config *pgx.ConnConfig) bool {
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		hosts = append(hosts, f.Host)
	}
	return shown(address) == unshowable && strings.Contains(config.Database, "@") ||
		slices.ContainsFunc(hosts, func(h string) bool { return strings.LastIndex(h, "@") > 0 }) // a socket's name may begin with it
}

// shown is an address for messages: without its passwords, and with the whole
// path of a file, since a relative one goes by the working directory. An @
// beyond the host says that a password has a / ? or # in it, and goes on there.
func shown(address string) string {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		if whole, err := filepath.Abs(path); err == nil {
			path = whole
		}
		return "sqlite:" + path
	}
	u, err := url.Parse(address)
	if err != nil || strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") {
		return unshowable
	}
	if u.RawQuery != "" && strings.Contains(u.RawQuery, "password") {
		u.RawQuery = "xxxxx"
	}
	return u.Redacted()
}

func (a *Archive) prepare(ctx context.Context) error {
	made := false
	if a.path != "" {
		if err := os.MkdirAll(filepath.Dir(a.path), 0o700); err != nil {
			return err
		}
		_, err := os.Stat(a.path)
		made = errors.Is(err, fs.ErrNotExist)
	}
	statements := schema
	if a.postgres {
		// IF NOT EXISTS alone fails for one of two that make it at once. The statements are one transaction, and the lock ends with it.
		statements = fmt.Sprintf("SELECT pg_advisory_xact_lock(%d);", schemaLock) + strings.ReplaceAll(statements, "BLOB", "BYTEA")
	}
	if err := a.create(ctx, statements); err != nil {
		return err
	}
	if made {
		if err := a.keepPrivate(); err != nil {
			return err
		}
	}
	fresh := rand.Text()
	if _, err := a.db.ExecContext(ctx, `INSERT INTO archive (one, identity) VALUES (1, $1) ON CONFLICT DO NOTHING`, fresh); err != nil {
		return err
	}
	return a.readIdentity(ctx)
}

// create makes the tables. Of several that open a new SQLite file at once, and
// turn it to WAL, one may be told that it is locked, whatever busy_timeout says.
func (a *Archive) create(ctx context.Context, statements string) error {
	for try := 1; ; try++ {
		_, err := a.db.ExecContext(ctx, statements)
		var refused *sqlite.Error
		if !errors.As(err, &refused) || refused.Code()&0xff != sqlite3.SQLITE_BUSY || try == createTries {
			return err
		}
		time.Sleep(createPause)
	}
}

// keepPrivate takes the files of a new archive, which SQLite makes for all to read,
// from everybody else. No file is opened for it: its closing would end SQLite's locks.
// What its owner opens to others later stays open.
func (a *Archive) keepPrivate() error {
	for _, companion := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(a.path+companion, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (a *Archive) readIdentity(ctx context.Context) error {
	return a.db.QueryRowContext(ctx, `SELECT identity FROM archive`).Scan(&a.identity)
}

// Close closes the archive.
func (a *Archive) Close() error { return a.db.Close() }

// Identity names this archive among all others. The ledger records it, so that
// a wrong address is noticed before anything is trimmed.
func (a *Archive) Identity() string { return a.identity }

// Head returns where the archive of a shard ends.
func (a *Archive) Head(ctx context.Context, shard int) (Head, error) {
	head, err := readHead(ctx, a.db, shard)
	return head, annotate(err)
}

// RaiseEpochs shuts out whoever read the epochs of these shards before, and
// returns the heads as they then are, in the order of the shards: all in one
// transaction.
func (a *Archive) RaiseEpochs(ctx context.Context, shards []int) (heads []Head, err error) {
	shards = slices.Sorted(slices.Values(shards)) // locks are taken in one order by all
	err = a.transact(ctx, shards, func(tx *sql.Tx) error {
		heads = heads[:0]
		for _, shard := range shards {
			head, err := readHead(ctx, tx, shard)
			if err != nil {
				return err
			}
			head.Epoch++
			if err := writeHead(ctx, tx, head); err != nil {
				return err
			}
			heads = append(heads, head)
		}
		return nil
	})
	return heads, err
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func readHead(ctx context.Context, q querier, shard int) (Head, error) {
	head := Head{Shard: shard}
	err := q.QueryRowContext(ctx, `SELECT seq, epoch, hash FROM shards WHERE shard = $1`, shard).Scan(&head.Seq, &head.Epoch, &head.hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return head, err
}

func writeHead(ctx context.Context, tx *sql.Tx, head Head) error {
	if head.hash == nil {
		head.hash = []byte{}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO shards (shard, seq, epoch, hash) VALUES ($1, $2, $3, $4)
		ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq, epoch = excluded.epoch, hash = excluded.hash`,
		head.Shard, int64(head.Seq), head.Epoch, head.hash)
	return err
}

// transact runs work alone on shards: SQLite has one writer at a time,
// PostgreSQL takes locks that end with the transaction.
func (a *Archive) transact(ctx context.Context, shards []int, work func(*sql.Tx) error) error {
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return annotate(err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	for _, shard := range shards {
		if !a.postgres {
			break
		}
		if _, err := tx.ExecContext(ctx, takeShard, a.idle, advisoryLock+int64(shard)); err != nil {
			return annotate(err)
		}
	}
	if err := work(tx); err != nil {
		return annotate(err)
	}
	return annotate(tx.Commit())
}

// takeShard locks a shard until the transaction ends. PostgreSQL ends it for one
// who goes no further: of a machine that has lost its power it hears nothing, and
// would keep the shard from archivers and recoveries for hours. And what is committed
// is on disk, also where the database is set not to wait for that: the journal is
// trimmed by it.
const (
	takeShard = `SELECT set_config('idle_in_transaction_session_timeout', $1, true),
		set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), true), pg_advisory_xact_lock($2)`
	idleLimit = "60s"
)

const (
	// createTries and createPause are how often, and after how long, the making of a SQLite file is tried again.
	createTries = 100
	createPause = 20 * time.Millisecond
	// advisoryLock keeps our locks in PostgreSQL apart from those of others; a shard's number is added.
	advisoryLock = int64(0x746f6c6c) << 16
	schemaLock   = advisoryLock - 1
)

func annotate(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrArchive, err)
}

// Append archives entries of one shard, in the order of their seq, read under
// head. Entries that are there already are compared: the same content is
// skipped, other content is ErrFork. ErrGap and ErrEpoch are its other
// refusals; after any error nothing of the call was archived.
func (a *Archive) Append(ctx context.Context, head Head, entries []Entry) (Head, error) {
	now := head
	err := a.transact(ctx, []int{head.Shard}, func(tx *sql.Tx) (err error) {
		if now, err = readHead(ctx, tx, head.Shard); err != nil {
			return err
		}
		if now.Epoch != head.Epoch {
			return ErrEpoch
		}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO entries (shard, seq, time_ms, type, account, key, request_id, fields, hash)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i := range entries {
			if now, err = appendOne(ctx, tx, insert, now, &entries[i]); err != nil {
				return err
			}
		}
		return writeHead(ctx, tx, now)
	})
	if err != nil {
		return head, err
	}
	return now, nil
}

func appendOne(ctx context.Context, tx *sql.Tx, insert *sql.Stmt, head Head, e *Entry) (Head, error) {
	if e.Shard != head.Shard || e.Seq > head.Seq+1 || e.Seq == 0 {
		return head, fmt.Errorf("%w: shard %d ends at %d, offered was %d", ErrGap, head.Shard, head.Seq, e.Seq)
	}
	fields, err := json.Marshal(e.Fields)
	if err != nil {
		return head, err
	}
	if e.Seq <= head.Seq {
		return head, compare(ctx, tx, e, fields)
	}
	head.Seq, head.hash = e.Seq, chain(head.hash, e.Shard, e.Seq, fields)
	_, err = insert.ExecContext(ctx, e.Shard, int64(e.Seq), e.Time.UnixMilli(), e.Type, e.Account, e.Key, e.RequestID, string(fields), head.hash)
	return head, err
}

// compare refuses an entry whose id is taken by another.
func compare(ctx context.Context, tx *sql.Tx, e *Entry, fields []byte) error {
	var archived string
	if err := tx.QueryRowContext(ctx, `SELECT fields FROM entries WHERE shard = $1 AND seq = $2`, e.Shard, int64(e.Seq)).Scan(&archived); errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("shard %d: it lacks entry %d-0, which it must have had: put that back from a backup of it", e.Shard, e.Seq)
	} else if err != nil {
		return err
	}
	if archived != string(fields) {
		return fmt.Errorf("%w: shard %d, entry %d-0 is archived with other content", ErrFork, e.Shard, e.Seq)
	}
	return nil
}

// chain is the hash of an entry: of the one before it, its id and its fields.
func chain(previous []byte, shard int, seq uint64, fields []byte) []byte {
	h := sha256.New()
	h.Write(previous)
	h.Write(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, uint32(shard)), seq))
	h.Write(fields)
	return h.Sum(nil)
}

// Query chooses entries of one shard. Zero values of the rest choose all.
type Query struct {
	Shard int
	// AfterSeq is exclusive, UntilSeq inclusive.
	AfterSeq, UntilSeq uint64
	Account            string
	RequestID          string
	// Types are those to visit.
	Types []string
}

const (
	// pageSize is how many entries are read at once.
	pageSize = 500
	// stretch is how many are looked at for those of an account or of some types.
	// PostgreSQL says nothing until it has a page of them, and may look for it through
	// all that are left: for longer than anybody waits for it (patience).
	stretch = 10_000
)

// Entries visits what the query chooses, in the order of seq, and stops at
// visit's first error. While visit runs no connection is held: it may ask the
// archive itself, and may take its time.
func (a *Archive) Entries(ctx context.Context, q Query, visit func(*Entry) error) error {
	hole := false
	for part := q; ; {
		if part.UntilSeq = q.endOfPart(part.AfterSeq); hole {
			part.UntilSeq = q.UntilSeq // however large it is
		}
		page, err := a.page(ctx, part)
		if err != nil {
			return annotate(err)
		}
		for i := range page {
			if err := visit(&page[i].Entry); err != nil {
				return err
			}
		}
		switch {
		case len(page) == pageSize:
			part.AfterSeq = page[len(page)-1].Seq
		case part.UntilSeq == q.UntilSeq:
			return nil
		default:
			part.AfterSeq = part.UntilSeq
		}
		hole = q.isAll() && len(page) < pageSize
	}
}

// isAll reports whether the query chooses all entries of its range. They are dense.
func (q *Query) isAll() bool { return q.Account == "" && q.RequestID == "" && len(q.Types) == 0 }

// endOfPart is the UntilSeq of a question that begins after a seq. As long as PostgreSQL
// knows nothing of the table, when it has just been filled or restored from a dump, it
// sorts for each page all that the question leaves open.
func (q *Query) endOfPart(after uint64) uint64 {
	part := uint64(stretch)
	switch {
	case q.RequestID != "": // there are few
		return q.UntilSeq
	case q.isAll():
		part = pageSize
	}
	if q.UntilSeq <= after+part {
		return q.UntilSeq
	}
	return after + part
}

// An archivedEntry is one as it stands in the archive: its fields, in JSON, and its hash.
type archivedEntry struct {
	Entry
	fields, hash []byte
}

// page returns the first entries that the query chooses.
func (a *Archive) page(ctx context.Context, q Query) (page []archivedEntry, err error) {
	text, args := q.sql()
	rows, err := a.db.QueryContext(ctx, fmt.Sprintf("%s LIMIT %d", text, pageSize), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// sql is the query's text. The + and the empty text behind || keep a column out
// of the choice of an index: SQLite would rather read a whole shard, which is in
// order, than sort the few entries of a request.
func (q *Query) sql() (text string, args []any) {
	var conditions []string
	where := func(condition string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	switch {
	case q.RequestID != "":
		where("request_id = $%d", q.RequestID)
		where("+shard = $%d", q.Shard)
		if q.Account != "" {
			where("account || '' = $%d", q.Account)
		}
	case q.Account != "":
		where("account = $%d", q.Account)
		where("+shard = $%d", q.Shard)
	default:
		where("shard = $%d", q.Shard)
	}
	if q.AfterSeq > 0 {
		where("seq > $%d", int64(q.AfterSeq))
	}
	if q.UntilSeq > 0 {
		where("seq <= $%d", int64(q.UntilSeq))
	}
	if len(q.Types) > 0 {
		list := make([]string, len(q.Types))
		for i, t := range q.Types {
			args = append(args, t)
			list[i] = fmt.Sprintf("$%d", len(args))
		}
		conditions = append(conditions, "type IN ("+strings.Join(list, ", ")+")")
	}
	return `SELECT shard, seq, time_ms, type, account, key, request_id, fields, hash FROM entries
		WHERE ` + strings.Join(conditions, " AND ") + ` ORDER BY seq`, args
}

func scanEntry(rows *sql.Rows) (e archivedEntry, err error) {
	var timeMS int64
	if err := rows.Scan(&e.Shard, &e.Seq, &timeMS, &e.Type, &e.Account, &e.Key, &e.RequestID, &e.fields, &e.hash); err != nil {
		return e, err
	}
	e.Time = time.UnixMilli(timeMS).UTC()
	if err := json.Unmarshal(e.fields, &e.Fields); err != nil {
		return e, fmt.Errorf("%w: shard %d, entry %d-0 cannot be read", ErrFork, e.Shard, e.Seq)
	}
	return e, nil
}

// Verify walks a shard's chain: ids dense from 1, every hash following from
// the one before, the head where it is said to be. It returns the number of
// entries; damage is ErrFork or ErrGap.
func (a *Archive) Verify(ctx context.Context, shard int) (entries uint64, err error) {
	head, err := a.Head(ctx, shard)
	if err != nil {
		return 0, err
	}
	var hash []byte
	for more := true; more; {
		page, err := a.page(ctx, Query{Shard: shard, AfterSeq: entries, UntilSeq: min(head.Seq, entries+pageSize)})
		if err != nil {
			return entries, annotate(err)
		}
		for i := range page {
			e := &page[i]
			if next := entries + 1; e.Seq != next {
				return entries, annotate(fmt.Errorf("%w: shard %d has %d-0 where %d-0 should be", ErrGap, shard, e.Seq, next))
			}
			entries++
			if hash = chain(hash, shard, e.Seq, e.fields); !bytes.Equal(hash, e.hash) {
				return entries, annotate(fmt.Errorf("%w: shard %d, the hash of entry %d-0 does not follow", ErrFork, shard, e.Seq))
			}
		}
		more = len(page) == pageSize
	}
	if entries != head.Seq || !bytes.Equal(hash, head.hash) {
		return entries, annotate(fmt.Errorf("%w: shard %d ends at %d-0 with hash %s, its head says %d-0", ErrGap, shard, entries, hex.EncodeToString(hash), head.Seq))
	}
	return entries, nil
}

// leaseSlack is how far the clocks of those who take leases may be apart: one
// that lasts longer was taken by a clock that stands ahead, and counts for nothing.
// Whose clocks are farther apart work side by side, which is only more work; were it
// longer, one hour of a wrong time zone and a holder that is killed would keep
// everybody from archiving until new calls are refused for it.
const leaseSlack = 5 * time.Minute

// Lease takes or renews a named lease for holder, by this process's clock;
// false when another has it. A lease only spares work: what protects the
// archive is that Append is conditional.
func (a *Archive) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	now := time.Now()
	result, err := a.db.ExecContext(ctx, `INSERT INTO leases (name, holder, until_ms) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms
		WHERE leases.holder = excluded.holder OR leases.until_ms < $4 OR leases.until_ms > $5`,
		name, holder, now.Add(ttl).UnixMilli(), now.UnixMilli(), now.Add(ttl+leaseSlack).UnixMilli())
	if err != nil {
		return false, annotate(err)
	}
	changed, err := result.RowsAffected()
	return changed > 0, annotate(err)
}

// Unlease gives a lease back.
func (a *Archive) Unlease(ctx context.Context, name, holder string) error {
	_, err := a.db.ExecContext(ctx, `DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
	return annotate(err)
}
