package proxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// modelInfo is a model of GET /v1/models, in OpenAI's form, with its prices and
// the routes that serve it.
type modelInfo struct {
	ID        string             `json:"id"`
	Object    string             `json:"object"`
	Created   int64              `json:"created"`
	OwnedBy   string             `json:"owned_by"`
	Endpoints []string           `json:"endpoints"`
	Pricing   []meter.ModelPrice `json:"pricing"`
}

func (p *Proxy) listModels(r *http.Request, h *ledger.Holder) (any, error) {
	routing := p.routing.Load()
	if speaksAnthropic(r) {
		return anthropicPage(listed(routing, h.Key, routing.describeAnthropic)), nil
	}
	return map[string]any{"object": "list", "data": listed(routing, h.Key, routing.describe), "currency": routing.book.Currency()}, nil
}

// listed are the models that a key may use, by name, as describe has them.
func listed[T any](r *routing, key *ledger.Key, describe func(string, *ledger.Key) (T, bool)) []T {
	models := []T{}
	for _, name := range slices.Sorted(maps.Keys(r.named)) {
		if model, ok := describe(name, key); ok {
			models = append(models, model)
		}
	}
	return models
}

func (p *Proxy) showModel(r *http.Request, h *ledger.Holder) (any, error) {
	name, routing := r.PathValue("id"), p.routing.Load()
	if speaksAnthropic(r) {
		return shown(routing.describeAnthropic, name, h.Key)
	}
	return shown(routing.describe, name, h.Key)
}

// shown is a model as describe has it, if the key may use it.
func shown[T any](describe func(string, *ledger.Key) (T, bool), name string, key *ledger.Key) (any, error) {
	model, ok := describe(name, key)
	if !ok {
		return nil, errUnknownModel(name)
	}
	return model, nil
}

// speaksAnthropic reports whether the client is one of Anthropic's API, whose list of models is at the same path
// as OpenAI's.
func speaksAnthropic(r *http.Request) bool { return r.Header.Get("Anthropic-Version") != "" }

// anthropicModel is a model in that API's form.
type anthropicModel struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	Title   string    `json:"display_name"`
	Created time.Time `json:"created_at"` // 1970, which that API says of what it does not know
}

// anthropicPage is a list of them: all, whatever page is asked for.
func anthropicPage(models []anthropicModel) map[string]any {
	page := map[string]any{"data": models, "has_more": false, "first_id": nil, "last_id": nil}
	if n := len(models); n > 0 {
		page["first_id"], page["last_id"] = models[0].ID, models[n-1].ID
	}
	return page
}

// describeAnthropic is a model as a key sees it, if it may use it by Anthropic's API.
func (r *routing) describeAnthropic(name string, key *ledger.Key) (anthropicModel, bool) {
	usable, _ := r.usableBy(name, key)
	return anthropicModel{"model", name, name, time.Unix(0, 0).UTC()},
		slices.ContainsFunc(usable, func(e *meter.Endpoint) bool { return e.API == meter.Anthropic })
}

// geminiModel is a model of GET /v1beta/models, in the Gemini API's form. What it costs is told by
// GET /v1/models: there are clients of this API that take no member which they do not know.
type geminiModel struct {
	Name    string   `json:"name"`
	Title   string   `json:"displayName"`
	Methods []string `json:"supportedGenerationMethods"`
}

func (p *Proxy) listGeminiModels(r *http.Request, h *ledger.Holder) (any, error) {
	routing := p.routing.Load()
	return map[string]any{"models": listed(routing, h.Key, routing.describeGemini)}, nil
}

func (p *Proxy) showGeminiModel(r *http.Request, h *ledger.Holder) (any, error) {
	return shown(p.routing.Load().describeGemini, r.PathValue("id"), h.Key)
}

// describeGemini is a model as a key sees it, if it may use it by the Gemini API.
func (r *routing) describeGemini(name string, key *ledger.Key) (geminiModel, bool) {
	model := geminiModel{Name: "models/" + name, Title: name}
	usable, _ := r.usableBy(name, key)
	for _, e := range usable {
		if e.API == meter.Gemini {
			_, method, _ := strings.Cut(e.Path, ":")
			model.Methods = append(model.Methods, method)
		}
	}
	return model, len(model.Methods) > 0
}

// describe is a model as a key sees it: served, priced, and allowed.
func (r *routing) describe(name string, key *ledger.Key) (modelInfo, bool) {
	usable, pricing := r.usableBy(name, key)
	if len(usable) == 0 {
		return modelInfo{}, false
	}
	info := modelInfo{ID: name, Object: "model", OwnedBy: r.candidates(name, usable[0].API)[0].Name, Pricing: pricing}
	for _, e := range usable {
		info.Endpoints = append(info.Endpoints, prefixesOf(e.API)[0]+e.PathFor(name))
	}
	return info, true
}

// usableBy are the endpoints by which a key may use a model that an upstream
// serves there, and their prices. What has no price is not usable.
func (r *routing) usableBy(model string, key *ledger.Key) (usable []*meter.Endpoint, pricing []meter.ModelPrice) {
	if !meter.MatchAnyModel(key.Limits.Models, model) {
		return nil, nil
	}
	now := time.Now()
	usable = slices.DeleteFunc(r.endpointsOf(model), func(e *meter.Endpoint) bool {
		return !meter.MatchAnyModel(key.Limits.Endpoints, e.Name) || !r.sells(model, e, now)
	})
	pricing = slices.DeleteFunc(r.book.Rates(model, now), func(price meter.ModelPrice) bool { return !slices.ContainsFunc(usable, price.For) })
	return usable, pricing
}

// sells reports whether a call of the endpoint has a price at all upstreams that may serve it: where one of
// them has none, it is refused.
func (r *routing) sells(model string, e *meter.Endpoint, at time.Time) bool {
	return !slices.ContainsFunc(r.upstreams, func(u *upstream) bool {
		_, serves := u.serves(model, e.API)
		return serves && !r.book.Sells(model, e, u.Name, at)
	})
}

// endpointsOf are the endpoints by which an upstream serves the model.
func (r *routing) endpointsOf(model string) []*meter.Endpoint {
	return slices.DeleteFunc(meter.Endpoints(), func(e *meter.Endpoint) bool { return !r.serves(model, e.API) })
}
