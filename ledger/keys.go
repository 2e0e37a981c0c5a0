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
func (l *Ledger) shardOf(account string) int {
	return int(crc32.ChecksumIEEE([]byte(account)) % uint32(len(l.tags)))
}

func (l *Ledger) metaKey(shard int) string     { return l.tags[shard] + "meta" }
func (l *Ledger) journalKey(shard int) string  { return l.tags[shard] + "journal" }
func (l *Ledger) dueKey(shard int) string      { return l.tags[shard] + "due" }
func (l *Ledger) accountsKey(shard int) string { return l.tags[shard] + "accounts" }

func (l *Ledger) accountKey(shard int, account string) string {
	return l.tags[shard] + "a:" + account
}

// markerKey is the bucket of the terminal markers of one hour's request ids.
func (l *Ledger) markerKey(shard int, idMS int64) string {
	return l.tags[shard] + "done:" + strconv.FormatInt(idMS/markerBucketMS, 10)
}

// keysOf returns KEYS of the scripts of one account, with room for two more.
// idMS is the time in the request id, for the marker's bucket.
func (l *Ledger) keysOf(shard int, account string, idMS int64) []string {
	keys := make([]string, 0, scriptKeys+2)
	return append(append(keys, l.ownKeys(shard, account)[:]...), l.markerKey(shard, idMS))
}

// keyNames remembers the keys of accounts: every call needs them.
type keyNames struct {
	mu    sync.RWMutex
	known map[string]*[scriptKeys - 1]string
}

// keyNamesLimit is how many accounts are remembered, some 600 bytes each, before it begins anew.
const keyNamesLimit = 20_000

// ownKeys are KEYS but for the marker's.
func (l *Ledger) ownKeys(shard int, account string) *[scriptKeys - 1]string {
	l.names.mu.RLock()
	keys := l.names.known[account]
	l.names.mu.RUnlock()
	if keys != nil {
		return keys
	}
	own := l.accountKey(shard, account)
	keys = &[...]string{
		l.metaKey(shard), l.journalKey(shard), l.dueKey(shard),
		own, own + ":packs", own + ":scope", own + ":keys", own + ":holds",
	}
	l.names.mu.Lock()
	defer l.names.mu.Unlock()
	if l.names.known == nil || len(l.names.known) >= keyNamesLimit {
		l.names.known = make(map[string]*[scriptKeys - 1]string)
	}
	l.names.known[account] = keys
	return keys
}

// long is what lua/lib.lua has under that name.
func long(text string) string { return text + strings.Repeat(" ", max(0, 65-len(text))) }

// expiryKey is the shard's packs that will expire, see lua/expire.lua.
func (l *Ledger) expiryKey(shard int) string { return l.tags[shard] + "expiry" }

// refundsKey is what has been given back of an account's charges, see lua/refund.lua.
func (l *Ledger) refundsKey(shard int, account string) string {
	return l.accountKey(shard, account) + ":refunds"
}

func (l *Ledger) refsKey(shard int, account string) string {
	return l.accountKey(shard, account) + ":refs"
}
