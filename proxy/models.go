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
	name := r.PathValue("id")
	info, ok := p.routing.Load().describe(name, h.Key)
	if !ok {
		return nil, errUnknownModel(name)
	}
	return info, nil
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
	name := r.PathValue("id")
	model, ok := p.routing.Load().describeGemini(name, h.Key)
	if !ok {
		return nil, errUnknownModel(name)
	}
	return model, nil
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
		return !meter.MatchAnyModel(key.Limits.Endpoints, e.Name) || !r.book.Sells(model, e, now)
	})
	pricing = slices.DeleteFunc(r.book.Rates(model, now), func(price meter.ModelPrice) bool { return !slices.ContainsFunc(usable, price.For) })
	return usable, pricing
}

// endpointsOf are the endpoints by which an upstream serves the model.
func (r *routing) endpointsOf(model string) []*meter.Endpoint {
	return slices.DeleteFunc(meter.Endpoints(), func(e *meter.Endpoint) bool { return !r.serves(model, e.API) })
}
