package ledger

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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

// objectsText is what lua/settle.lua takes: a line each. An object that cannot be remembered, or is one too many, is
// left out: no charge fails for it.
func objectsText(objects []Object) string {
	var text strings.Builder
	for i := range objects {
		o := &objects[i]
		if !ValidObjectID(o.ID) || o.Memory == "" || len(o.Memory) > MaxObjectMemory || strings.ContainsAny(o.Memory, "\r\n") {
			continue
		}
		if text.Len()+len(o.ID)+len(o.Memory)+2 > maxObjectsText {
			break
		}
		if text.Len() > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(o.ID)
		text.WriteByte(' ')
		text.WriteString(o.Memory)
	}
	return text.String()
}

// maxObjectsText bounds what is remembered of one call, in bytes: it must fit into the
// settlement log's room for a call's end.
const maxObjectsText = MaxTaskMemory

// A FoundObject is what a call of an account has made upstream.
type FoundObject struct {
	// RequestID and Key are those of the call that brought a task; "" of another object.
	RequestID, Key string
	Memory         string
	// Standing is what is left to who asks.
	Standing Standing
}

// FindObject returns a task, or another object, of the credential's account, in one round trip:
// ErrNotFound for one that it has not, or has no more; a *Refusal for a credential
// that may not come in; ErrUnavailable, also while the object may be in a settlement
// log alone.
func (l *Ledger) FindObject(ctx context.Context, c Credential, client netip.Addr, id string) (*FoundObject, error) {
	shard := l.shardOf(c.Account)
	texts, standing, err := l.find(ctx, c, client, []string{id}, append([]string{l.taskKey(shard, id)}, l.markerKeys(shard)...))
	if err != nil {
		return nil, err
	}
	found := &FoundObject{Memory: texts[0], Standing: standing}
	request, rest, _ := strings.Cut(texts[0], " ")
	if _, err := idMillis(request); err == nil {
		suffix, memory, _ := strings.Cut(rest, " ")
		found.RequestID, found.Key, found.Memory = request, keyID(c.Account, suffix), memory
	}
	return found, nil
}

// FindObjects returns what is remembered of objects that are no tasks, in the order of their ids and in one
// round trip. Errors as of FindObject: if some are not there, memories has those that are, and "" for the rest.
func (l *Ledger) FindObjects(ctx context.Context, c Credential, client netip.Addr, ids []string) (memories []string, err error) {
	memories, _, err = l.find(ctx, c, client, ids, l.markerKeys(l.shardOf(c.Account)))
	return memories, err
}

// markerKeys are the buckets of all hours that are remembered, the latest first.
func (l *Ledger) markerKeys(shard int) []string {
	at := l.now().UnixMilli() + markerBucketMS // the clock that made the request's id may have stood ahead
	keys := make([]string, 3+markerLife.Milliseconds()/markerBucketMS)
	for i := range keys {
		keys[i] = l.markerKey(shard, at-int64(i)*markerBucketMS)
	}
	return keys
}

// find asks for what is remembered of objects: each is looked for in the hashes in turn.
func (l *Ledger) find(ctx context.Context, c Credential, client netip.Addr, ids, hashes []string) (memories []string, left Standing, err error) {
	if !c.valid() {
		return nil, left, &Refusal{Reason: KeyInvalid, Limit: "key"}
	}
	shard := l.shardOf(c.Account)
	if l.circuits.away(shard) {
		return nil, left, errAway
	}
	fields := make([]string, len(ids))
	for i, id := range ids {
		fields[i] = c.Account + " " + id
	}
	r, err := l.run(ctx, l.scripts.object, shard, append(l.keysOf(shard, c.Account, 0), hashes...),
		texts(append(l.args(6+len(fields)), c.Account, "", c.suffix(), c.Hash, addressText(client), l.zoneOffset()), fields...))
	if err != nil {
		return nil, left, err
	}
	if r.text(0) == "NO" {
		return nil, left, &Refusal{Reason: Reason(r.text(2)), Limit: r.text(3)}
	}
	left = r.standing(2)
	left.OfNoModel = true
	for i := range fields {
		memories = append(memories, r.text(3+i))
	}
	if err := r.problem(); err != nil {
		return nil, left, err
	}
	if i := slices.Index(memories, ""); i >= 0 {
		return memories, left, l.notMade(c.Account, ids[i])
	}
	return memories, left, nil
}

// notMade is the answer for an object that Redis does not have: ErrNotFound, or ErrUnavailable while it may
// still be in a log.
func (l *Ledger) notMade(account, id string) error {
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
