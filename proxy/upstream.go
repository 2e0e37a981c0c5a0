package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/tollgate/tollgate/meter"
)

// An Upstream is a provider's endpoint and our credential for it.
type Upstream struct {
	Name    string
	Kind    string // openai (default), bigmodel, anthropic, gemini, azure
	BaseURL string // what follows the client's /v1 is put behind it
	APIKey  string
	Models  []ModelRule
	// Priority: lower is tried first. Weight spreads calls among equals; 0 counts as 1.
	Priority, Weight int
	// Timeout bounds the silence of the upstream: before its head, and between
	// two reads of its answer. Default 10 minutes.
	Timeout time.Duration
	// IgnoresMaxCompletionTokens says that it obeys max_tokens and ignores max_completion_tokens, as
	// those of kind bigmodel all do.
	IgnoresMaxCompletionTokens bool
	// SharedObjects says that what is kept there (responses, conversations, files) may be
	// named by every account, whoever made it.
	SharedObjects bool
}

// A ModelRule lets an upstream serve models, under another name if Rename is set.
type ModelRule struct {
	Pattern string // exact, or with *
	Rename  string
}

// upstream is an Upstream in force.
type upstream struct {
	Upstream
	kind kind
	base *url.URL
	// credential is ours, as it stands in the header kind.keyHeader; nil without one.
	credential []string
	// What is learnt from its answers lasts as long as the routing: whether it refuses
	// stream_options, and which models (by their labels) write more than they may.
	refusesStreamOptions atomic.Bool
	exceeding            atomic.Pointer[map[string]bool]
}

func newUpstream(settings *Upstream) (*upstream, error) {
	u := &upstream{Upstream: *settings, kind: kindOf(settings.Kind)}
	base, err := url.Parse(strings.TrimRight(u.BaseURL, "/"))
	switch {
	case u.Name == "":
		return nil, errors.New("an upstream needs a name")
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, fmt.Errorf("upstream %s: base_url %q: want http(s)://host/path", u.Name, u.BaseURL)
	case len(u.Models) == 0:
		return nil, fmt.Errorf("upstream %s: models is empty: name those it serves, such as [\"gpt-*\"]", u.Name)
	case strings.ContainsFunc(u.APIKey, unicode.IsControl):
		return nil, fmt.Errorf("upstream %s: api_key has a line end or another control character in it", u.Name)
	case u.Weight < 0:
		return nil, fmt.Errorf("upstream %s: weight is negative", u.Name)
	}
	u.base = base
	if u.Timeout == 0 {
		u.Timeout = 10 * time.Minute
	}
	if u.APIKey != "" {
		u.credential = []string{u.kind.keyPrefix + u.APIKey}
	}
	return u, nil
}

// serves tells under what name the upstream has model, if it serves that by the API.
func (u *upstream) serves(model string, api meter.API) (name string, ok bool) {
	rule, ok := u.rule(model)
	return cmp.Or(rule.Rename, model), ok && u.speaks(api)
}

// speaks reports whether its kind serves an API.
func (u *upstream) speaks(api meter.API) bool { return slices.Contains(u.kind.apis, api) }

// rule finds the rule for model: an exact one before a longer pattern before a shorter.
func (u *upstream) rule(model string) (found ModelRule, ok bool) {
	best := -1
	for _, rule := range u.Models {
		rank := len(rule.Pattern)
		if rule.Pattern == model {
			rank = 1 << 30
		} else if !meter.MatchModel(rule.Pattern, model) {
			continue
		}
		if rank > best {
			best, found = rank, rule
		}
	}
	return found, best >= 0
}

// ignoresMaxCompletionTokens tells an upstream whose API has max_tokens, and no max_completion_tokens.
func (u *upstream) ignoresMaxCompletionTokens() bool {
	return u.kind.onlyMaxTokens || u.IgnoresMaxCompletionTokens
}

// prepare gives a client's headers what the upstream asks for: our credential, and what its kind wants.
func (u *upstream) prepare(header http.Header) {
	if u.credential != nil {
		header[u.kind.keyHeader] = u.credential
	}
	if _, set := header["Anthropic-Version"]; u.kind.version != nil && !set {
		header["Anthropic-Version"] = u.kind.version
	}
	if u.kind.onlyJSON {
		delete(header, "Accept")
	}
}

// url is the upstream's address of an endpoint: base_url plus what follows our prefix.
func (u *upstream) url(path, rawQuery string) *url.URL {
	target := *u.base
	target.Path += path
	target.RawQuery = rawQuery
	return &target
}

// A kind is what the providers of one kind of upstream have in common.
type kind struct {
	// apis are those it serves: routes of another never go to it.
	apis []meter.API
	// keyHeader is where it wants our key, which is put behind keyPrefix.
	keyHeader, keyPrefix string
	// onlyMaxTokens says that it has max_tokens, and no max_completion_tokens.
	onlyMaxTokens bool
	// version is the Anthropic-Version it is asked for where the client named none: the oldest, by
	// which all clients can be answered. Nil: it has none.
	version []string
	// onlyJSON says that it must not be told what the client accepts: asked for another form, it
	// does not answer in JSON.
	onlyJSON bool
}

// kindOf is the kind of that name. Any other name is openai's.
func kindOf(name string) kind {
	openai := []meter.API{meter.OpenAI, meter.Responses}
	switch name {
	case "azure":
		return kind{apis: openai, keyHeader: "Api-Key"}
	case "bigmodel":
		return kind{apis: []meter.API{meter.OpenAI, meter.BigModel}, keyHeader: "Authorization", keyPrefix: "Bearer ", onlyMaxTokens: true}
	case "anthropic":
		return kind{apis: []meter.API{meter.Anthropic}, keyHeader: "X-Api-Key", version: []string{"2023-06-01"}}
	case "gemini":
		return kind{apis: []meter.API{meter.Gemini}, keyHeader: "X-Goog-Api-Key", onlyJSON: true}
	}
	return kind{apis: openai, keyHeader: "Authorization", keyPrefix: "Bearer "}
}

// APIsOf are the APIs that upstreams of a kind serve.
func APIsOf(kind string) []meter.API { return kindOf(kind).apis }
