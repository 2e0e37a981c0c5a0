package ledger

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Embedded is the URL of a ledger that runs inside the process. It is
// volatile, and for trying out only.
const Embedded = "embedded"

const (
	dialTimeout = time.Second
	readTimeout = 2 * time.Second
	// embeddedTimeout: what lives in this process is never away, only slow on a
	// machine that is, above all when it is given the scripts.
	embeddedTimeout = 30 * time.Second
	poolSize        = 64
	// clusterReload is how long a master that died may be asked in vain after
	// another has taken its place: refused connections alone do not make the
	// client ask who has the slots now, and its own default is a minute.
	clusterReload = time.Second
)

// connect makes the client for a URL. Closing what it returns closes all.
func connect(address string) (redis.UniversalClient, func() error, error) {
	// The client would print plain text to stderr, amid JSON logs and one-line
	// errors, and say nothing that the errors it returns do not.
	redis.SetLogger(&logging.VoidLogger{})
	if address == Embedded {
		server, err := miniredis.Run()
		if err != nil {
			return nil, nil, fmt.Errorf("embedded ledger: %w", err)
		}
		o := clientOptions(server.Addr())
		o.ReadTimeout, o.WriteTimeout = embeddedTimeout, embeddedTimeout
		client := redis.NewUniversalClient(o)
		closeBoth := func() error {
			err := client.Close()
			server.Close()
			return err
		}
		return client, closeBoth, nil
	}
	o, cluster, err := parseURL(address)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: ledger URL: %w", ErrInvalid, err)
	}
	var client redis.UniversalClient
	switch {
	case cluster:
		several := o.Cluster()
		several.ClusterStateReloadInterval = clusterReload
		client = redis.NewClusterClient(several)
	case o.MasterName != "":
		client = redis.NewFailoverClient(o.Failover())
	default:
		client = redis.NewClient(o.Simple())
	}
	return client, client.Close, nil
}

// clientOptions are short in every wait: a ledger that is away is reported at
// once, and whoever calls decides what to do. A command is sent again at most
// once, which is safe because every script may run twice.
func clientOptions(addresses ...string) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs:                 addresses,
		DialTimeout:           dialTimeout,
		DialerRetries:         1,
		ReadTimeout:           readTimeout,
		WriteTimeout:          readTimeout,
		ContextTimeoutEnabled: true,
		MaxRetries:            1,
		MaxRedirects:          3,
		PoolSize:              poolSize,
		Protocol:              2, // nobody pushes us anything: RESP3 would look for it before each reply
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	}
}

// parseURL reads redis://[user:password@]host:port[/db], rediss:// (TLS),
// redis+cluster://h1:p,h2:p, rediss+cluster://… and
// redis+sentinel://h1:p,h2:p/master[/db].
func parseURL(address string) (o *redis.UniversalOptions, cluster bool, err error) {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return nil, false, errors.New("want redis://host:port, rediss://, redis+cluster://h1,h2, redis+sentinel://h1,h2/master or embedded")
	}
	authority, path, _ := strings.Cut(rest, "/")
	credentials, hosts := "", authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		credentials, hosts = authority[:at], authority[at+1:]
	}
	list := strings.Split(hosts, ",")
	parts := strings.Split(path, "/")
	kind, secure := strings.CutPrefix(scheme, "rediss")
	if !secure {
		var ours bool
		if kind, ours = strings.CutPrefix(scheme, "redis"); !ours {
			return nil, false, fmt.Errorf("scheme %q: want redis, rediss, redis+cluster or redis+sentinel", scheme)
		}
	}
	port := "6379"
	if kind == "+sentinel" {
		port = "26379"
	}
	for i, host := range list {
		if list[i], err = hostPort(host, port); err != nil {
			return nil, false, err
		}
	}
	o = clientOptions(list...)
	if err := setCredentials(o, credentials); err != nil {
		return nil, false, err
	}
	if secure {
		host, _, _ := net.SplitHostPort(list[0])
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	}
	database := ""
	switch kind {
	case "":
		if len(list) > 1 {
			return nil, false, errors.New("several hosts: want redis+cluster:// or redis+sentinel://")
		}
		database = parts[0]
	case "+cluster":
		cluster = true
		if parts[0] != "" {
			return nil, false, errors.New("a cluster has no databases: want nothing after the hosts")
		}
	case "+sentinel":
		if o.MasterName = parts[0]; o.MasterName == "" {
			return nil, false, errors.New("want the master's name after the sentinels: redis+sentinel://h1,h2/mymaster")
		}
		if len(parts) > 1 {
			database = parts[1]
		}
	default:
		return nil, false, fmt.Errorf("scheme %q: want redis, rediss, redis+cluster or redis+sentinel", scheme)
	}
	o.DB, err = parseDatabase(database)
	return o, cluster, err
}

func hostPort(host, port string) (string, error) {
	if host == "" {
		return "", errors.New("a host is missing")
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host, nil
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

// setCredentials reads user:password; a name alone is a password, as redis-cli has it.
func setCredentials(o *redis.UniversalOptions, credentials string) error {
	if credentials == "" {
		return nil
	}
	user, password, both := strings.Cut(credentials, ":")
	if !both {
		user, password = "", user
	}
	var err error
	if o.Username, err = url.PathUnescape(user); err != nil {
		return errors.New("the user name is not percent-encoded: want %25 for a percent sign")
	}
	if o.Password, err = url.PathUnescape(password); err != nil {
		return errors.New("the password is not percent-encoded: want %25 for a percent sign")
	}
	return nil
}

func parseDatabase(text string) (int, error) {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1000 {
			return 0, fmt.Errorf("database %q: want a number, such as redis://host:6379/0", text)
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
