package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// An Object is what a call has made upstream, such as a stored response. It is its
// account's alone: who else names it finds nothing. It is remembered as long as the
// outcome of the call that made it, 72 h.
type Object struct {
	// ID is the upstream's; see ValidObjectID. "" is no object.
	ID string
	// Memory is what the caller wants to know of it again. Not empty, no line ends,
	// and no more than MaxObjectMemory of it.
	Memory string
}

// MaxObjectMemory bounds what a caller may want to know of an object again, in bytes.
const MaxObjectMemory = 512

// maxObjectID is more than any upstream's id has, in bytes.
const maxObjectID = 128

// ValidObjectID reports whether an upstream's id, of an object or a task, is one that can be remembered. It
// stands in a path: what parts one, though some unescape it twice, is in none.
func ValidObjectID(id string) bool {
	return id != "" && len(id) <= maxObjectID && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"\/{}%?#;`, r)
	})
}

// text is the object as lua/settle.lua takes it. No charge fails for what cannot be remembered: it is not.
func (o *Object) text() string {
	if !ValidObjectID(o.ID) || o.Memory == "" || len(o.Memory) > MaxObjectMemory || strings.ContainsAny(o.Memory, "\r\n") {
		return ""
	}
	return o.ID + " " + o.Memory
}

// A FoundObject is an object of an account.
type FoundObject struct {
	Memory string
	// Standing is what is left to who asks.
	Standing Standing
}

// FindObject returns what is remembered of an object of the credential's account, in
// one round trip. Errors as of FindTask.
func (l *Ledger) FindObject(ctx context.Context, c Credential, client netip.Addr, id string) (*FoundObject, error) {
	shard := l.shardOf(c.Account)
	at := l.now().UnixMilli() + markerBucketMS // the clock that made the request's id may have stood ahead
	buckets := make([]string, 3+markerLife.Milliseconds()/markerBucketMS)
	for i := range buckets {
		buckets[i] = l.markerKey(shard, at-int64(i)*markerBucketMS)
	}
	memory, standing, err := l.find(ctx, c, client, id, c.Account+" "+id, buckets...)
	if err != nil {
		return nil, err
	}
	return &FoundObject{Memory: memory, Standing: standing}, nil
}

// find asks for what is remembered of an object or a task in that field of the first of some hashes that has it.
func (l *Ledger) find(ctx context.Context, c Credential, client netip.Addr, id, field string, hashes ...string) (memory string, left Standing, err error) {
	if !c.valid() {
		return "", left, &Refusal{Reason: KeyInvalid, Limit: "key"}
	}
	shard := l.shardOf(c.Account)
	if l.circuits.away(shard) {
		return "", left, errAway
	}
	r, err := l.run(ctx, l.scripts.object, shard, append(l.keysOf(shard, c.Account, 0), hashes...),
		append(l.args(7), c.Account, "", c.suffix(), c.Hash, addressText(client), l.zoneOffset(), field))
	if err != nil {
		return "", left, err
	}
	if r.text(0) == "NO" {
		return "", left, &Refusal{Reason: Reason(r.text(2)), Limit: r.text(3)}
	}
	left, memory = r.standing(2), r.text(3)
	left.OfNoModel = true
	if err := r.problem(); err != nil {
		return "", left, err
	}
	if memory == "" {
		return "", left, l.notFound(c.Account, id)
	}
	return memory, left, nil
}

// notFound is the answer for what Redis does not have: it may be in a log yet.
func (l *Ledger) notFound(account, id string) error {
	if err := l.losses.reconciled(l.log != nil); err != nil {
		return err
	}
	if last := l.circuits.last.Load(); last != 0 && time.Since(time.Unix(0, last)) < reconcileTime {
		return fmt.Errorf("%w: Redis was away a moment ago, and %s may be in a settlement log", ErrUnavailable, id)
	}
	if l.log != nil && l.log.has(account, id) {
		return fmt.Errorf("%w: %s is in the settlement log, and yet to be brought", ErrUnavailable, id)
	}
	return fmt.Errorf("%w: %s", ErrNotFound, id)
}
