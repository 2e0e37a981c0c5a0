package proxy

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// quoted is POST /v1/quote's answer. The quote verb's has the model and the endpoint
// besides, and no ceiling.
type quoted struct {
	Fee          meter.Nano   `json:"fee"`
	Currency     string       `json:"currency"`
	Lines        []meter.Line `json:"lines"`
	PriceVersion string       `json:"price_version"`
	// Ceiling says that the fee is the most the request can cost, not what known usage does cost.
	Ceiling bool `json:"ceiling"`
}

func (c *call) quoted(price *meter.Charge, ceiling bool) quoted {
	return quoted{Fee: price.Fee, Currency: c.currency(), Lines: price.Lines, PriceVersion: price.PriceVersion, Ceiling: ceiling}
}

// quote says what a request would cost, without making it. The body is the
// request itself (`endpoint` in it, or in the query, names its path where the
// body alone does not tell), which gives a ceiling; or {"model", "usage": {…}},
// which gives the price of that usage.
func (p *Proxy) quote(r *http.Request, h *ledger.Holder) (any, error) {
	var body []byte
	err := readBody(&body, http.MaxBytesReader(nil, r.Body, p.policy.MaxBody), r.ContentLength)
	if err != nil {
		return nil, err
	}
	// json.Valid bounds the nesting; gjson's own check recurses until the stack is full, which no recover catches.
	if !json.Valid(body) || !gjson.ParseBytes(body).IsObject() {
		return nil, errInvalidRequest("", "The body must be a JSON object: the request to quote, or {\"model\", \"usage\": {\"input\": 1000, \"output\": 500}}.")
	}
	e, model, err := p.namedEndpoint(r, body)
	if err != nil {
		return nil, err
	}
	c := &call{proxy: p, r: r, endpoint: e, pathModel: model, at: time.Now(), routing: p.routing.Load()}
	c.credential, _ = credential(r, meter.OpenAI) // which has been let in
	limits := h.Key.Limits
	answer, err := c.quoteBody(body, limits.Endpoints)
	if err != nil {
		return nil, err
	}
	switch { // as the call itself would be refused
	case !meter.MatchAnyModel(limits.Models, c.model()):
		return nil, c.refusalError(&ledger.Refusal{Reason: ledger.ModelNotAllowed, Standing: h.Standing})
	case !meter.MatchAnyModel(limits.Endpoints, c.endpoint.Name):
		return nil, c.refusalError(&ledger.Refusal{Reason: ledger.EndpointNotAllowed, Standing: h.Standing})
	}
	return answer, nil
}

// quoteBody quotes for a key that may use the allowed endpoints.
func (c *call) quoteBody(body []byte, allowed []string) (quoted, error) {
	if gjson.GetBytes(body, "usage").IsObject() {
		return c.quoteUsage(body, allowed)
	}
	if c.endpoint == nil {
		c.endpoint = c.endpointOf(body)
	}
	if err := c.understand(body); err != nil {
		return quoted{}, c.asAPIError(err)
	}
	return c.quoted(&c.quote, true), nil
}

// namedEndpoint is the endpoint that a quote names, in its query or its body, and the model
// that its path does; nil if none.
func (p *Proxy) namedEndpoint(r *http.Request, body []byte) (*meter.Endpoint, string, error) {
	path := r.URL.Query().Get("endpoint")
	if path == "" {
		path = gjson.GetBytes(body, "endpoint").String()
	}
	if path == "" {
		return nil, "", nil
	}
	if e, model := p.endpoint(path); e != nil {
		return e, model, nil
	}
	for _, e := range meter.Endpoints() {
		if path == e.Path || path == e.Name {
			return e, "", nil
		}
	}
	return nil, "", errInvalidRequest("endpoint", "There is no metered endpoint "+path+"; name its path, such as /v1/embeddings.")
}

// endpointOf finds which endpoint a request is for, by its members.
func (c *call) endpointOf(body []byte) *meter.Endpoint {
	path := "/chat/completions"
	switch model := gjson.GetBytes(body, "model").String(); {
	case gjson.GetBytes(body, "contents").Exists():
		path = "/models/{model}:generateContent"
	case gjson.GetBytes(body, "content").Exists():
		path = "/models/{model}:embedContent"
	case gjson.GetBytes(body, "requests").Exists():
		path = "/models/{model}:batchEmbedContents"
	case gjson.GetBytes(body, "documents").Exists():
		path = "/rerank"
	case gjson.GetBytes(body, "voice").Exists():
		path = "/audio/speech"
	case gjson.GetBytes(body, "input").Exists():
		path = "/embeddings"
		for _, other := range []string{"/responses", "/moderations", "/audio/speech"} {
			if c.onlyPriced(model, other, path) {
				path = other
			}
		}
	case !gjson.GetBytes(body, "prompt").Exists():
		if !c.routing.serves(model, meter.OpenAI) && c.routing.serves(model, meter.Anthropic) {
			path = "/messages"
		}
	case gjson.GetBytes(body, "max_tokens").Exists() || c.onlyPriced(model, "/completions", "/images/generations"):
		path = "/completions"
	case c.onlyPriced(model, "/videos/generations", "/images/generations"):
		path = "/videos/generations"
	default:
		path = "/images/generations"
	}
	return meter.FindEndpoint(path)
}

// onlyPriced reports whether the model is priced for path and not for other: the body
// alone would fit either.
func (c *call) onlyPriced(model, path, other string) bool {
	priced := func(path string) bool {
		return c.routing.book.Priced(model, meter.FindEndpoint(path).Class, c.at)
	}
	return priced(path) && !priced(other)
}
