// Package wal is an append-only log of records in bounded segment files: what
// was written is there after a crash of the process, what was synced is there
// after a loss of power. It knows bytes only.
//
// A record is its length, its CRC-32C and its bytes. A record that was cut by
// a crash is recognised and dropped with all that follows in the last segment;
// the same damage in an older segment is an error, because nothing but a fault
// of the disk explains it.
//
// There is no buffer in user space: when Append returns, the kernel has the
// record. Sync makes it durable; callers that sync at the same time share one
// fsync.
package wal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Options say where the log is and how large it may grow. Zero sizes take the defaults.
type Options struct {
	Dir string
	// SegmentSize is the size, in bytes, past which a new segment is begun. Default 16 MiB.
	SegmentSize int64
	// MaxSize bounds the log, in bytes, for Room. Default 1 GiB.
	MaxSize int64
}

var (
	// ErrLocked is returned by Open when another process has the log.
	ErrLocked = errors.New("the log is in use by another process")
	// ErrCorrupt is returned for damage that a crash does not explain.
	ErrCorrupt = errors.New("the log is damaged")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the log is closed")
)

const (
	magic       = "TGLOG001"
	headerSize  = 8 // length and CRC of a record, 4 bytes each, little endian
	maxRecord   = 16 << 20
	behind      = 1 << 20 // bytes that the disk may be behind before it is told to write
	segmentMode = 0o600
	suffix      = ".log"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Log is open for appending. Its methods may be called at the same time.
type Log struct {
	options Options
	lock    *os.File

	mu       sync.Mutex
	current  *os.File
	segments []segment    // oldest first; the last is current
	used     int64        // bytes in all segments
	room     int64        // bytes set aside by Room
	frame    []byte       // reused by Append
	broken   error        // a failed write: nothing can be promised after it
	refused  error        // the last write had no room, and none has succeeded since
	untold   int64        // bytes written since the disk was last told to write them
	telling  bool         // it is being told
	tell     func(fd int) // startWriting

	syncMu sync.Mutex
	synced Position
}

type segment struct {
	number uint64
	size   int64
}

// Position is the end of a record.
type Position struct {
	Segment uint64
	Offset  int64
}

func (p Position) before(q Position) bool {
	return p.Segment < q.Segment || p.Segment == q.Segment && p.Offset < q.Offset
}

// Open opens the log in o.Dir, making it if there is none, and drops a torn
// tail. ErrLocked and ErrCorrupt are among its errors.
func Open(o Options) (*Log, error) {
	o.SegmentSize, o.MaxSize = cmp.Or(o.SegmentSize, 16<<20), cmp.Or(o.MaxSize, 1<<30)
	if err := makeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("settlement log: %w", err)
	}
	l := &Log{options: o, tell: startWriting}
	if err := l.open(); err != nil {
		l.closeFiles()
		return nil, fmt.Errorf("settlement log %s: %w", o.Dir, err)
	}
	return l, nil
}

func (l *Log) open() (err error) {
	l.lock, err = os.OpenFile(filepath.Join(l.options.Dir, "lock"), os.O_CREATE|os.O_RDWR, segmentMode)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(l.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return ErrLocked
	}
	numbers, err := l.list()
	if err != nil {
		return err
	}
	for i, number := range numbers {
		size, err := l.check(number, i == len(numbers)-1)
		if err != nil {
			return err
		}
		l.segments = append(l.segments, segment{number, size})
		l.used += size
	}
	if len(l.segments) == 0 {
		return l.begin(1)
	}
	last := l.segments[len(l.segments)-1]
	l.current, err = os.OpenFile(l.path(last.number), os.O_WRONLY|os.O_APPEND, segmentMode)
	return err
}

