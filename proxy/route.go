package proxy

import (
	"net/http"
	"path"
	"strings"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// prefixes are the ways a client may begin its paths; BigModel's SDKs use the second.
var prefixes = []string{"/v1", "/api/paas/v4"}

// routes is what a key holder may ask, and the refusal of other methods than
// POST on the rows of the endpoint table. Whatever is not here is refused, never passed on.
func (p *Proxy) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, prefix := range prefixes {
		for _, e := range meter.Endpoints() {
			mux.HandleFunc(prefix+e.Path, p.refuseMethod("POST"))
		}
		for path, ask := range map[string]holderRoute{
			"/models":         p.listModels,
			"/models/{id...}": p.showModel,
			"/key":            p.showKey,
			"/credits":        p.showCredits,
			"/receipts/{id}":  p.showReceipt,
			"/bills/{month}":  p.showBill,
		} {
			mux.HandleFunc("GET "+prefix+path, p.forHolder(ask))
			mux.HandleFunc(prefix+path, p.refuseMethod("GET"))
		}
		mux.HandleFunc("POST "+prefix+"/quote", p.forHolder(p.quote))
		mux.HandleFunc(prefix+"/quote", p.refuseMethod("POST"))
	}
	mux.HandleFunc("/", p.refuseRoute)
	return mux
}

// endpointsByPath are the routes of calls. They need no more than a look-up.
func endpointsByPath() map[string]*meter.Endpoint {
	byPath := make(map[string]*meter.Endpoint)
	for _, prefix := range prefixes {
		for _, e := range meter.Endpoints() {
			byPath[prefix+e.Path] = e
		}
	}
	return byPath
}

func (p *Proxy) refuseRoute(w http.ResponseWriter, r *http.Request) {
	meant := p.meant(r.URL.Path)
	api := p.apiOf(meant)
	p.refuse(w, r, errUnknownRoute(r, meant, api), api)
}

// meant is the route that an SDK would have asked for by the right base_url, if
// it lacks the prefix, has it twice, or has slashes too many.
func (p *Proxy) meant(asked string) string {
	asked = path.Clean("/" + asked)
	for _, route := range []string{asked, prefixes[0] + asked, strings.TrimPrefix(asked, prefixes[0])} {
		if p.endpoints[route] != nil || route == prefixes[0]+"/models" {
			return route
		}
	}
	return ""
}

func (p *Proxy) refuseMethod(allowed string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allowed)
		p.refuse(w, r, errMethod(r, allowed), p.apiOf(r.URL.Path))
	}
}

// refuse answers a request that never became a call, as its API has it.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, e *apiError, api meter.API) {
	id := ledger.NewRequestID()
	writeNoCharge(w.Header(), p.routing.Load().book.Currency(), nil)
	e.write(w, id, api)
	p.reportRefusal(r, id, e, nil)
}

// apiOf is the API that a route is of: OpenAI's, if it is not of another.
func (p *Proxy) apiOf(route string) meter.API {
	if endpoint := p.endpoints[route]; endpoint != nil {
		return endpoint.API
	}
	return meter.OpenAI
}

// credential finds the client's key, in any of the headers that SDKs use.
func credential(r *http.Request) (ledger.Credential, bool) {
	secret := r.Header.Get("Authorization")
	if scheme, token, found := strings.Cut(secret, " "); found && strings.EqualFold(scheme, "Bearer") {
		secret = strings.TrimSpace(token)
	} else {
		secret = ""
	}
	for _, name := range []string{"X-Api-Key", "Api-Key", "X-Goog-Api-Key"} {
		if secret != "" {
			break
		}
		secret = r.Header.Get(name)
	}
	return ledger.ParseCredential(secret)
}

// upstreamQuery is what of the client's query goes upstream: nothing that is a
// credential, and no model. There are upstreams that take ?model= before the
// body's, and the body's is what the call is admitted and charged for.
func upstreamQuery(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	q := r.URL.Query()
	for name := range q {
		switch strings.ToLower(name) {
		case "key", "api_key", "api-key", "x-api-key", "model":
			q.Del(name)
		}
	}
	return q.Encode() // as it was read here, and not in another way
}
