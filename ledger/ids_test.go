package ledger

import (
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRequestIDsAreOrderedByTime(t *testing.T) {
	start := time.UnixMilli(1_790_000_000_123)
	var ids []string
	for i := range 100 {
		id := newID("req_", start.Add(time.Duration(i)*time.Millisecond))
		if ms, err := idMillis(id); err != nil || ms != start.UnixMilli()+int64(i) {
			t.Errorf("%s: time %d, %v", id, ms, err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
	for _, bad := range []string{"", "req_", "req", "req_01m84x35d33yd056sj1e9sch1", "req_01m84x35d33yd056sj1e9sch1l", "req_01M84X35D33YD056SJ1E9SCH1F"} {
		if _, err := idMillis(bad); err == nil {
			t.Errorf("%q is taken for a request id", bad)
		}
	}
}

func TestParseCredential(t *testing.T) {
	secret, credential := newSecret("a-b.c_d")
	got, ok := ParseCredential(secret)
	if !ok || got != credential || got.Account != "a-b.c_d" {
		t.Errorf("%+v, %t; want %+v", got, ok, credential)
	}
	if account, suffix, ok := splitKeyID(keyID("a.b", "0123456789ab")); !ok || account != "a.b" || suffix != "0123456789ab" {
		t.Errorf("key id: %s, %s, %t", account, suffix, ok)
	}
	long := strings.Repeat("x", secretMinimum)
	for _, bad := range []string{
		"", "tg-", "tg--" + long, "tg-acme", "tg-acme-short", "sk-acme-" + long, "tg-Acme-" + long,
		"tg-acme-" + long + "!", "tg-acme-" + strings.Repeat("x", secretMaximum+1), "tg-a b-" + long,
	} {
		if _, ok := ParseCredential(bad); ok {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

// Where an account lies must never change: it is the library's CRC-32.
func FuzzChecksum(f *testing.F) {
	f.Add("acme")
	f.Fuzz(func(t *testing.T, account string) {
		if got, want := checksum(account), crc32.ChecksumIEEE([]byte(account)); got != want {
			t.Errorf("checksum(%q) = %x, want %x", account, got, want)
		}
	})
}
