package ledger

import (
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
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
	return int(crc32.ChecksumIEEE([]byte(account)) % uint32(len(s.tags)))
}

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
	keys := make([]string, 0, scriptKeys+2)
	return append(append(keys, s.ownKeys(shard, account)[:]...), s.markerKey(shard, idMS))
}

// keyNames remembers the keys of accounts: every call needs them.
type keyNames struct {
	mu    sync.RWMutex
	known map[string]*[scriptKeys - 1]string
}

// keyNamesLimit is how many accounts are remembered, some 600 bytes each, before it begins anew.
const keyNamesLimit = 20_000

// ownKeys are KEYS but for the marker's.
func (s *shards) ownKeys(shard int, account string) *[scriptKeys - 1]string {
	s.names.mu.RLock()
	keys := s.names.known[account]
	s.names.mu.RUnlock()
	if keys != nil {
		return keys
	}
	own := s.accountKey(shard, account)
	keys = &[...]string{
		s.metaKey(shard), s.journalKey(shard), s.dueKey(shard),
		own, own + ":packs", own + ":scope", own + ":keys", own + ":holds",
	}
	s.names.mu.Lock()
	defer s.names.mu.Unlock()
	if s.names.known == nil || len(s.names.known) >= keyNamesLimit {
		s.names.known = make(map[string]*[scriptKeys - 1]string)
	}
	s.names.known[account] = keys
	return keys
}

// long is what lua/lib.lua has under that name.
func long(text string) string { return text + strings.Repeat(" ", max(0, 65-len(text))) }

// expiryKey is the shard's packs that will expire, see lua/expire.lua.
func (s *shards) expiryKey(shard int) string { return s.tags[shard] + "expiry" }

// refundsKey is what has been given back of an account's charges, see lua/refund.lua.
func (s *shards) refundsKey(shard int, account string) string {
	return s.accountKey(shard, account) + ":refunds"
}

func (s *shards) refsKey(shard int, account string) string {
	return s.accountKey(shard, account) + ":refs"
}
