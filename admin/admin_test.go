package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

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
