package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Server is what Redis says of itself, as far as money depends on it.
type Server struct {
	Version         string        `json:"version"`
	Mode            string        `json:"mode"` // standalone, cluster, sentinel, embedded
	AOF             bool          `json:"aof"`
	Fsync           string        `json:"fsync,omitempty"` // always, everysec, no
	MaxMemoryPolicy string        `json:"maxmemory_policy"`
	Latency         time.Duration `json:"latency_ns"` // of one ping
	Ledger          string        `json:"ledger"`     // the ledger's identity
	Currency        string        `json:"currency"`
	Shards          int           `json:"shards"`
	Entries         int64         `json:"entries"` // of the journal, over all shards
	Warnings        []string      `json:"warnings"`

	settings  map[string]string // as CONFIG GET tells them; absent where it is not allowed
	failsOver bool              // a replica may take its place
	replica   bool              // it is one itself
}

// Describe says what Redis is, and warns of settings that money should not be kept on.
// ErrUnavailable.
func (l *Ledger) Describe(ctx context.Context) (*Server, error) {
	s := &Server{Ledger: l.identity, Currency: l.currency, Shards: len(l.tags), Warnings: []string{}}
	var err error
	if s.Latency, err = l.ping(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := l.verify(ctx); err != nil {
		return nil, err
	}
	for shard := range l.heads {
		s.Entries += l.at(shard).seq()
	}
	if l.vault.identity != "" && !l.vault.here() {
		s.warn("the ledger has an archive, and none is configured here: name it as archive.url")
	}
	if l.embedded {
		s.Mode = "embedded"
		s.Warnings = append(s.Warnings, "the ledger is embedded in this process: it is for trying out, and gone when the process ends")
		return s, nil
	}
	return s, l.describeMasters(ctx, s)
}

// DescribeRedis says what the Redis at a URL is, ledger or not, and changes
// nothing. ErrInvalid, ErrUnavailable.
func DescribeRedis(ctx context.Context, address string) (*Server, error) {
	client, closeClient, err := connect(address)
	if err != nil {
		return nil, err
	}
	there := &shards{client: client}
	s := &Server{Warnings: []string{}}
	if s.Latency, err = there.ping(ctx); err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	} else {
		err = there.describeMasters(ctx, s)
	}
	return s, errors.Join(err, closeClient())
}

// describeMasters looks at every master: the first is the one that is
// described, and all of them may be warned of.
func (s *shards) describeMasters(ctx context.Context, into *Server) error {
	first := true
	err := s.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error {
		one, err := describeServer(ctx, c)
		if err != nil {
			return err
		}
		if err := one.tooOld(); err != nil {
			return err
		}
		one.failsOver = one.failsOver || s.behindSentinels()
		if first {
			into.Version, into.Mode, into.AOF, into.Fsync, into.MaxMemoryPolicy = one.Version, one.Mode, one.AOF, one.Fsync, one.MaxMemoryPolicy
			first = false
		}
		if one.replica {
			into.warn("this is a replica, which takes no writes: name its master, or the sentinels by redis+sentinel://HOST1,HOST2/NAME")
		}
		if _, whole := s.client.(*redis.ClusterClient); one.Mode == "cluster" && !whole {
			into.warn("this is a node of a Redis Cluster, and what is on other nodes is out of reach: say redis+cluster://HOST1,HOST2 in place of redis://")
		}
		for _, w := range one.warnings() {
			into.warn(w)
		}
		return nil
	})
	return unavailable(err)
}

func (s *Server) warn(text string) {
	for _, w := range s.Warnings {
		if w == text {
			return
		}
	}
	s.Warnings = append(s.Warnings, text)
}

// ping measures one round trip to every master of Redis, without a script.
func (s *shards) ping(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	err := s.eachMaster(ctx, func(ctx context.Context, c redis.Cmdable) error { return c.Ping(ctx).Err() })
	return time.Since(start), err
}

// describeServer reads INFO, and CONFIG where it is allowed: hosted Redis often
// hides it, and then what only it knows stays empty.
func describeServer(ctx context.Context, c redis.Cmdable) (*Server, error) {
	text, err := c.Info(ctx).Result()
	if err != nil {
		return nil, err
	}
	s := informed(text)
	s.settings = make(map[string]string)
	for _, name := range describedSettings {
		if values, err := c.ConfigGet(ctx, name).Result(); err == nil {
			s.settings[name] = values[name]
		}
	}
	s.Fsync = s.settings[appendFsync]
	return s, nil
}

// informed is a server as INFO tells it.
func informed(text string) *Server {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ":"); found {
			info[name] = value
		}
	}
	s := &Server{Version: info["redis_version"], AOF: info["aof_enabled"] == "1", MaxMemoryPolicy: info["maxmemory_policy"]}
	s.Mode = cmp.Or(info["redis_mode"], info["server_mode"]) // the latter is Valkey's
	s.failsOver = s.Mode == "cluster" || info["connected_slaves"] != "" && info["connected_slaves"] != "0"
	s.replica = info["role"] == "slave"
	return s
}

// The settings that INFO does not tell.
const (
	appendFsync  = "appendfsync"
	fsyncPaused  = "no-appendfsync-on-rewrite"
	fullCoverage = "cluster-require-full-coverage"
	minReplicas  = "min-replicas-to-write"
)

var describedSettings = [...]string{appendFsync, fsyncPaused, fullCoverage, minReplicas}

// behindSentinels reports whether the master is found by asking sentinels.
func (s *shards) behindSentinels() bool {
	single, is := s.client.(*redis.Client)
	return is && single.Options().Addr == "FailoverClient" // the client's own word for it
}

// tooOld is an error about a server that cannot keep a ledger.
func (s *Server) tooOld() error {
	major, _, _ := strings.Cut(s.Version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 7 {
		return fmt.Errorf("this Redis is too old (%s): %s", s.Version, newEnough)
	}
	return nil
}

// warnings says what is dangerous about a server, and what to do about it.
func (s *Server) warnings() (list []string) {
	if !s.AOF {
		list = append(list, "the append-only file is off: a crash loses bookings; set appendonly yes")
	}
	if s.AOF && s.Fsync == "no" {
		list = append(list, "appendfsync is no: a crash loses up to half a minute of bookings; set everysec or always")
	}
	if s.MaxMemoryPolicy != "" && s.MaxMemoryPolicy != "noeviction" {
		list = append(list, fmt.Sprintf("maxmemory-policy is %s: Redis may delete accounts and holds when memory is short; set noeviction", s.MaxMemoryPolicy))
	}
	return append(list, s.settingsWarnings()...)
}

// settingsWarnings are about what CONFIG alone tells; what it hides is not warned of.
func (s *Server) settingsWarnings() (list []string) {
	if s.AOF && s.settings[fsyncPaused] == "yes" {
		list = append(list, "no-appendfsync-on-rewrite is yes: while Redis rewrites its file nothing is fsynced, and a crash loses bookings; set no")
	}
	if s.Mode == "cluster" && s.settings[fullCoverage] == "yes" {
		list = append(list, "cluster-require-full-coverage is yes: one dead master stops the accounts of all others too; set no")
	}
	if s.failsOver && s.settings[minReplicas] == "0" {
		list = append(list, "min-replicas-to-write is 0, and a replica may be promoted: a master that is cut off goes on taking bookings that are lost then; set 1")
	}
	return list
}
