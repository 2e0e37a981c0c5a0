package admin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/tollgate/tollgate/ledger"
)

const (
	prefix = "/admin/v1"
	// archiveTimeout bounds the wait for the archive after a booking, which stands by then.
	archiveTimeout = 5 * time.Second
)

// description is what the API is, for people and for generators of clients.
//
//go:embed openapi.yaml
var description []byte

// An operation is one method of one path. What it returns is the answer, or how to write it: a document.
type operation struct {
	method, path string
	do           func(*call) (any, error)
	query        []string // the names that its URL's query may have
}

// operations are all there are: what the verbs do, but for those that need the machine (serve, rebuild, log replay) or a
// file of prices (quote, reprice).
func (a *api) operations() []operation {
	const account = "/accounts/{account}"
	return []operation{
		{"GET", "/openapi.yaml", a.describe, nil},
		{"GET", "/accounts", a.listAccounts, []string{"after", "limit"}},
		{"POST", "/accounts", a.createAccount, nil},
		{"GET", account, a.showAccount, nil},
		{"PATCH", account, a.changeAccount, nil},
		{"POST", account + "/suspend", a.suspend, nil},
		{"POST", account + "/resume", a.resume, nil},
		{"POST", account + "/topups", a.topUp, nil},
		{"POST", account + "/adjustments", a.adjust, nil},
		{"POST", account + "/refunds", a.refund, nil},
		{"GET", account + "/packs", a.listPacks, nil},
		{"POST", account + "/packs", a.grantPack, nil},
		{"POST", account + "/packs/{pack}/revoke", a.revokePack, nil},
		{"GET", account + "/keys", a.listKeys, nil},
		{"POST", account + "/keys", a.createKey, nil},
		{"POST", account + "/keys/{key}/revoke", a.revokeKey, nil},
		{"GET", account + "/holds", a.listHolds, nil},
		{"POST", account + "/holds/{request}/end", a.endHold, nil},
		{"GET", "/holds", a.listOverdueHolds, nil},
		{"GET", account + "/journal", a.journal, []string{"since", "until", "type", "limit"}},
		{"GET", account + "/bills/{month}", a.bill, []string{"format"}},
		{"GET", account + "/audit", a.audit, nil},
		{"GET", "/audit", a.audit, nil},
	}
}

// api is the operator's side of a ledger.
type api struct {
	ledger *ledger.Ledger
	seeds  seeds
	log    *zap.Logger
}

// handler serves the operations, in JSON also where there is none.
func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	allowed := make(map[string][]string)
	for _, o := range a.operations() {
		mux.HandleFunc(o.method+" "+prefix+o.path, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, o) })
		allowed[o.path] = append(allowed[o.path], o.method)
	}
	for path, methods := range allowed {
		mux.HandleFunc(prefix+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			writeError(w, http.StatusMethodNotAllowed, "method_not_allowed", fmt.Sprintf("there is no %s %s: want %s", r.Method, r.URL.Path, strings.Join(methods, " or ")))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "not_found", "there is no "+r.Method+" "+r.URL.Path+" here; "+whatIsHere)
	})
	return mux
}

func (a *api) serve(w http.ResponseWriter, r *http.Request, o operation) {
	began := time.Now()
	out := &answer{ResponseWriter: w}
	err := a.answer(out, &call{Request: r, w: w}, o)
	switch {
	case err == nil:
	case out.begun: // too late to say so: the answer must not look whole
		a.log.Warn("an answer of the admin API broke off", zap.String("path", r.URL.Path), zap.Error(err))
		panic(http.ErrAbortHandler)
	default:
		a.refuse(out, err)
	}
	level := zap.InfoLevel
	if o.method == http.MethodGet {
		level = zap.DebugLevel
	}
	path, failure := withoutSecrets(r.URL.Path, err)
	a.log.Log(level, "admin", zap.String("method", r.Method), zap.String("path", path), zap.Int("status", out.status),
		zap.String("remote", r.RemoteAddr), zap.Duration("took", time.Since(began)), failure)
}

