package proxy

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// prefixes are the ways a client may begin its paths; BigModel's SDKs use the second.
var prefixes = []string{"/v1", "/api/paas/v4"}

// geminiPrefixes are those of the Gemini API. The first is its alone; Google's newer SDKs use the second,
// where its calls are told from OpenAI's routes by the method behind the model.
var geminiPrefixes = []string{"/v1beta", "/v1"}

// deployments begins the paths of Azure's older API. The model is in them: it is the name of a deployment there.
const deployments = "/openai/deployments/"

// prefixesOf are the ways to begin the paths of an API.
func prefixesOf(api meter.API) []string {
	if api == meter.Gemini {
		return geminiPrefixes
	}
	return prefixes
}

// routes is what a key holder may ask. Whatever is neither here nor a row of the
// endpoint table is refused, never passed on.
func (p *Proxy) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, prefix := range prefixes {
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
		poll := prefix + meter.TaskPoll().Path + "{id}"
		mux.HandleFunc("GET "+poll, p.servePoll)
		mux.HandleFunc(poll, p.refuseMethod("GET"))
		allowed := make(map[string][]string)
		for _, kept := range meter.KeptRoutes() {
			mux.HandleFunc(kept.Method+" "+prefix+kept.Path, p.serveKept(kept))
			allowed[kept.Path] = append(allowed[kept.Path], kept.Method)
		}
		for path, methods := range allowed {
			mux.HandleFunc(prefix+path, p.refuseMethod(strings.Join(methods, ", ")))
			if strings.HasSuffix(path, "/{id}") { // what is posted to is no id, but a call that is not served
				mux.HandleFunc("POST "+prefix+path, p.refuseRoute)
			}
		}
		mux.HandleFunc("POST "+prefix+"/quote", p.forHolder(p.quote))
		mux.HandleFunc(prefix+"/quote", p.refuseMethod("POST"))
	}
	mux.HandleFunc("GET "+geminiPrefixes[0]+"/models", p.forHolder(p.listGeminiModels))
	mux.HandleFunc(geminiPrefixes[0]+"/models", p.refuseMethod("GET"))
	mux.HandleFunc("GET "+geminiPrefixes[0]+"/models/{id}", p.forHolder(p.showGeminiModel))
	mux.HandleFunc("/", p.refuseRoute)
	return mux
}

// A callRoute is a row of the endpoint table behind a prefix.
type callRoute struct {
	prefix   string
	endpoint *meter.Endpoint
}

// callRoutes are the routes of calls: those of one path each need no more than a look-up,
// the others have a model in theirs.
func callRoutes() (byPath map[string]*meter.Endpoint, byModel []callRoute) {
	byPath = make(map[string]*meter.Endpoint)
	for _, e := range meter.Endpoints() {
		for _, prefix := range prefixesOf(e.API) {
			if e.NamesModel() {
				byModel = append(byModel, callRoute{prefix, e})
			} else {
				byPath[prefix+e.Path] = e
			}
		}
	}
	return byPath, byModel
}

// endpoint finds the row that a path is of, and the model that the path names, if it has
// one; nil if there is none.
func (p *Proxy) endpoint(path string) (e *meter.Endpoint, model string) {
	if e = p.endpoints[path]; e != nil {
		return e, ""
	}
	if rest, ok := strings.CutPrefix(path, deployments); ok {
		model, path, _ := strings.Cut(rest, "/")
		if e = p.endpoints[prefixes[0]+"/"+path]; e != nil && e.API == meter.OpenAI && model != "" {
			return e, model
		}
		return nil, ""
	}
	for _, route := range p.modelEndpoints {
		if rest, ok := strings.CutPrefix(path, route.prefix); ok {
			if model, ok = route.endpoint.Matches(rest); ok {
				return route.endpoint, model
			}
		}
	}
	return nil, ""
}

func (p *Proxy) refuseRoute(w http.ResponseWriter, r *http.Request) {
	meant := p.meant(r.URL.Path)
	api := p.apiOf(cmp.Or(meant, r.URL.Path))
	p.refuse(w, r, errUnknownRoute(r, meant, api), api)
}

// meant is the route that an SDK would have asked for by the right base_url, if
// it lacks the prefix, has it twice, or has slashes too many.
func (p *Proxy) meant(asked string) string {
	asked = path.Clean("/" + asked)
	for _, route := range []string{asked, prefixes[0] + asked, strings.TrimPrefix(asked, prefixes[0])} {
		if e, _ := p.endpoint(route); e != nil || route == prefixes[0]+"/models" {
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
	if endpoint, _ := p.endpoint(route); endpoint != nil {
		return endpoint.API
	}
	if strings.HasPrefix(route+"/", geminiPrefixes[0]+"/") {
		return meter.Gemini
	}
	return meter.OpenAI
}

// credential finds the client's key, in any of the headers that SDKs use; of the Gemini
// API's clients in the query, too, which goes nowhere from here.
func credential(r *http.Request, api meter.API) (ledger.Credential, bool) {
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
	if secret == "" && api == meter.Gemini {
		secret = r.URL.Query().Get("key")
	}
	return ledger.ParseCredential(secret)
}

// checkQuery refuses what the endpoint's query may not say.
func checkQuery(r *http.Request, e *meter.Endpoint) error {
	if e.Query == nil || r.URL.RawQuery == "" {
		return nil
	}
	for name, values := range r.URL.Query() {
		if allowed, known := e.Query[name]; known && (len(values) != 1 || !slices.Contains(allowed, values[0])) {
			return errInvalidRequest(name, fmt.Sprintf("Invalid value for the query's '%s': want %s, once.", name, strings.Join(allowed, " or ")))
		}
	}
	return nil
}

// upstreamQuery is what of the client's query goes upstream: nothing that is a
// credential, and no model; where the row lists what may, nothing else. There are upstreams
// that take ?model= before the body's, and the body's is what the call is admitted and charged for.
func upstreamQuery(r *http.Request, e *meter.Endpoint) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	q := r.URL.Query()
	if strings.HasPrefix(r.URL.Path, deployments) {
		q.Del("api-version") // of Azure's, and the call goes on by another path
	}
	for name := range q {
		if e.Query != nil && e.Query[name] == nil {
			q.Del(name)
		}
		switch strings.ToLower(name) {
		case "key", "api_key", "api-key", "x-api-key", "model":
			q.Del(name)
		}
	}
	return q.Encode() // as it was read here, and not in another way
}