func (l *Log) list() (numbers []uint64, err error) {
	entries, err := os.ReadDir(l.options.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, isSegment := strings.CutSuffix(e.Name(), suffix)
		if !isSegment {
			continue
		}
		number, err := strconv.ParseUint(name, 10, 64)
		if err != nil || filepath.Base(l.path(number)) != e.Name() {
			return nil, fmt.Errorf("%w: %s is not a segment", ErrCorrupt, e.Name())
		}
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	return numbers, nil
}

func (l *Log) path(number uint64) string {
	return filepath.Join(l.options.Dir, fmt.Sprintf("%012d%s", number, suffix))
}

// check reads a segment to the end of its last whole record. In the last
// segment what follows is a torn tail and cut off.
func (l *Log) check(number uint64, last bool) (size int64, err error) {
	size, err = scan(l.path(number))
	if err == nil || !errors.Is(err, ErrCorrupt) || !last {
		return size, err
	}
	if size == 0 { // not even the magic was written: begin it anew, unless it is no segment at all
		if info, statErr := os.Stat(l.path(number)); statErr != nil || info.Size() >= int64(len(magic)) {
			return 0, errors.Join(err, statErr)
		}
		if err := os.WriteFile(l.path(number), []byte(magic), segmentMode); err != nil {
			return 0, err
		}
		return int64(len(magic)), nil
	}
	return size, os.Truncate(l.path(number), size)
}

// scan returns the end of a segment's last whole record.
func scan(path string) (end int64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return 0, fmt.Errorf("%w: %s does not begin as a segment", ErrCorrupt, filepath.Base(path))
	}
	for end = int64(len(magic)); end < int64(len(data)); {
		record, ok := parse(data[end:])
		if !ok {
			return end, fmt.Errorf("%w: %s at byte %d", ErrCorrupt, filepath.Base(path), end)
		}
		end += int64(headerSize + len(record))
	}
	return end, nil
}

// parse takes the first record of data, if it is whole.
func parse(data []byte) (record []byte, ok bool) {
	if len(data) < headerSize {
		return nil, false
	}
	length := binary.LittleEndian.Uint32(data)
	if length == 0 || length > maxRecord || int(length) > len(data)-headerSize {
		return nil, false
	}
	record = data[headerSize : headerSize+int(length)]
	return record, crc32.Checksum(record, castagnoli) == binary.LittleEndian.Uint32(data[4:])
}

// begin makes a new segment the current one.
func (l *Log) begin(number uint64) error {
	file, err := os.OpenFile(l.path(number), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, segmentMode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(magic)
	if err == nil {
		err = syncDir(l.options.Dir)
	}
	if err != nil {
		// Not to be left: records go on into the segment before, whose torn tail is no damage only while it is the last.
		return errors.Join(err, file.Close(), os.Remove(file.Name()))
	}
	l.current = file
	l.segments = append(l.segments, segment{number, int64(len(magic))})
	l.used += int64(len(magic))
	return nil
}

// makeDir makes a directory and those above it that are missing, durably.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if err := makeDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) { // another may make it, too
		return err
	}
	return syncDir(above)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Keep appends to a file of its own beside the segments, durably.