// withoutSecrets are a path, and its error, for the log: whoever has a key's secret alone may have sent that for the key's id.
func withoutSecrets(path string, err error) (string, zap.Field) {
	if err == nil {
		return path, zap.Skip()
	}
	text := err.Error()
	for part := range strings.SplitSeq(path, "/") {
		if c, is := ledger.ParseCredential(part); is {
			path, text = strings.ReplaceAll(path, part, c.KeyID()), strings.ReplaceAll(text, part, c.KeyID())
		}
	}
	return path, zap.String("error", text)
}

func (a *api) answer(w http.ResponseWriter, c *call, o operation) (err error) {
	if c.given, err = c.query(o.query); err != nil {
		return err
	}
	value, err := o.do(c)
	if err != nil {
		return err
	}
	if o.method != http.MethodGet {
		a.archive(c.Context(), w)
	}
	if d, is := value.(document); is {
		w.Header().Set("Content-Type", d.contentType)
		w.Header().Set("Cache-Control", "no-store")
		return d.write(w)
	}
	writeJSON(w, http.StatusOK, value)
	return nil
}

// archive archives what was booked before the answer goes out: it is in no settlement log,
// and a Redis that loses its last moments would forget it. It is booked all the same, so a
// failure is a header and no error.
func (a *api) archive(ctx context.Context, w http.ResponseWriter) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
	defer cancel()
	if err := a.ledger.ArchiveWord(ctx); err != nil {
		w.Header().Set("X-Tollgate-Archived", "false")
		a.log.Warn("booked by the admin API, but not archived yet: a loss in Redis could still undo it", zap.Error(err))
	}
}

// refuse answers an error of the ledger, or of what was sent.
func (a *api) refuse(w http.ResponseWriter, err error) {
	status, code := http.StatusInternalServerError, "internal_error"
	switch {
	case errors.Is(err, ledger.ErrUncertain): // first: what is booked and cannot be shown has an error of its own
		status, code = http.StatusServiceUnavailable, "uncertain"
		err = fmt.Errorf("%w: repeat it with the same ref or Idempotency-Key, which books it once; without either, look at the journal first", err)
	case errors.Is(err, errTooLarge):
		status, code = http.StatusRequestEntityTooLarge, "request_too_large"
	case errors.Is(err, ledger.ErrInvalid):
		status, code = http.StatusBadRequest, "invalid_request"
	case errors.Is(err, ledger.ErrNotFound):
		status, code = http.StatusNotFound, "not_found"
	case errors.Is(err, ledger.ErrConflict):
		status, code = http.StatusConflict, "conflict"
	case errors.Is(err, ledger.ErrUnavailable):
		status, code = http.StatusServiceUnavailable, "ledger_unavailable"
		w.Header().Set("Retry-After", "1")
	default:
		a.log.Error("the admin API failed", zap.Error(err))
	}
	writeError(w, status, code, err.Error())
}

// shown is the answer to what has been done. It marks an error of reading it back, which
// would otherwise be taken for a failed booking.
func shown(value any, err error) (any, error) {
	if err != nil {
		return nil, fmt.Errorf("it cannot be shown: %w: %w", err, ledger.ErrUncertain)
	}
	return value, nil
}

func (a *api) describe(*call) (any, error) {
	return document{"application/yaml", func(w io.Writer) error { _, err := w.Write(description); return err }}, nil
}

// A document is an answer that is not one value in JSON.
type document struct {
	contentType string
	write       func(io.Writer) error
}

// answer is a response that knows whether it has begun.
type answer struct {
	http.ResponseWriter
	begun  bool
	status int
}

func (w *answer) WriteHeader(status int) {
	w.begun, w.status = true, status
	w.ResponseWriter.WriteHeader(status)
}

func (w *answer) Write(b []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}
