package ledger

import (
	"hash/crc32"
	"strconv"
	"sync"
	"sync/atomic"
)

// All Redis keys are built here. The tag {tg<n>} is the shard, so that all keys
// of a script are in one slot. lua/account.lua and lua/use.lua say what is in them.

// scriptKeys is the number of keys that the scripts of an account share.
const scriptKeys = 9

// shardTags returns the beginning of the keys of each shard.
func shardTags(shards int) []string {
	tags := make([]string, shards)
	for i := range tags {
		tags[i] = "{tg" + strconv.Itoa(i) + "}:"
	}
	return tags
}

// shardOf returns the shard of an account. It depends on the id and the fixed
// number of shards alone, for ever.
func (s *shards) shardOf(account string) int {
	return int(checksum(account) % uint32(len(s.tags)))
}

// checksum is the CRC-32 (IEEE) of a text, which the library makes of bytes only.
func checksum(text string) uint32 {
	sum := ^uint32(0)
	for i := range len(text) {
		sum = crc32.IEEETable[byte(sum)^text[i]] ^ sum>>8
	}
	return ^sum
}

// Fields of a shard's meta. The time zone and "ready" are in that of shard 0 only.
const (
	metaIdentity = "id"       // the ledger's, the same in all shards
	metaFormat   = "format"   // of all that is stored
	metaShards   = "shards"   // how many the ledger has
	metaCurrency = "currency" // that the ledger is kept in
	metaCreated  = "created"  // ms since 1970
	metaSeq      = "seq"      // the head of the journal
	metaReady    = "ready"    // "1": every shard has its meta
	metaTimezone = "timezone" // where the days of who serves begin

	metaArchive    = "archive"    // the archive's identity: recorded when it is first used, checked ever after
	metaArchived   = "archived"   // all entries up to this seq are archived
	metaFork       = "fork"       // why archiving has stopped
	metaEpoch      = "epoch"      // how often the shard has been recovered
	metaRecovering = "recovering" // who is at it
	metaRecovered  = "recovered"  // when a recovery last lifted the fence, ms since 1970
	metaRebuilding = "rebuilding" // the ledger is being rebuilt from the archive of this identity, and that may be taken up again
)

func (s *shards) metaKey(shard int) string     { return s.tags[shard] + "meta" }
func (s *shards) journalKey(shard int) string  { return s.tags[shard] + "journal" }
func (s *shards) dueKey(shard int) string      { return s.tags[shard] + "due" }
func (s *shards) accountsKey(shard int) string { return s.tags[shard] + "accounts" }

func (s *shards) accountKey(shard int, account string) string {
	return s.tags[shard] + "a:" + account
}

// markerKey is the bucket of the terminal markers of one hour's request ids.
func (s *shards) markerKey(shard int, idMS int64) string {
	return s.tags[shard] + "done:" + strconv.FormatInt(idMS/markerBucketMS, 10)
}

// keysOf returns KEYS of the scripts of one account, with room for two more.
// idMS is the time in the request id, for the marker's bucket.
func (s *shards) keysOf(shard int, account string, idMS int64) []string {
	names := s.namesOf(shard, account)
	keys := make([]string, 0, scriptKeys+2)
	return append(append(keys, names.own[:]...), names.marker(s, shard, idMS))
}

// accountNames are the keys of an account: every call needs them.
type accountNames struct {
	own  [scriptKeys - 1]string
	last atomic.Pointer[markerName]
}

// markerName is the key of one hour's markers.
type markerName struct {
	hour int64
	key  string
}

// marker remembers the last markerKey.
func (n *accountNames) marker(s *shards, shard int, idMS int64) string {
	hour := idMS / markerBucketMS
	if last := n.last.Load(); last != nil && last.hour == hour {
		return last.key
	}
	fresh := &markerName{hour, s.markerKey(shard, idMS)}
	n.last.Store(fresh)
	return fresh.key
}

// keyNames remembers the keys of accounts.
type keyNames struct {
	mu    sync.RWMutex
	known map[string]*accountNames
}

// keyNamesLimit is how many accounts are remembered, some 600 bytes each, before it begins anew.
const keyNamesLimit = 20_000

func (s *shards) namesOf(shard int, account string) *accountNames {
	s.names.mu.RLock()
	names := s.names.known[account]
	s.names.mu.RUnlock()
	if names != nil {
		return names
	}
	own := s.accountKey(shard, account)
	names = &accountNames{own: [...]string{
		s.metaKey(shard), s.journalKey(shard), s.dueKey(shard),
		own, own + ":packs", own + ":scope", own + ":keys", own + ":holds",
	}}
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	if s.names.known == nil || len(s.names.known) >= keyNamesLimit {
		s.names.known = make(map[string]*accountNames)
	}
	s.names.known[account] = names
	return names
}

// expiryKey is the shard's packs that will expire, see lua/expire.lua.
func (s *shards) expiryKey(shard int) string { return s.tags[shard] + "expiry" }

// refundsKey is what has been given back of an account's charges, see lua/refund.lua.
func (s *shards) refundsKey(shard int, account string) string {
	return s.accountKey(shard, account) + ":refunds"
}

// taskKey is what is remembered of a task, see lua/object.lua.
func (s *shards) taskKey(shard int, id string) string { return s.tags[shard] + "o:task:" + id }

func (s *shards) refsKey(shard int, account string) string {
	return s.accountKey(shard, account) + ":refs"
}
