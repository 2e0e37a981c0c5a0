package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

// maxFile bounds a config or price file, in bytes.
const maxFile = 16 << 20

// ErrNone is returned by Load when neither a file nor TOLLGATE_REDIS is given.
var ErrNone = errors.New("no configuration: pass -c FILE, or set TOLLGATE_CONFIG to a file, or TOLLGATE_REDIS to the ledger's URL")

// Load reads the configuration from path, or from the file that
// TOLLGATE_CONFIG names if path is empty. Without a file TOLLGATE_REDIS alone is
// enough for what needs only the ledger; TOLLGATE_CURRENCY may say its currency,
// where one is to be made. Everything wrong is returned at once, as Problems;
// with those of a file comes what could be read of it, for who looks further.
func Load(path string, getenv func(string) string) (*Config, error) {
	if path == "" {
		path = getenv("TOLLGATE_CONFIG")
	}
	if path == "" {
		return fromEnvironment(getenv)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c, secrets, err := parse(path, data, getenv)
	if err != nil {
		return c, err
	}
	c.warnReadable(secrets)
	return c, nil
}

func fromEnvironment(getenv func(string) string) (*Config, error) {
	c := Default()
	c.Ledger.Redis = getenv("TOLLGATE_REDIS")
	if c.Ledger.Redis == "" {
		return nil, ErrNone
	}
	var problems Problems
	if _, err := redisURL(c.Ledger.Redis); err != nil {
		problems = append(problems, Problem{Path: "TOLLGATE_REDIS", Message: err.Error()})
	}
	if code := getenv("TOLLGATE_CURRENCY"); code != "" {
		c.Pricing.Currency = code
		if _, err := currency(code); err != nil {
			problems = append(problems, Problem{Path: "TOLLGATE_CURRENCY", Message: err.Error()})
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// parse reads a file's content and returns, beside the configuration, the
// settings that hold a secret in plain text.
func parse(path string, data []byte, getenv func(string) string) (*Config, []string, error) {
	d := &document{file: path, getenv: getenv}
	c := Default()
	c.File = path
	if url := getenv("TOLLGATE_REDIS"); url != "" {
		c.Ledger.Redis = url
	}
	if root, ok := d.parse(data); ok {
		c.read(root)
	}
	if len(d.problems) > 0 {
		d.problems.sort()
		return c, nil, d.problems
	}
	return c, d.secrets, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Problems{{File: path, Message: "there is no such file"}}
	case err != nil:
		return nil, Problems{{File: path, Message: cause(err)}}
	case info.IsDir():
		return nil, Problems{{File: path, Message: "is a directory: want a file"}}
	case info.Size() > maxFile:
		return nil, Problems{{File: path, Message: fmt.Sprintf("is %d bytes long: want at most %d", info.Size(), maxFile)}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, Problems{{File: path, Message: cause(err)}}
	}
	return data, nil
}

// cause is a file error without the path, which the problem names already.
func cause(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// warnReadable warns of secrets in a file that others on the machine can read.
func (c *Config) warnReadable(secrets []string) {
	info, err := os.Stat(c.File)
	if len(secrets) == 0 || err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return
	}
	c.Warnings = append(c.Warnings, fmt.Sprintf(
		"%s holds secrets (%s) and others on this machine can read it (mode %04o): chmod 600 %s, or take them from the environment by ${VAR}",
		c.File, strings.Join(secrets, ", "), info.Mode().Perm(), c.File))
}

// readPrices finds a price table: beside the config file, else among those embedded.
func readPrices(configFile, path string) (meter.PriceFile, error) {
	onDisk := path
	if !filepath.IsAbs(path) {
		onDisk = filepath.Join(filepath.Dir(configFile), path)
	}
	if info, err := os.Stat(onDisk); err == nil && info.Size() > maxFile {
		return meter.PriceFile{}, fmt.Errorf("%s is %d bytes long: want at most %d", path, info.Size(), maxFile)
	}
	data, err := os.ReadFile(onDisk)
	if err == nil {
		return meter.PriceFile{Name: onDisk, Data: data}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return meter.PriceFile{}, fmt.Errorf("cannot read %s: %s", path, cause(err))
	}
	if file, err := prices.Read(filepath.Base(path)); err == nil {
		return file, nil
	}
	var names []string
	for _, f := range prices.Files() {
		names = append(names, f.Name)
	}
	return meter.PriceFile{}, fmt.Errorf("there is no file %s, and no table of that name is built in (those are %s)", onDisk, strings.Join(names, ", "))
}

// The limits of durations keep slips such as "45" for "45s" or "15h" for "15m" out.
const (
	minHoldTTL = time.Second
	maxHoldTTL = 24 * time.Hour
	maxTaskTTL = 48 * time.Hour
)

// read fills c from the file's root.
func (c *Config) read(root value) {
	s, ok := root.section()
	if !ok {
		return
	}
	set(s, "listen", &c.Listen, Address)
	child(s, "admin", c.readAdmin)
	child(s, "ledger", c.readLedger)
	child(s, "archive", c.readArchive)
	if e, ok := s.get("upstreams"); ok {
		c.readUpstreams(e.value)
	}
	child(s, "pricing", c.readPricing)
	child(s, "policy", c.readPolicy)
	s.finish()
}

// child reads a section if it is there.
func child(s *section, name string, read func(*section)) {
	e, ok := s.get(name)
	if !ok {
		return
	}
	if inner, ok := e.section(); ok {
		read(inner)
		inner.finish()
	}
}

// goodToken is how long a token must be that nobody will guess, in hex digits.
const goodToken = 32

func (c *Config) readAdmin(s *section) {
	c.Admin.Listen = "127.0.0.1:8081"
	set(s, "listen", &c.Admin.Listen, Address)
	if overlap(c.Listen, c.Admin.Listen) {
		s.failAt("listen", "%q is what listen is, too (%s): want another port for the operator's listener", c.Admin.Listen, c.Listen)
	}
	secret(s, "token", &c.Admin.Token, header)
	if n := len(c.Admin.Token); n > 0 && n < goodToken {
		c.Warnings = append(c.Warnings, fmt.Sprintf(
			"admin.token is only %d long: whoever guesses it can give money away. Want %d characters at least, of chance, such as those of `openssl rand -hex 16`.", n, goodToken))
	}
}

// overlap reports whether two addresses cannot be listened on at once: one port, of
// one host, or of one host and every network.
func overlap(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a) // both were read by Address
	hostB, portB, _ := net.SplitHostPort(b)
	return portA == portB && portA != "0" && (hostA == hostB || isEvery(hostA) || isEvery(hostB) || isLoopback(hostA) && isLoopback(hostB))
}

func isEvery(host string) bool { return host == "0.0.0.0" || host == "::" }

func isLoopback(host string) bool { return host == "127.0.0.1" || host == "localhost" }

func (c *Config) readLedger(s *section) {
	if e, ok := s.get("redis"); ok && assign(e.value, &c.Ledger.Redis, redisURL) && hasPassword(c.Ledger.Redis) {
		e.noteSecret(c.Ledger.Redis)
	}
	set(s, "shards", &c.Ledger.Shards, whole(1, 4096))
	set(s, "hold_ttl", &c.Ledger.HoldTTL, duration(minHoldTTL, maxHoldTTL))
	set(s, "task_ttl", &c.Ledger.TaskTTL, duration(minHoldTTL, maxTaskTTL))
	set(s, "log", &c.Ledger.Log, directory)
	set(s, "durability", &c.Ledger.Durability, oneOf("normal", "strict"))
}

func directory(s string) (string, error) {
	if strings.TrimSpace(s) == "" {
		return "", errors.New("is empty: want a directory, such as ./data/settlements")
	}
	return s, nil
}

func (c *Config) readArchive(s *section) {
	if e, ok := s.get("url"); ok {
		if assign(e.value, &c.Archive.URL, archiveURL) && hasPassword(c.Archive.URL) {
			e.noteSecret(c.Archive.URL)
		}
	} else {
		s.failAt("url", "is missing: want sqlite:./data/archive.db or postgres://USER@HOST/DATABASE")
	}
	set(s, "interval", &c.Archive.Interval, duration(100*time.Millisecond, time.Hour))
	set(s, "keep", &c.Archive.Keep, duration(0, 10*365*24*time.Hour))
}

func (c *Config) readPricing(s *section) {
	need(s, "currency", &c.Pricing.Currency, currency, "the ledger's currency, such as CNY or USD")
	if e, ok := s.get("exchange"); ok {
		c.readExchange(e.value)
	}
	if e, ok := s.get("files"); ok {
		c.readPriceNames(e.value)
	}
}

func (c *Config) readExchange(v value) {
	entries, _ := v.entries()
	c.Pricing.Exchange = make(map[string]string, len(entries))
	for _, e := range entries {
		if _, err := currency(e.name); err != nil {
			e.key.fail("%s", err)
			continue
		}
		var r string
		switch read := assign(e.value, &r, rate); {
		case read && e.name == c.Pricing.Currency && r != "1":
			e.fail("%q: the ledger's own currency is worth 1 of itself: remove it", r)
		case read:
			c.Pricing.Exchange[e.name] = r
		}
	}
}

func (c *Config) readPriceNames(v value) {
	items := v.items()
	for _, item := range items {
		var path string
		if !assign(item, &path, text) {
			continue
		}
		if strings.TrimSpace(path) == "" {
			item.fail("is empty: want a price table's path, such as prices/openai.yaml")
			continue
		}
		c.Pricing.Files = append(c.Pricing.Files, path)
		c.Pricing.origins = append(c.Pricing.origins, item.origin())
	}
}

func (c *Config) readPolicy(s *section) {
	p := &c.Policy
	set(s, "quota_status", &p.QuotaStatus, quotaStatus)
	set(s, "on_disconnect", &p.OnDisconnect, oneOf("drain", "cancel"))
	set(s, "drain", &p.Drain, duration(time.Millisecond, time.Hour))
	set(s, "on_abandoned", &p.OnAbandoned, oneOf("checkpoint", "release", "hold"))
	set(s, "default_max_output", &p.DefaultMaxOutput, whole[int64](1, 10_000_000))
	set(s, "max_body", &p.MaxBody, size(1<<10, 1<<30))
	set(s, "max_kept_answer", &p.MaxKept, size(64<<10, 1<<30))
	set(s, "timezone", &p.Timezone, timezone)
	if e, ok := s.get("cors_origins"); ok {
		for _, item := range e.value.items() {
			var page string
			if assign(item, &page, webOrigin) {
				p.CORSOrigins = append(p.CORSOrigins, page)
			}
		}
	}
}

func quotaStatus(s string) (int, error) {
	switch s {
	case "429":
		return 429, nil
	case "402":
		return 402, nil
	}
	return 0, fmt.Errorf("%q: want 429 (as OpenAI answers) or 402", s)
}

// later notes what is asked for and not built yet.
func (c *Config) later(format string, args ...any) {
	c.pending = append(c.pending, fmt.Sprintf(format, args...))
}
