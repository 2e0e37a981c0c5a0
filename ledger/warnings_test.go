package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
)

// Each unwise setting has its sentence, which names it and what to do; a server that is set well has none.
func TestWarnings(t *testing.T) {
	good := []string{
		"appendonly", "yes", "appendfsync", "everysec", "no-appendfsync-on-rewrite", "no", "maxmemory-policy", "noeviction",
		"min-replicas-to-write", "0",
	}
	cases := []struct {
		setting, value string
		cluster        bool
		want           string // the sentence has it; "" for no sentence
	}{
		{setting: "appendonly", value: "yes"},
		{setting: "appendonly", value: "no", want: "set appendonly yes"},
		{setting: "appendfsync", value: "always"},
		{setting: "appendfsync", value: "no", want: "appendfsync is no"},
		{setting: "no-appendfsync-on-rewrite", value: "yes", want: "no-appendfsync-on-rewrite is yes"},
		{setting: "maxmemory-policy", value: "allkeys-lru", want: "maxmemory-policy is allkeys-lru"},
		{setting: "maxmemory-policy", value: "volatile-ttl", want: "maxmemory-policy is volatile-ttl"},
		{setting: "cluster-require-full-coverage", value: "yes"}, // of no meaning outside a cluster
		{setting: "cluster-require-full-coverage", value: "yes", cluster: true, want: "one dead master stops"},
		{setting: "cluster-require-full-coverage", value: "no", cluster: true},
	}
	single := redistest.Start(t, redistest.WithAOF("everysec"))
	node := redistest.Start(t, redistest.WithCluster(), redistest.WithAOF("everysec"))
	for _, c := range cases {
		server, always := single, 0
		if c.cluster {
			server, always = node, 1 // min-replicas-to-write
		}
		t.Run(server.URL()[:8]+" "+c.setting+" "+c.value, func(t *testing.T) {
			f := &fixture{T: t, server: server}
			for i := 0; i < len(good); i += 2 {
				f.must(server.Client().ConfigSet(f.ctx(), good[i], good[i+1]).Err())
			}
			f.must(server.Client().ConfigSet(f.ctx(), c.setting, c.value).Err())
			got := f.warnings()
			switch {
			case c.want == "" && len(got) != always:
				t.Errorf("warnings %q, want %d", got, always)
			case c.want != "" && (len(got) != always+1 || !strings.Contains(strings.Join(got, "\n"), c.want)):
				t.Errorf("warnings %q, want %q", got, c.want)
			}
		})
	}
}

// A cluster by the address of one node is half a ledger at best.
func TestNodeOfACluster(t *testing.T) {
	node := redistest.Start(t, redistest.WithCluster())
	for url, want := range map[string]bool{node.URL(): false, "redis://" + node.Addr(): true} {
		s, err := DescribeRedis(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(s.Warnings, "\n"), "say redis+cluster://"); got != want {
			t.Errorf("%s: warnings %q", url, s.Warnings)
		}
	}
}

// Valkey has another name for its mode, by which it is known what a node of a cluster is warned of.
func TestModeOfValkey(t *testing.T) {
	const valkey = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nserver_mode:cluster\r\nrole:master\r\nconnected_slaves:0\r\n"
	for text, mode := range map[string]string{
		valkey: "cluster",
		strings.Replace(valkey, "server_mode:cluster", "server_mode:standalone", 1): "standalone",
		"redis_version:7.0.15\r\nredis_mode:cluster\r\n":                            "cluster",
	} {
		if s := informed(text); s.Mode != mode || s.failsOver != (mode == "cluster") {
			t.Errorf("mode %q, fails over: %t, of\n%s", s.Mode, s.failsOver, text)
		}
	}
}

// A Redis that has no functions gets no ledger: it is told, and nothing is written there.
func TestTooOldRedis(t *testing.T) {
	server := redistest.Start(t, redistest.WithConfig("--rename-command", "FCALL", ""))
	_, err := Open(t.Context(), Options{URL: server.URL(), Currency: "CNY"})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "use 7.0 or newer") {
		t.Errorf("opened: %v", err)
	}
	if keys := server.Client().DBSize(t.Context()).Val(); keys != 0 {
		t.Errorf("%d keys were written", keys)
	}
	for version, old := range map[string]bool{"6.2.14": true, "5.0": true, "7.0.0": false, "8.2.1": false, "10.0": false, "": false, "unknown": false} {
		if err := (&Server{Version: version}).tooOld(); (err != nil) != old {
			t.Errorf("of version %q: %v", version, err)
		}
	}
}

// Where Redis refuses one command of a transaction, the error is why, and not that there was one.
func TestWhyATransactionWasRefused(t *testing.T) {
	for _, why := range []struct {
		prefix string
		make   []any
	}{
		{"READONLY", []any{"REPLICAOF", "127.0.0.1", "1"}},
		{"NOPERM", []any{"ACL", "SETUSER", "default", "-function"}},
		{"NOPERM", []any{"ACL", "SETUSER", "default", "-hsetnx"}},
	} {
		server := redistest.Start(t)
		if err := server.Client().Do(t.Context(), why.make...).Err(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Options{URL: server.URL(), Currency: "CNY"})
		wants(t, err, ErrUnavailable)
		if err == nil || !strings.Contains(err.Error(), why.prefix) || strings.Contains(err.Error(), "EXECABORT") {
			t.Errorf("after %v: %v", why.make, err)
		}
	}
}

// A replica takes no writes: check does not find it in order.
func TestReplicaIsWarnedOf(t *testing.T) {
	f := &fixture{T: t, server: redistest.Start(t, redistest.WithAOF("everysec"), redistest.WithConfig("--replicaof", "127.0.0.1 1"))}
	if got := f.warnings(); len(got) != 1 || !strings.Contains(got[0], "this is a replica") {
		t.Errorf("warnings %q", got)
	}
}

// A master that may lose its place to a replica is warned of until it wants to be followed.
func TestWarningOfMinReplicas(t *testing.T) {
	master := redistest.Start(t, redistest.WithAOF("everysec"), redistest.WithConfig("--repl-diskless-sync-delay", "0"))
	f := &fixture{T: t, server: master}
	if got := f.warnings(); len(got) != 0 {
		t.Errorf("without a replica: %q", got)
	}
	host, port, _ := strings.Cut(master.Addr(), ":")
	replica := redistest.Start(t, redistest.WithConfig("--replicaof", host, port))
	f.must(replica.AwaitReplication(f.ctx()))
	if got := f.warnings(); len(got) != 1 || !strings.Contains(got[0], "min-replicas-to-write is 0") {
		t.Errorf("with a replica: %q", got)
	}
	f.must(master.Client().ConfigSet(f.ctx(), "min-replicas-to-write", "1").Err())
	if got := f.warnings(); len(got) != 0 {
		t.Errorf("once it is set: %q", got)
	}
}

func (f *fixture) warnings() []string {
	f.Helper()
	s, err := DescribeRedis(f.ctx(), f.server.URL())
	f.must(err)
	return s.Warnings
}