func (l *Log) Keep(name string, data []byte) error {
	file, err := os.OpenFile(filepath.Join(l.options.Dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, segmentMode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return syncDir(l.options.Dir)
}

// Append writes one record of 1 to 16 Mi bytes. When it returns, the record
// survives a crash of the process; Sync makes it survive a loss of power.
func (l *Log) Append(record []byte) (Position, error) {
	if len(record) == 0 || len(record) > maxRecord {
		return Position{}, fmt.Errorf("settlement log: a record of %d bytes", len(record))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return Position{}, l.broken
	}
	l.frame = binary.LittleEndian.AppendUint32(l.frame[:0], uint32(len(record)))
	l.frame = binary.LittleEndian.AppendUint32(l.frame, crc32.Checksum(record, castagnoli))
	l.frame = append(l.frame, record...)
	if l.refused = l.write(l.frame); l.refused != nil {
		return Position{}, l.refused
	}
	last := &l.segments[len(l.segments)-1]
	last.size += int64(len(l.frame))
	l.used += int64(len(l.frame))
	l.untold += int64(len(l.frame))
	if l.untold >= behind && !l.telling {
		l.writeBehind()
	}
	return Position{last.number, last.size}, nil
}

// writeBehind lets the disk begin with what was written, for which nobody waits: else the fsync that ends a
// segment, for which all wait who append, would have all of it to write. It promises nothing. mu is held.
func (l *Log) writeBehind() {
	l.untold = 0
	fd, err := duplicate(l.current)
	if err != nil {
		return // the kernel writes it when it likes
	}
	l.telling = true
	go func() {
		l.tell(fd)
		_ = syscall.Close(fd) // of what was written, fsync tells
		l.mu.Lock()
		l.telling = false
		l.mu.Unlock()
	}()
}

// duplicate is a descriptor of the file that stays when that is closed.
func duplicate(file *os.File) (int, error) {
	fd, err := syscall.Dup(int(file.Fd()))
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	return fd, err
}

// write writes all of data behind the last record, or nothing.
func (l *Log) write(data []byte) error {
	if l.segments[len(l.segments)-1].size >= l.options.SegmentSize {
		if err := l.advance(); err != nil {
			return fmt.Errorf("settlement log: %w", err)
		}
	}
	n, err := l.current.Write(data)
	if err == nil {
		return nil
	}
	// A part of it may stand there. Take it away, or stop for good: what came
	// behind it would be dropped as a torn tail.
	if n > 0 {
		l.takeBack(err)
	}
	return fmt.Errorf("settlement log: %w", err)
}

// takeBack cuts off what stands behind the last record.
func (l *Log) takeBack(why error) {
	if err := l.current.Truncate(l.segments[len(l.segments)-1].size); err != nil {
		l.broken = fmt.Errorf("settlement log: a record was written in part, so the proxy must be restarted: %w", cmp.Or(why, err))
	}
}

// advance begins a new segment. The full one is synced first, so that only the
// current one ever needs it.
func (l *Log) advance() error {
	if err := l.current.Sync(); err != nil {
		l.broken = fmt.Errorf("settlement log: fsync failed, so the proxy must be restarted: %w", err)
		return l.broken
	}
	full := l.current // and stays current if there is no room for another: that may pass
	if err := l.begin(l.segments[len(l.segments)-1].number + 1); err != nil {
		return err
	}
	return full.Close()
}

// Sync returns when the record that ends at p is durable.
func (l *Log) Sync(p Position) error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	if !l.synced.before(p) {
		return nil // another's fsync covered it while we waited
	}
	l.mu.Lock()
	if l.broken != nil {
		l.mu.Unlock()
		return l.broken
	}
	if err := l.inPlace(); err != nil {
		l.mu.Unlock()
		return err
	}
	last := l.segments[len(l.segments)-1]
	file := l.current
	// Appending goes on during the fsync; rotation must not close the file under it.
	fd, err := duplicate(file)
	l.mu.Unlock()
	if err != nil {
		return fmt.Errorf("settlement log: %w", err)
	}
	err = syncAndClose(fd)
	if err != nil {
		// The kernel may have dropped the pages: nothing unsynced can be promised any more.
		l.mu.Lock()
		l.broken = fmt.Errorf("settlement log: fsync failed, so the proxy must be restarted: %w", err)
		l.mu.Unlock()
		return l.broken
	}
	l.synced = Position{last.number, last.size}
	return nil
}

// inPlace looks whether the current segment is still where the next start looks
// for it. If not, nothing can be promised any more. mu is held.
func (l *Log) inPlace() error {
	path := l.path(l.segments[len(l.segments)-1].number)
	there, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("settlement log: %w", err)
	}
	if err == nil {
		own, err := l.current.Stat()
		if err != nil || os.SameFile(own, there) {
			return err
		}
	}
	l.broken = fmt.Errorf("settlement log: %s was removed, moved or exchanged while it was in use: the proxy must be restarted", path)
	return l.broken
}

// Check notices that the log was taken away under the process that writes it,
// and returns what keeps the log from taking records.
func (l *Log) Check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	return l.inPlace()
}

