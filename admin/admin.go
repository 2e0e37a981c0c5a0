// Package admin is the operator's HTTP side, on a listener of its own: health,
// readiness and metrics, the admin API behind a bearer token (api.go), and the
// console (console.go), whose pages use that API and, for key holders, the data
// plane's handler as Options.Calls. It knows nothing else of the data plane.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
)

// readyTimeout bounds a readiness check: an orchestrator asks again anyway.
const readyTimeout = 2 * time.Second

// Options are the handler's parts. Ready and Gatherer are required.
type Options struct {
	// Ready returns nil when calls can be taken, else why not; errors that
	// were joined are reported one by one.
	Ready    func(context.Context) error
	Gatherer prometheus.Gatherer
	// Token opens the admin API. Empty: nobody gets in.
	Token string
	// Ledger is what the admin API works on. Required with a token.
	Ledger *ledger.Ledger
	// Calls is the data plane, for the console's playground and what it shows to
	// key holders. Without it the console is the operator's alone.
	Calls http.Handler
	// Logger may be nil.
	Logger *zap.Logger
}

type handler struct {
	ready   func(context.Context) error
	token   [sha256.Size]byte
	open    bool
	api     http.Handler
	guesses guesses
}

// New returns the handler. /healthz, /readyz, /metrics and the console's pages are
// open to whoever reaches the listener; the console's calls to the data plane need a
// key, and everything else needs the token.
func New(o Options) (http.Handler, error) {
	if o.Ready == nil || o.Gatherer == nil {
		return nil, errors.New("admin: Ready and Gatherer are required")
	}
	if o.Token != "" && o.Ledger == nil {
		return nil, errors.New("admin: a Token that opens the API needs a Ledger")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	a := &api{ledger: o.Ledger, seeds: seeds{token: o.Token, rounds: seedRounds}, log: o.Logger}
	h := &handler{ready: o.Ready, token: sha256.Sum256([]byte(o.Token)), open: o.Token != "", api: a.handler(), guesses: guesses{log: o.Logger, now: time.Now}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		ErrorLog: zap.NewStdLog(o.Logger), ErrorHandling: promhttp.ContinueOnError,
	}))
	what := about{Timezone: "UTC"}
	if o.Ledger != nil {
		what = about{o.Ledger.Timezone().String(), o.Ledger.Currency()}
	}
	mux.Handle(consolePrefix+"/", console(what, o.Calls))
	mux.HandleFunc("/", h.gate)
	return mux, nil
}

// health is the answer of healthz and readyz.
type health struct {
	Status  string   `json:"status"` // ok, ready, unready
	Reasons []string `json:"reasons,omitempty"`
}

func (h *handler) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, health{Status: "ok"})
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := h.ready(ctx); err != nil {
		writeJSON(w, http.StatusServiceUnavailable, health{Status: "unready", Reasons: reasons(err)})
		return
	}
	writeJSON(w, http.StatusOK, health{Status: "ready"})
}

// reasons has one for each error that was joined. It goes by the text: an error that
// wraps two, as "ledger unavailable: why", is one reason, and has the type of a joined one.
func reasons(err error) []string { return strings.Split(err.Error(), "\n") }

// whatIsHere is for those who take this listener for the data plane's.
const whatIsHere = "this is the operator's listener, with GET /healthz, /readyz and /metrics, and the admin API under " + prefix +
	" (GET " + prefix + "/openapi.yaml describes it), and a console for the browser at " + consolePrefix + "/; API calls of clients go to the address of `listen` in the configuration"

// gate lets who has the token into the admin API, and shows browsers the console.
func (h *handler) gate(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, consolePrefix+"/", http.StatusSeeOther)
		return
	}
	if h.authorized(r) {
		h.api.ServeHTTP(w, r)
		return
	}
	h.guesses.note(r)
	w.Header().Set("WWW-Authenticate", `Bearer realm="tollgate admin"`)
	message := "the admin API needs a valid admin token: send Authorization: Bearer TOKEN, the admin.token of the configuration"
	if !h.open {
		message = "the admin API is closed: the configuration has no admin.token"
	}
	writeError(w, http.StatusUnauthorized, "invalid_admin_token", message+"; "+whatIsHere)
}

// authorized compares digests, so that the time it takes tells nothing of the
// token, not even its length.
func (h *handler) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], h.token[:]) == 1 && h.open && strings.EqualFold(scheme, "Bearer")
}

// guessesEvery is how often a wrong token is worth a line of the log: who tries many must not fill a disk.
const guessesEvery = time.Second

// guesses are the requests with a token that is none, for the log: somebody may be trying them out.
type guesses struct {
	log *zap.Logger
	now func() time.Time

	mu     sync.Mutex
	next   time.Time // when the next may be told
	untold int
}

// note tells of a request that was refused, unless it named no token at all, as those
// of health checks that have gone astray.
func (g *guesses) note(r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if now.Before(g.next) {
		g.untold++
		return
	}
	g.next = now.Add(guessesEvery)
	g.log.Warn("a wrong admin token was refused", zap.String("remote", r.RemoteAddr), zap.Int("more_before", g.untold)) // strangers write no paths here
	g.untold = 0
}

// writeError answers in OpenAI's error shape.
func writeError(w http.ResponseWriter, status int, code, message string) {
	var body struct {
		Error struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Param   *string `json:"param"`
			Code    string  `json:"code"`
		} `json:"error"`
	}
	body.Error.Message, body.Error.Type, body.Error.Code = message, "invalid_request_error", code
	if status >= http.StatusInternalServerError {
		body.Error.Type = "server_error"
	}
	writeJSON(w, status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(body) // the client is gone: nobody is left to tell
}
