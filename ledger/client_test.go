package ledger

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	cases := []struct {
		url     string
		addrs   string
		user    string
		db      int
		master  string
		watcher string // user:password of the sentinels
		cluster bool
		secure  bool
		fails   bool
	}{
		{url: "redis://127.0.0.1:6379/0", addrs: "127.0.0.1:6379"},
		{url: "redis://localhost", addrs: "localhost:6379"},
		{url: "redis://:pass@redis:7000/3", addrs: "redis:7000", db: 3},
		{url: "redis://user:p%40ss@[::1]:7000", addrs: "[::1]:7000", user: "user"},
		{url: "rediss://redis:7000", addrs: "redis:7000", secure: true},
		{url: "redis+cluster://a:1,b:2,c", addrs: "a:1,b:2,c:6379", cluster: true},
		{url: "rediss+cluster://a:1,b:2", addrs: "a:1,b:2", cluster: true, secure: true},
		{url: "redis+sentinel://a:1,b/main/2", addrs: "a:1,b:26379", master: "main", db: 2},
		{url: "redis+sentinel://:pass@a/main?sentinel_password=p%26%40", addrs: "a:26379", master: "main", watcher: ":p&@"},
		{url: "rediss+sentinel://a/main/2?sentinel_user=u&sentinel_password=p", addrs: "a:26379", master: "main", db: 2, watcher: "u:p", secure: true},
		{url: "redis+sentinel://a/main?sentinel_pasword=p", fails: true},
		{url: "redis+sentinel://a/main?sentinel_password=%zz", fails: true},
		{url: "redis://a?sentinel_password=p", fails: true},
		{url: "redis://a/0?db=1", fails: true},
		{url: "redis://a,b", fails: true},
		{url: "redis://", fails: true},
		{url: "redis://a/x", fails: true},
		{url: "redis+cluster://a/1", fails: true},
		{url: "redis+sentinel://a", fails: true},
		{url: "http://a", fails: true},
		{url: "redis+tls://a", fails: true},
		{url: "localhost:6379", fails: true},
	}
	for _, c := range cases {
		o, cluster, err := parseURL(c.url)
		if c.fails {
			if err == nil {
				t.Errorf("%s is accepted", c.url)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.url, err)
			continue
		}
		if strings.Join(o.Addrs, ",") != c.addrs || o.Username != c.user || o.DB != c.db || o.MasterName != c.master ||
			strings.Trim(o.SentinelUsername+":"+o.SentinelPassword, ":") != strings.Trim(c.watcher, ":") || cluster != c.cluster || (o.Dialer != nil) != c.secure {
			t.Errorf("%s: %+v", c.url, o)
		}
	}
}

func TestDescribe(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		s, err := f.ledger.Describe(f.ctx())
		f.must(err)
		if s.Version == "" || s.Mode == "" || s.MaxMemoryPolicy != "noeviction" || s.Entries != 2 || s.Latency <= 0 || s.Currency != "CNY" {
			f.Errorf("server %+v", s)
		}
		want := 1
		if s.Mode == "cluster" {
			want = 2 // that, and min-replicas-to-write
		}
		if len(s.Warnings) != want || !strings.Contains(s.Warnings[0], "appendonly yes") {
			f.Errorf("warnings %q", s.Warnings)
		}
	})
	unwise := Server{AOF: true, Fsync: "no", MaxMemoryPolicy: "allkeys-lru"}
	if n := len(unwise.warnings()); n != 2 {
		t.Errorf("%d warnings: %q", n, unwise.warnings())
	}
}