// Room sets n bytes aside for a record to come; false when the log is full.
// Whoever has room can append it later whatever else is written.
func (l *Log) Room(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil || l.used+l.room+n > l.options.MaxSize {
		return false
	}
	l.room += n
	return true
}

// Return gives room back.
func (l *Log) Return(n int64) {
	l.mu.Lock()
	l.room -= n
	l.mu.Unlock()
}

// Used is the size of the log in bytes, and its bound.
func (l *Log) Used() (used, bound int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used, l.options.MaxSize
}

// Segments are the numbers of all segments, oldest first; the last is current.
func (l *Log) Segments() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	numbers := make([]uint64, len(l.segments))
	for i := range l.segments {
		numbers[i] = l.segments[i].number
	}
	return numbers
}

// ReplaySegment visits the records that are in one segment when it is called,
// and none where it has been purged. The bytes are the visitor's only until it returns.
func (l *Log) ReplaySegment(number uint64, visit func(record []byte) error) error {
	size := l.sizeOf(number)
	if size == 0 {
		return nil
	}
	data, err := os.ReadFile(l.path(number))
	if errors.Is(err, os.ErrNotExist) {
		return nil // purged meanwhile
	}
	if err != nil {
		return fmt.Errorf("settlement log: %w", err)
	}
	if int64(len(data)) < size {
		return fmt.Errorf("settlement log: %w: segment %d is shorter than it was", ErrCorrupt, number)
	}
	for at := int64(len(magic)); at < size; {
		record, ok := parse(data[at:size])
		if !ok {
			return fmt.Errorf("settlement log: %w: segment %d at byte %d", ErrCorrupt, number, at)
		}
		if err := visit(record); err != nil {
			return err
		}
		at += int64(headerSize + len(record))
	}
	return nil
}

// sizeOf is the size of a segment; 0 where there is none.
func (l *Log) sizeOf(number uint64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.number == number {
			return s.size
		}
	}
	return 0
}

// Err is what keeps the log from taking records: a failed write or fsync, or
// ErrClosed; nil when all is well.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// probeSize is what a disk must have room for again: the records of some calls.
const probeSize = 64 << 10

// Ready is Err. If the last record was refused for want of room it also tries whether
// there is room again: who gets no calls meanwhile appends nothing that would show it.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil && l.refused != nil {
		// Zeros are no record: a crash in between leaves a torn tail.
		if l.refused = l.write(make([]byte, probeSize)); l.refused == nil {
			l.takeBack(nil)
		}
	}
	return cmp.Or(l.broken, l.refused)
}

// Purge removes the oldest segments for as long as done agrees; the current
// one stays. Where the log was taken away it removes nothing: what bears the
// names of its segments may be another's.
func (l *Log) Purge(done func(segment uint64) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	if err := l.inPlace(); err != nil {
		return err
	}
	for len(l.segments) > 1 && done(l.segments[0].number) {
		err := os.Remove(l.path(l.segments[0].number))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // somebody may have been here first
			return fmt.Errorf("settlement log: %w", err)
		}
		l.used -= l.segments[0].size
		l.segments = l.segments[1:]
	}
	return nil
}

// Rotate begins a new segment if the current one has records, so that Purge
// can come to those.
func (l *Log) Rotate() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.segments[len(l.segments)-1]
	if l.broken != nil || last.size == int64(len(magic)) {
		return l.broken
	}
	if err := l.advance(); err != nil {
		return fmt.Errorf("settlement log: %w", err)
	}
	return nil
}

// Close syncs and closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.broken, ErrClosed) {
		return nil
	}
	err := l.broken
	if err == nil {
		err = l.current.Sync()
	}
	l.broken = ErrClosed
	l.closeFiles()
	return err
}

func (l *Log) closeFiles() {
	if l.current != nil {
		_ = l.current.Close()
	}
	if l.lock != nil {
		_ = l.lock.Close() // and with it the lock
	}
}
