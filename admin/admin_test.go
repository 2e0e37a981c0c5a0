package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/tollgate/tollgate/ledger"
)

func newHandler(t *testing.T, token string, ready func(context.Context) error) http.Handler {
	t.Helper()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "tollgate_test_total", Help: "A counter."})
	registry.MustRegister(counter)
	counter.Add(7)
	o := Options{Ready: ready, Gatherer: registry, Token: token}
	if token != "" {
		l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		o.Ledger = l
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ready(context.Context) error { return nil }

func get(h http.Handler, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHealth(t *testing.T) {
	h := newHandler(t, "", func(context.Context) error { return errors.New("not ready") })
	if w := get(h, "/healthz", ""); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"ok"}` {
		t.Errorf("healthz of a process that lives but is not ready: %d %s", w.Code, w.Body)
	}
}

func TestReadiness(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		status int
		want   health
	}{
		{"ready", nil, 200, health{Status: "ready"}},
		{"one reason", errors.New("draining"), 503, health{"unready", []string{"draining"}}},
		{"two reasons", errors.Join(errors.New("draining"), errors.New("ledger away")), 503, health{"unready", []string{"draining", "ledger away"}}},
		{"one reason that wraps two errors", fmt.Errorf("%w: %w", errors.New("ledger away"), errors.New("no connection")), 503, health{"unready", []string{"ledger away: no connection"}}},
	} {
		w := get(newHandler(t, "", func(context.Context) error { return tt.err }), "/readyz", "")
		var got health
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != tt.status || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %d %+v, want %d %+v", tt.name, w.Code, got, tt.status, tt.want)
		}
	}
}

// A ledger that hangs must not hang the orchestrator's question.
func TestReadinessIsBounded(t *testing.T) {
	h := newHandler(t, "", func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the check has no deadline")
		}
		return nil
	})
	get(h, "/readyz", "")
}

func TestMetricsAreOpen(t *testing.T) {
	if w := get(newHandler(t, "", ready), "/metrics", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "tollgate_test_total 7") {
		t.Errorf("metrics: %d %.200s", w.Code, w.Body)
	}
}

func TestEverythingElseAsksForTheToken(t *testing.T) {
	handlers := map[string]http.Handler{"": newHandler(t, "", ready), "secret": newHandler(t, "secret", ready)}
	for _, tt := range []struct {
		name, token, authorization, path string
		status                           int
		code                             string
	}{
		{"no token", "secret", "", "/admin/v1/accounts", 401, "invalid_admin_token"},
		{"wrong token", "secret", "Bearer wrong", "/", 401, "invalid_admin_token"},
		{"prefix of the token", "secret", "Bearer secre", "/", 401, "invalid_admin_token"},
		{"wrong scheme", "secret", "Basic secret", "/", 401, "invalid_admin_token"},
		{"no scheme", "secret", "secret", "/", 401, "invalid_admin_token"},
		{"closed, nothing given", "", "", "/", 401, "invalid_admin_token"},
		{"closed, empty token given", "", "Bearer ", "/", 401, "invalid_admin_token"},
		{"right token, nothing there", "secret", "Bearer secret", "/admin/v1/account", 404, "not_found"},
		{"scheme in another case", "secret", "bearer secret", "/", 404, "not_found"},
	} {
		w := get(handlers[tt.token], tt.path, tt.authorization)
		var body struct{ Error map[string]any }
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v in %s", tt.name, err, w.Body)
		}
		if w.Code != tt.status || body.Error["code"] != tt.code {
			t.Errorf("%s: %d %s, want %d %s", tt.name, w.Code, w.Body, tt.status, tt.code)
		}
		for _, key := range []string{"message", "type", "param", "code"} {
			if _, ok := body.Error[key]; !ok {
				t.Errorf("%s: the error lacks %q", tt.name, key)
			}
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: the answer shows the token: %s", tt.name, w.Body)
		}
	}
}

// A newcomer who sends a call to this port is told where calls go, with and
// without a token, and is not told to set one.
func TestACallThatCameToTheWrongListener(t *testing.T) {
	for _, tt := range []struct{ token, authorization string }{
		{"", "Bearer tg-acme-x"},
		{"secret", "Bearer tg-acme-x"},
		{"secret", "Bearer secret"},
	} {
		body := get(newHandler(t, tt.token, ready), "/v1/chat/completions", tt.authorization).Body.String()
		if !strings.Contains(body, "this is the operator's listener") || !strings.Contains(body, "API calls of clients go to the address of `listen`") ||
			strings.Contains(body, "set admin.token") {
			t.Errorf("token %q, %s: %s", tt.token, tt.authorization, body)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"nothing":                  {},
		"a token without a ledger": {Ready: ready, Gatherer: prometheus.NewRegistry(), Token: "secret"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("New with %s must fail", name)
		}
	}
}

// The log tells who did what, and neither the token nor a secret that was sent in the place of a key's id.
func TestTheLogTellsNoSecret(t *testing.T) {
	l, err := ledger.Open(t.Context(), ledger.Options{URL: ledger.Embedded, Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	core, lines := observer.New(zap.DebugLevel)
	h, err := New(Options{Ready: ready, Gatherer: prometheus.NewRegistry(), Token: "the-admin-token", Ledger: l, Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	secret := "tg-acme-" + strings.Repeat("x", 40)
	for _, path := range []string{"/accounts/acme/keys/" + secret + "/revoke", "/accounts/" + secret + "/suspend"} {
		r := httptest.NewRequest(http.MethodPost, prefix+path, nil)
		r.Header.Set("Authorization", "Bearer the-admin-token")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := lines.FilterLevelExact(zap.InfoLevel).Len(); n != 2 || lines.Len() != 2 {
		t.Errorf("%d lines of %d, want one a request", n, lines.Len())
	}
	for _, line := range lines.All() {
		text := fmt.Sprint(line.Message, line.ContextMap())
		if strings.Contains(text, secret) || strings.Contains(text, "the-admin-token") || !strings.Contains(text, "acme.") || !strings.Contains(text, "status:4") {
			t.Errorf("logged %s", text)
		}
	}
}

// Who tries tokens is seen in the log, a line a second at most, and without what was tried.
func TestWrongTokensAreLogged(t *testing.T) {
	core, lines := observer.New(zap.DebugLevel)
	now := time.Unix(0, 0)
	h := &handler{open: true, guesses: guesses{log: zap.New(core), now: func() time.Time { return now }}}
	try := func(authorization string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, prefix+"/accounts", nil)
		r.RemoteAddr = "192.0.2.7:1234"
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		if h.gate(w, r); w.Code != http.StatusUnauthorized {
			t.Fatalf("%s: %d", authorization, w.Code)
		}
	}
	try("") // nobody guesses
	for range 100 {
		try("Bearer a-guess")
	}
	now = now.Add(guessesEvery)
	try("Bearer a-guess")
	try("Bearer a-guess")
	var told []string
	for _, line := range lines.All() {
		told = append(told, fmt.Sprint(line.Level, " ", line.Message, " ", line.ContextMap()))
	}
	want := []string{
		"warn a wrong admin token was refused map[more_before:0 remote:192.0.2.7:1234]",
		"warn a wrong admin token was refused map[more_before:99 remote:192.0.2.7:1234]",
	}
	if !slices.Equal(told, want) {
		t.Errorf("logged %q, want %q", told, want)
	}
}

// A refusal says how to do better also to clients that read no messages.
func TestHeadersOfRefusals(t *testing.T) {
	h := newHandler(t, "secret", ready)
	if w := get(h, prefix+"/accounts", ""); w.Header().Get("WWW-Authenticate") != `Bearer realm="tollgate admin"` ||
		w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("401 has headers %v", w.Header())
	}
	r := httptest.NewRequest(http.MethodDelete, prefix+"/accounts/acme", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 405 || w.Header().Get("Allow") != "GET, PATCH" {
		t.Errorf("%d has headers %v", w.Code, w.Header())
	}
}

// broken is an answer whose client has gone.
type broken struct{ *httptest.ResponseRecorder }

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// An answer that streams and breaks off ends its connection: it must not look whole.
func TestAnswerThatBreaksOff(t *testing.T) {
	h := newHandler(t, "secret", ready)
	defer func() {
		if recover() != http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
			t.Error("it was not aborted")
		}
	}()
	r := httptest.NewRequest(http.MethodGet, prefix+"/openapi.yaml", nil)
	r.Header.Set("Authorization", "Bearer secret")
	h.ServeHTTP(broken{httptest.NewRecorder()}, r)
}
