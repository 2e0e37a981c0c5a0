package ledger

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	// clusterReload is how soon the client notices that another master has taken the place
	// of one that died: refused connections alone do not make it reload the slots, and its
	// own default is a minute.
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

// An address is a ledger's URL, taken apart:
// redis://[user:password@]host:port[/db], rediss:// (TLS), redis+cluster://h1:p,h2:p, rediss+cluster://…,
// redis+sentinel://h1:p,h2:p/master[/db][?sentinel_user=…&sentinel_password=…].
type address struct {
	kind        string // "", "+cluster" or "+sentinel"
	secure      bool
	credentials string
	hosts       []string // with ports
	path        []string // at least one part
	query       string
}

// CheckURL tells what is wrong with the URL of a ledger, without asking anybody.
func CheckURL(url string) error {
	_, _, err := parseURL(url)
	return err
}

// parseURL reads an address, and tells whether it is that of a cluster.
func parseURL(text string) (o *redis.UniversalOptions, cluster bool, err error) {
	a, err := addressOf(text)
	if err != nil {
		return nil, false, err
	}
	o = clientOptions(a.hosts...)
	if o.Username, o.Password, err = credentialsOf(a.credentials); err != nil {
		return nil, false, err
	}
	if a.secure {
		first, _, _ := net.SplitHostPort(a.hosts[0])
		o.Dialer = secureDialer(first, nil)
	}
	if a.query != "" && a.kind != "+sentinel" {
		return nil, false, errors.New("there are no settings for it: want nothing after a question mark")
	}
	database := a.path[0]
	switch a.kind {
	case "":
		if len(a.hosts) > 1 {
			return nil, false, errors.New("several hosts: want redis+cluster:// or redis+sentinel://")
		}
	case "+cluster":
		if database != "" {
			return nil, false, errors.New("a cluster has no databases: want nothing after the hosts")
		}
	case "+sentinel":
		if o.MasterName = a.path[0]; o.MasterName == "" {
			return nil, false, errors.New("want the master's name after the sentinels: redis+sentinel://h1,h2/mymaster")
		}
		if database = ""; len(a.path) > 1 {
			database = a.path[1]
		}
		if o.SentinelUsername, o.SentinelPassword, err = sentinelCredentials(a.query); err != nil {
			return nil, false, err
		}
	}
	o.DB, err = parseDatabase(database)
	return o, a.kind == "+cluster", err
}

func addressOf(text string) (*address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return nil, errors.New("want redis://host:port, rediss://, redis+cluster://h1,h2, redis+sentinel://h1,h2/master or embedded")
	}
	a := new(address)
	authority, path, _ := strings.Cut(rest, "/")
	path, a.query, _ = strings.Cut(path, "?")
	if strings.Contains(path, "@") { // what stands before it is a secret
		return nil, errors.New("there is an @ behind a slash: want %2F for a slash in a password")
	}
	a.path = strings.Split(path, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		a.credentials, authority = authority[:at], authority[at+1:]
	}
	if hosts, query, found := strings.Cut(authority, "?"); found { // without a path
		authority, a.query = hosts, query
	}
	kind, ours := strings.CutPrefix(scheme, "redis")
	a.kind, a.secure = strings.CutPrefix(kind, "s")
	if !ours || a.kind != "" && a.kind != "+cluster" && a.kind != "+sentinel" {
		return nil, fmt.Errorf("scheme %q: want redis, rediss, redis+cluster or redis+sentinel", scheme)
	}
	port := "6379"
	if a.kind == "+sentinel" {
		port = "26379"
	}
	for host := range strings.SplitSeq(authority, ",") {
		host, err := hostPort(host, port)
		if err != nil {
			return nil, err
		}
		a.hosts = append(a.hosts, host)
	}
	return a, nil
}

// secureDialer connects by TLS. A certificate is good for a server if it is for the
// first host of the URL, or for the host by which that server is reached: those of
// a managed cluster have one together and are announced by other names, those that
// operators run have one each. nil roots are the system's.
func secureDialer(first string, roots *x509.CertPool) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dial := func(name string) (net.Conn, error) {
			d := tls.Dialer{
				NetDialer: &net.Dialer{Timeout: dialTimeout},
				Config:    &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name, RootCAs: roots},
			}
			return d.DialContext(ctx, network, address)
		}
		conn, err := dial(first)
		var another x509.HostnameError
		if host, _, _ := net.SplitHostPort(address); errors.As(err, &another) && host != first {
			if own, ownErr := dial(host); !errors.As(ownErr, &another) {
				return own, ownErr
			}
		}
		return conn, err
	}
}

func hostPort(host, port string) (string, error) {
	if host == "" {
		return "", errors.New("a host is missing: want one such as redis://host:6379/0")
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host, nil
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

// credentialsOf reads user:password; a name alone is a password, as redis-cli has it.
func credentialsOf(text string) (user, password string, err error) {
	user, password, both := strings.Cut(text, ":")
	if !both {
		user, password = "", user
	}
	if user, err = url.PathUnescape(user); err != nil {
		return "", "", errors.New("the user name is not percent-encoded: want %25 for a percent sign")
	}
	if password, err = url.PathUnescape(password); err != nil {
		return "", "", errors.New("the password is not percent-encoded: want %25 for a percent sign")
	}
	return user, password, nil
}

// sentinelCredentials reads those of the sentinels themselves, which may have others than the master, or none.
func sentinelCredentials(query string) (user, password string, err error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", errors.New("the settings after the question mark are not percent-encoded: want %25 for a percent sign, %26 for an ampersand")
	}
	for name, list := range values {
		switch name {
		case "sentinel_user":
			user = list[0]
		case "sentinel_password":
			password = list[0]
		default:
			return "", "", fmt.Errorf("setting %q: want sentinel_user or sentinel_password", name)
		}
	}
	return user, password, nil
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
