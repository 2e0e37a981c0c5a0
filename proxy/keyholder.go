package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// holderRoute answers a key holder with one JSON object, or a document.
type holderRoute func(*http.Request, *ledger.Holder) (any, error)

// A document is an answer that is not JSON.
type document struct {
	contentType string
	write       func(io.Writer) error
}

// forHolder lets only valid keys through to a route. Nothing here is charged.
func (p *Proxy) forHolder(route holderRoute) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{proxy: p, r: r, routing: p.routing.Load(), id: ledger.NewRequestID(), at: time.Now()}
		writeNoCharge(w.Header(), c.currency(), nil)
		api := p.apiOf(r.URL.Path)
		answer, err := c.askHolder(w.Header(), route, api)
		if err != nil {
			e := c.asAPIError(err)
			e.write(w, c.id, api)
			p.reportRefusal(r, c.id, e, err)
			return
		}
		w.Header().Set("X-Request-Id", c.id)
		page, is := answer.(document)
		if !is {
			page = document{"application/json", func(w io.Writer) error { return json.NewEncoder(w).Encode(answer) }}
		}
		w.Header().Set("Content-Type", page.contentType)
		_ = page.write(w) // it has all it tells: only the client can fail
	}
}

// askHolder asks a route, once it is known who asks, and writes what is left to them.
func (c *call) askHolder(h http.Header, route holderRoute, api meter.API) (any, error) {
	var known bool
	if c.credential, known = credential(c.r, api); !known {
		return nil, errNoKey()
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), ledgerPatience)
	defer cancel()
	c.r = c.r.WithContext(ctx)
	holder, err := c.proxy.ledger.Holder(ctx, c.credential, clientAddr(c.r))
	if err != nil {
		return nil, err
	}
	writeStanding(h, &holder.Standing)
	return route(c.r, holder)
}

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
	models := []modelInfo{}
	routing := p.routing.Load()
	for _, name := range slices.Sorted(maps.Keys(routing.named)) {
		if info, ok := routing.describe(name, h.Key); ok {
			models = append(models, info)
		}
	}
	return map[string]any{"object": "list", "data": models, "currency": routing.book.Currency()}, nil
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
	models := []geminiModel{}
	routing := p.routing.Load()
	for _, name := range slices.Sorted(maps.Keys(routing.named)) {
		if model, ok := routing.describeGemini(name, h.Key); ok {
			models = append(models, model)
		}
	}
	return map[string]any{"models": models}, nil
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
	if _, ok := r.describe(name, key); !ok || !r.serves(name, meter.Gemini) {
		return geminiModel{}, false
	}
	prices := r.book.Rates(name, time.Now())
	for _, e := range meter.Endpoints() {
		if e.API == meter.Gemini && len(usablePrices(slices.Clone(prices), []*meter.Endpoint{e}, key.Limits.Endpoints)) > 0 {
			_, method, _ := strings.Cut(e.Path, ":")
			model.Methods = append(model.Methods, method)
		}
	}
	return model, len(model.Methods) > 0
}

// describe is a model as a key sees it: served, priced, and allowed.
func (r *routing) describe(name string, key *ledger.Key) (modelInfo, bool) {
	served := r.endpointsOf(name)
	usable := slices.DeleteFunc(slices.Clone(served), func(e *meter.Endpoint) bool { return !meter.MatchAnyModel(key.Limits.Endpoints, e.Name) })
	info := modelInfo{ID: name, Object: "model", Endpoints: []string{}}
	for _, price := range r.book.Rates(name, time.Now()) {
		if slices.ContainsFunc(usable, price.For) {
			info.Pricing = append(info.Pricing, price)
		}
	}
	for _, e := range usable {
		if slices.ContainsFunc(info.Pricing, func(price meter.ModelPrice) bool { return price.For(e) }) {
			info.Endpoints = append(info.Endpoints, prefixes[0]+e.Path)
		}
	}
	if len(info.Pricing) == 0 || !meter.MatchAnyModel(key.Limits.Models, name) {
		return modelInfo{}, false
	}
	info.OwnedBy = r.candidates(name, served[0].API)[0].Name
	return info, true
}

// endpointsOf are the endpoints by which an upstream serves the model.
func (r *routing) endpointsOf(model string) []*meter.Endpoint {
	return slices.DeleteFunc(meter.Endpoints(), func(e *meter.Endpoint) bool { return !r.serves(model, e.API) })
}

// keyInfo is GET /v1/key: what the key may do, has done, and what is left of each limit.
type keyInfo struct {
	*ledger.Key
	Currency  string        `json:"currency"`
	Remaining keyRemainders `json:"remaining"`
}

type keyRemainders struct {
	SpendTotal   *meter.Nano `json:"spend_total,omitempty"`
	SpendDaily   *meter.Nano `json:"spend_daily,omitempty"`
	SpendMonthly *meter.Nano `json:"spend_monthly,omitempty"`
	Tokens       *int64      `json:"tokens,omitempty"`
	RPM          *int64      `json:"rpm,omitempty"`
	TPM          *int64      `json:"tpm,omitempty"`
	Parallel     *int64      `json:"parallel,omitempty"`
}

func (p *Proxy) showKey(r *http.Request, h *ledger.Holder) (any, error) {
	limits, use := h.Key.Limits, h.Key.Use
	return keyInfo{h.Key, p.routing.Load().book.Currency(), keyRemainders{
		SpendTotal:   left(limits.SpendTotal, use.SpendTotal+use.SpendHeld),
		SpendDaily:   left(limits.SpendDaily, use.SpendDaily+use.SpendHeld),
		SpendMonthly: left(limits.SpendMonthly, use.SpendMonthly+use.SpendHeld),
		Tokens:       left(limits.Tokens, use.Tokens+use.TokensHeld),
		RPM:          leftNow(h.Key.Requests),
		TPM:          leftNow(h.Key.Tokens),
		Parallel:     left(limits.Parallel, use.Parallel),
	}}, nil
}

// left is what a limit leaves; nil without a limit.
func left[N ~int64](limit, used N) *N {
	if limit == 0 {
		return nil
	}
	rest := max(limit-used, 0)
	return &rest
}

// leftNow is what a limit a minute leaves at this moment; nil without a limit.
func leftNow(state ledger.RateState) *int64 {
	if state.Limit == 0 {
		return nil
	}
	return &state.Remaining
}

// credits is GET /v1/credits: the account's wallets and packs.
type credits struct {
	*ledger.Account
	Currency string `json:"currency"`
}

func (p *Proxy) showCredits(r *http.Request, h *ledger.Holder) (any, error) {
	return credits{h.Account, p.routing.Load().book.Currency()}, nil
}

func (p *Proxy) showReceipt(r *http.Request, h *ledger.Holder) (any, error) {
	receipt, err := p.ledger.Receipt(r.Context(), h.Account.ID, r.PathValue("id"))
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, &apiError{
			status: http.StatusNotFound, code: "receipt_not_found", kind: kindInvalidRequest, final: true,
			message: "There is no receipt of this id: the request is not known to this account, is still in flight, or was not charged.",
		}
	}
	if err == nil {
		receipt.Reason = "" // an operator's, for the journal: the charge was priced anew
	}
	return receipt, err
}
