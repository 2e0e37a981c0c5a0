package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// Config is the whole configuration, with defaults filled in.
type Config struct {
	// File is where it was read from; empty when the environment was all there is.
	File string
	// Listen is the address of the data plane, HOST:PORT.
	Listen    string
	Admin     Admin
	Ledger    Ledger
	Archive   Archive
	Upstreams []Upstream
	Pricing   Pricing
	Policy    Policy
	// Warnings are sentences about what is allowed but unwise.
	Warnings []string

	pending []string
}

// Admin is the operator's listener: health, readiness, metrics, the admin API and the console.
type Admin struct {
	// Listen is HOST:PORT; empty means that there is no such listener.
	Listen string
	// Token is the bearer token of the admin API; empty means that nobody gets in.
	Token string
}

// Ledger says where the books are.
type Ledger struct {
	// Redis is a URL: redis://, rediss://, redis+cluster://h1,h2, redis+sentinel://, or "embedded".
	Redis string
	// Shards is 0 when neither the file nor the environment says it: then
	// the ledger's own record decides, or its default of 64.
	Shards int
	// HoldTTL is how long a hold lives without a heartbeat.
	HoldTTL time.Duration
	// TaskTTL is how long a task's hold lives that nobody asks the end of.
	TaskTTL time.Duration
	// Log is the directory of the settlement log.
	Log string
	// Durability is normal or strict.
	Durability string
}

// Embedded reports whether the ledger lives in the process that opens it.
func (l Ledger) Embedded() bool { return l.Redis == embedded }

// Archive says where journal entries are copied to. Without a URL there is none.
type Archive struct {
	// URL is sqlite:PATH or postgres://….
	URL string
	// Interval is the time between two copies, Keep how long copied entries stay in Redis.
	Interval, Keep time.Duration
}

// Upstream is a provider's endpoint and our credential for it.
type Upstream struct {
	Name, Kind, BaseURL, APIKey string
	Models                      []ModelRule
	// Priority: lower is tried first. Weight spreads calls among equals.
	Priority, Weight int
	// Timeout bounds the silence of the upstream.
	Timeout time.Duration
	// SharedObjects: what is kept there may be named by every account.
	SharedObjects bool
	// IgnoresMaxCompletionTokens: it passes over max_completion_tokens.
	IgnoresMaxCompletionTokens bool
}

// Pending reports whether the upstream speaks a dialect that is not built yet;
// such an upstream is read and checked, but not used. Of Azure's two the v1 API
// is OpenAI's own, but for the credential; the older has the model in its paths.
func (u Upstream) Pending() bool {
	return u.Kind == kindAzure && !strings.HasSuffix(u.BaseURL, "/v1")
}

// ModelRule lets an upstream serve models, under another name if Rename is set.
type ModelRule struct {
	Pattern string // exact, or with *
	Rename  string
}

// Pricing says what things cost.
type Pricing struct {
	// Currency is the ledger's: every balance and fee is in it.
	Currency string
	// Exchange holds, by currency, the price of one of its units in the ledger's.
	Exchange map[string]string
	// Files are the price tables, as the config names them.
	Files []string

	origins []origin // of Files
}

// Policy is what an operator may decide about calls.
type Policy struct {
	QuotaStatus      int           // 429 or 402
	OnDisconnect     string        // drain or cancel
	Drain            time.Duration // how long to read on for a client that has left
	OnAbandoned      string        // checkpoint, release or hold
	DefaultMaxOutput int64         // tokens
	MaxBody          int64         // bytes of a request
	MaxKept          int64         // bytes of an answer that is read whole before its head goes out
	Timezone         *time.Location
	CORSOrigins      []string // of web pages whose scripts may call; "*" is any
}

const (
	embedded = "embedded"

	kindOpenAI    = "openai"
	kindBigModel  = "bigmodel"
	kindAnthropic = "anthropic"
	kindGemini    = "gemini"
	kindAzure     = "azure"
)

// Default is the configuration of which nothing was said.
func Default() *Config {
	return &Config{
		Listen:  "127.0.0.1:8080",
		Ledger:  Ledger{Redis: "redis://127.0.0.1:6379/0", HoldTTL: 15 * time.Minute, TaskTTL: 24 * time.Hour, Log: "./data/settlements", Durability: "normal"},
		Archive: Archive{Interval: time.Second, Keep: 5 * time.Minute},
		Policy: Policy{
			QuotaStatus: 429, OnDisconnect: "drain", Drain: 45 * time.Second, OnAbandoned: "checkpoint",
			DefaultMaxOutput: 4096, MaxBody: 64 << 20, MaxKept: 4 << 20, Timezone: time.UTC,
		},
	}
}

// Pending lists, as plain sentences, what the configuration asks for and this
// version does not do yet.
func (c *Config) Pending() []string { return c.pending }

// UpstreamNames lists the upstreams, as they are configured.
func (c *Config) UpstreamNames() []string {
	names := make([]string, len(c.Upstreams))
	for i := range c.Upstreams {
		names[i] = c.Upstreams[i].Name
	}
	return names
}

// PriceFiles reads the price tables. A path is relative to the config file; if
// nothing is there but its base name is a table that ships with Tollgate, that
// one is taken. All errors are reported at once, as Problems.
func (c *Config) PriceFiles() ([]meter.PriceFile, error) {
	var files []meter.PriceFile
	var problems Problems
	if len(c.Pricing.Files) == 0 {
		return nil, Problems{{File: c.File, Path: "pricing.files", Message: "no price table is named, so every call would be refused: name some, such as files: [prices/openai.yaml]"}}
	}
	for i, path := range c.Pricing.Files {
		file, err := readPrices(c.File, path)
		if err == nil && slices.ContainsFunc(files, func(f meter.PriceFile) bool { return f.Name == file.Name }) {
			err = fmt.Errorf("%s is the table %s, which is named above: remove one of the two", path, file.Name)
		}
		if err != nil {
			problems = append(problems, c.Pricing.origins[i].problem(err))
			continue
		}
		files = append(files, file)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return files, nil
}
