package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What is in the settlement log. One record of the wal is a version byte and
// then one record of ours, or several: notes ride along with the next write.
// Numbers are varints; texts are their length and their bytes.
const recordVersion = 2

// kinds of records
const (
	recordOpen     = 'o' // a call is about to ask for its hold
	recordProgress = 'p' // what it has delivered so far, in lines
	recordSettle   = 's' // it is to be charged
	recordRelease  = 'r' // its hold is to be given back
	recordAbandon  = 'a' // of a proxy that died: charge the checkpoint
	recordPark     = 'k' // it has brought a task, whose hold stands
	noteBooked     = 'b' // Redis has booked it: seq, and who paid
	noteDone       = 'd' // nothing is left to do
	noteDoubt      = 'q' // it cannot be booked; it is in doubts.jsonl
)

// A logRecord is one of them. Kinds that do not use a field leave it empty.
type logRecord struct {
	kind byte
	atMS int64
	seq  int64  // of the journal entry
	told string // who paid: see as_told in lua/charge.lua; of a park: the task's id, a tab, what is remembered of it
	booking
}

var errForeignRecord = errors.New("it was written by another version of Tollgate")

// texts are the record's texts, in the order in which they are written.
func (r *logRecord) texts() [8]*string {
	return [...]*string{&r.id, &r.account, &r.suffix, &r.model, &r.static, &r.lines, &r.told, &r.made}
}

func (r *logRecord) appendTo(p []byte) []byte {
	p = append(p, r.kind)
	for _, n := range [...]int64{r.atMS, r.seq, r.tokens} {
		p = binary.AppendVarint(p, n)
	}
	for _, text := range r.texts() {
		p = binary.AppendUvarint(p, uint64(len(*text)))
		p = append(p, *text...)
	}
	return p
}

// eachRecord visits the records of one record of the wal.
func eachRecord(p []byte, visit func(*logRecord)) error {
	if len(p) < 1 || p[0] != recordVersion {
		return errForeignRecord
	}
	for p = p[1:]; len(p) > 0; {
		r, rest, err := readRecord(p)
		if err != nil {
			return err
		}
		visit(r)
		p = rest
	}
	return nil
}

func readRecord(p []byte) (r *logRecord, rest []byte, err error) {
	r = &logRecord{kind: p[0]}
	p = p[1:]
	for _, n := range [...]*int64{&r.atMS, &r.seq, &r.tokens} {
		value, size := binary.Varint(p)
		if size <= 0 {
			return nil, nil, errForeignRecord
		}
		*n, p = value, p[size:]
	}
	for _, text := range r.texts() {
		length, size := binary.Uvarint(p)
		if size <= 0 || length > uint64(len(p)-size) {
			return nil, nil, errForeignRecord
		}
		*text, p = string(p[size:size+int(length)]), p[size+int(length):]
	}
	if r.idMS, err = idMillis(r.id); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errForeignRecord, err)
	}
	return r, p, nil
}

// ends reports whether the record says how a call ended.
func (r *logRecord) ends() bool {
	return r.kind == recordSettle || r.kind == recordRelease || r.kind == recordAbandon || r.kind == recordPark
}

// isParked reports whether a call has brought a task. How that ends may be the log's business, too.
func (r *logRecord) isParked() bool { return r != nil && r.kind == recordPark }
