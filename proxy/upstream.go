package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
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
	base *url.URL
	// credential is ours, as it stands in the header credentialIn; nil without one.
	credentialIn string
	credential   []string
	// apis are those that its kind serves.
	apis []meter.API
	// What is learnt from its answers lasts as long as the routing: whether it refuses
	// stream_options, and which models (by their labels) write more than they may.
	refusesStreamOptions atomic.Bool
	exceeding            atomic.Pointer[map[string]bool]
}

// candidate is an upstream for one model, and the name it knows it by.
type candidate struct {
	*upstream
	model string
}

// routing is the prices and upstreams that calls are served by.
type routing struct {
	book      *meter.Book
	upstreams []*upstream
	// named are the models that have a name: in the price tables, or in the settings
	// of an upstream, where a pattern may price them.
	named map[string]bool
}

func newRouting(book *meter.Book, list []Upstream) (*routing, error) {
	r := &routing{book: book, named: map[string]bool{}}
	for _, name := range book.Models() {
		r.named[name] = true
	}
	seen := map[string]bool{}
	var problems []error
	for _, u := range list {
		base, err := url.Parse(strings.TrimRight(u.BaseURL, "/"))
		switch {
		case u.Name == "":
			err = errors.New("an upstream needs a name")
		case seen[u.Name]:
			err = fmt.Errorf("upstream %s: the name is used twice", u.Name)
		case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
			err = fmt.Errorf("upstream %s: base_url %q: want http(s)://host/path", u.Name, u.BaseURL)
		case len(u.Models) == 0:
			err = fmt.Errorf("upstream %s: models is empty: name those it serves, such as [\"gpt-*\"]", u.Name)
		case strings.ContainsFunc(u.APIKey, unicode.IsControl):
			err = fmt.Errorf("upstream %s: api_key has a line end or another control character in it", u.Name)
		case u.Weight < 0:
			err = fmt.Errorf("upstream %s: weight is negative", u.Name)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		seen[u.Name] = true
		if u.Timeout == 0 {
			u.Timeout = 10 * time.Minute
		}
		for _, rule := range u.Models {
			if !strings.Contains(rule.Pattern, "*") {
				r.named[rule.Pattern] = true
			}
		}
		in, credential := u.credential()
		r.upstreams = append(r.upstreams, &upstream{Upstream: u, base: base, credentialIn: in, credential: credential, apis: APIsOf(u.Kind)})
	}
	return r, errors.Join(problems...)
}

// byName is the upstream of that name, or nil.
func (r *routing) byName(name string) *upstream {
	for _, u := range r.upstreams {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// label is what metrics call a model: its name, or the pattern by which the
// upstream serves it, since clients choose the names that fit a pattern.
func (r *routing) label(model string, u *upstream) string {
	if r.named[model] {
		return model
	}
	rule, _ := u.rule(model)
	return cmp.Or(rule.Pattern, "other")
}

// exceedsLimit reports whether the upstream's model is known to write more than
// clients allow it.
func (r *routing) exceedsLimit(u *upstream, model string) bool {
	known := u.exceeding.Load()
	return known != nil && (*known)[r.label(model, u)]
}

// learnExcess remembers that it does; false: that was known.
func (r *routing) learnExcess(u *upstream, model string) bool {
	label := r.label(model, u)
	for {
		known := u.exceeding.Load()
		if known != nil && (*known)[label] {
			return false
		}
		more := map[string]bool{label: true}
		if known != nil {
			maps.Copy(more, *known)
		}
		if u.exceeding.CompareAndSwap(known, &more) {
			return true
		}
	}
}

// candidates are the upstreams that serve model by that API, in the order of the
// attempts: by priority, and by chance according to weight among equals.
func (r *routing) candidates(model string, api meter.API) []candidate {
	var found []candidate
	for _, u := range r.upstreams {
		if name, ok := u.serves(model, api); ok {
			found = append(found, candidate{u, name})
		}
	}
	if len(found) < 2 {
		return found
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return a.Priority - b.Priority })
	for i := range found {
		equals := found[i:]
		for j, c := range equals {
			if c.Priority != equals[0].Priority {
				equals = equals[:j]
				break
			}
		}
		chosen := drawByWeight(equals)
		equals[0], equals[chosen] = equals[chosen], equals[0]
	}
	return found
}

// serves reports whether any upstream serves the model by that API.
func (r *routing) serves(model string, api meter.API) bool {
	return slices.ContainsFunc(r.upstreams, func(u *upstream) bool {
		_, ok := u.serves(model, api)
		return ok
	})
}

// candidatesFor are the candidates for a request. One that names an object stored upstream
// goes only to those with SharedObjects.
func (r *routing) candidatesFor(request *meter.Request) []candidate {
	candidates := r.candidates(request.Model, request.Endpoint.API)
	if request.Stored() == nil {
		return candidates
	}
	return slices.DeleteFunc(candidates, func(c candidate) bool { return !c.SharedObjects })
}

// errNobody is why a request has no candidates.
func (r *routing) errNobody(request *meter.Request) *apiError {
	served := r.endpointsOf(request.Model)
	switch {
	case len(served) == 0:
		return errUnknownModel(request.Model)
	case !slices.Contains(served, request.Endpoint):
		return errNotServed(request.Model, request.Endpoint, served[0])
	}
	return errStored(request.Stored())
}

func drawByWeight(equals []candidate) int {
	total := 0
	for _, c := range equals {
		total += max(c.Weight, 1)
	}
	draw := rand.IntN(total) //nolint:gosec // spreading load needs no secrecy
	for i, c := range equals {
		if draw -= max(c.Weight, 1); draw < 0 {
			return i
		}
	}
	return 0
}

// serves tells under what name the upstream has model, if it serves that by the API.
func (u *upstream) serves(model string, api meter.API) (name string, ok bool) {
	rule, ok := u.rule(model)
	return cmp.Or(rule.Rename, model), ok && u.speaks(api)
}

// speaks reports whether its kind serves an API.
func (u *upstream) speaks(api meter.API) bool { return slices.Contains(u.apis, api) }

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

// APIsOf are the APIs that upstreams of a kind serve: routes of another never go to them.
func APIsOf(kind string) []meter.API {
	switch kind {
	case "anthropic":
		return []meter.API{meter.Anthropic}
	case "bigmodel":
		return []meter.API{meter.OpenAI, meter.BigModel}
	case "gemini":
		return []meter.API{meter.Gemini}
	}
	return []meter.API{meter.OpenAI, meter.Responses}
}

// ignoresMaxCompletionTokens tells an upstream whose API has max_tokens, and no max_completion_tokens.
func (u *upstream) ignoresMaxCompletionTokens() bool {
	return u.Kind == "bigmodel" || u.IgnoresMaxCompletionTokens
}

// credential is our credential as a header, in the way of the upstream's kind.
func (u *Upstream) credential() (name string, value []string) {
	switch {
	case u.APIKey == "":
		return "", nil
	case u.Kind == "azure":
		return "Api-Key", []string{u.APIKey}
	case u.Kind == "anthropic":
		return "X-Api-Key", []string{u.APIKey}
	case u.Kind == "gemini":
		return "X-Goog-Api-Key", []string{u.APIKey}
	}
	return "Authorization", []string{"Bearer " + u.APIKey}
}

// prepare gives a client's headers what the upstream asks for: our credential, and of
// Anthropic's API the version, where the client named none. Gemini's answers in other forms
// than JSON to who asks for them so.
func (u *upstream) prepare(header http.Header) {
	if u.credential != nil {
		header[u.credentialIn] = u.credential
	}
	if _, named := header["Anthropic-Version"]; u.Kind == "anthropic" && !named {
		header["Anthropic-Version"] = oldestVersion
	}
	if u.Kind == "gemini" {
		delete(header, "Accept")
	}
}

// oldestVersion is that of Anthropic's API by which all its clients can be answered.
var oldestVersion = []string{"2023-06-01"}

// url is the upstream's address of an endpoint: base_url plus what follows our prefix.
func (u *upstream) url(path, rawQuery string) *url.URL {
	target := *u.base
	target.Path += path
	target.RawQuery = rawQuery
	return &target
}

// Why a call's upstream was cut: what cut.now is told.
var (
	errUpstreamTimeout = errors.New("the upstream was silent for too long")
	errClientLeft      = errors.New("the client left")
	errDrainOver       = errors.New("the client left and the drain time is over")
	errShutdown        = errors.New("the proxy is shutting down")
	errCallOver        = errors.New("the call is over")
)
