package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// Anthropic's clients are told by type, and by our code, whatever went wrong; status and headers
// are those of every other route.
func TestErrorsAsAnthropicHasThem(t *testing.T) {
	refusal := func(r ledger.Reason) error { return &ledger.Refusal{Reason: r} }
	for name, tc := range map[string]struct {
		err        error
		kind, code string
	}{
		"no key":          {errNoKey(), "authentication_error", "invalid_api_key"},
		"suspended":       {refusal(ledger.AccountSuspended), "permission_error", "account_suspended"},
		"network":         {refusal(ledger.NetworkNotAllowed), "permission_error", "network_not_allowed"},
		"model":           {refusal(ledger.ModelNotAllowed), "permission_error", "model_not_allowed"},
		"unknown model":   {errUnknownModel("m"), "not_found_error", "model_not_found"},
		"unpriced":        {meter.ErrUnpriced, "not_found_error", "model_not_found"},
		"another's file":  {errStored(&meter.RequestError{Param: "container"}), "not_found_error", "object_not_found"},
		"funds":           {refusal(ledger.InsufficientFunds), "billing_error", "insufficient_quota"},
		"key spend":       {refusal(ledger.KeySpendExhausted), "billing_error", "key_quota_exceeded"},
		"in flight":       {refusal(ledger.InFlight), "rate_limit_error", "in_flight_quota_exhausted"},
		"rate":            {&ledger.Refusal{Reason: ledger.RateLimited, Limit: "key.tpm", RetryAfter: time.Second}, "rate_limit_error", "rate_limit_exceeded"},
		"bad request":     {&meter.RequestError{Param: "tools", Message: "no"}, "invalid_request_error", "invalid_request"},
		"too large":       {&http.MaxBytesError{Limit: 1}, "request_too_large", "request_too_large"},
		"ledger away":     {ledger.ErrUnavailable, "api_error", "metering_unavailable"},
		"shutting down":   {errDraining(), "api_error", "shutting_down"},
		"upstream away":   {errUpstreamAway("x"), "api_error", "upstream_unavailable"},
		"upstream silent": {errUpstreamSlow(), "api_error", "upstream_timeout"},
		"a fault of ours": {errors.New("x"), "api_error", "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusing(t, 402).asAPIError(tc.err)
			ours, theirs := httptest.NewRecorder(), httptest.NewRecorder()
			e.write(theirs, "req_1", meter.OpenAI)
			e.write(ours, "req_1", meter.Anthropic)
			var body struct {
				Type      string         `json:"type"`
				RequestID string         `json:"request_id"`
				Error     map[string]any `json:"error"`
			}
			if err := json.Unmarshal(ours.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if body.Type != "error" || body.RequestID != "req_1" || body.Error["type"] != tc.kind || body.Error["code"] != tc.code || body.Error["message"] != e.message {
				t.Errorf("got %s", ours.Body)
			}
			if _, explained := body.Error["metadata"]; explained != strings.Contains(theirs.Body.String(), `"metadata"`) {
				t.Errorf("got %s, and for OpenAI's clients %s", ours.Body, theirs.Body)
			}
			if ours.Code != theirs.Code || ours.Header().Get("Request-Id") != "req_1" || theirs.Header().Get("Request-Id") != "" {
				t.Errorf("status %d and %d, headers %v", ours.Code, theirs.Code, ours.Header())
			}
			for _, name := range []string{"X-Request-Id", "X-Should-Retry", "Retry-After", "Retry-After-Ms", "Content-Type"} {
				if a, b := ours.Header().Get(name), theirs.Header().Get(name); a != b {
					t.Errorf("%s is %q, elsewhere %q", name, a, b)
				}
			}
		})
	}
}

// Google's clients are told by status, and by our code as the reason.
func TestErrorsAsGoogleHasThem(t *testing.T) {
	refusal := func(r ledger.Reason) error { return &ledger.Refusal{Reason: r} }
	for name, tc := range map[string]struct {
		err          error
		google, code string
	}{
		"no key":          {errNoKey(), "UNAUTHENTICATED", "invalid_api_key"},
		"suspended":       {refusal(ledger.AccountSuspended), "PERMISSION_DENIED", "account_suspended"},
		"unknown model":   {errUnknownModel("m"), "NOT_FOUND", "model_not_found"},
		"another's file":  {errStored(&meter.RequestError{Param: "fileData"}), "NOT_FOUND", "object_not_found"},
		"funds":           {refusal(ledger.InsufficientFunds), "RESOURCE_EXHAUSTED", "insufficient_quota"},
		"key spend":       {refusal(ledger.KeySpendExhausted), "RESOURCE_EXHAUSTED", "key_quota_exceeded"},
		"in flight":       {refusal(ledger.InFlight), "RESOURCE_EXHAUSTED", "in_flight_quota_exhausted"},
		"rate":            {&ledger.Refusal{Reason: ledger.RateLimited, Limit: "key.tpm", RetryAfter: time.Second}, "RESOURCE_EXHAUSTED", "rate_limit_exceeded"},
		"bad request":     {&meter.RequestError{Param: "tools", Message: "no"}, "INVALID_ARGUMENT", "invalid_request"},
		"too large":       {&http.MaxBytesError{Limit: 1}, "INVALID_ARGUMENT", "request_too_large"},
		"ledger away":     {ledger.ErrUnavailable, "UNAVAILABLE", "metering_unavailable"},
		"upstream away":   {errUpstreamAway("x"), "UNAVAILABLE", "upstream_unavailable"},
		"upstream silent": {errUpstreamSlow(), "DEADLINE_EXCEEDED", "upstream_timeout"},
		"a fault of ours": {errors.New("x"), "INTERNAL", "internal_error"},
	} {
		t.Run(name, func(t *testing.T) {
			e := refusing(t, 402).asAPIError(tc.err)
			w := httptest.NewRecorder()
			e.write(w, "req_1", meter.Gemini)
			var body struct {
				Error struct {
					Code            int
					Message, Status string
					Details         []struct {
						Reason, RetryDelay string
						Metadata           map[string]string
					}
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			details := 1
			if e.retryAfter > 0 {
				details = 2
			}
			if in := body.Error; in.Code != e.status || w.Code != e.status || in.Status != tc.google || in.Message != e.message || len(in.Details) != details || in.Details[0].Reason != tc.code ||
				len(in.Details[0].Metadata) > 0 != (e.metadata != nil) {
				t.Errorf("%d: got %s", w.Code, w.Body)
			}
			waits := "" // where the others find it in Retry-After-Ms
			for _, more := range body.Error.Details[1:] {
				waits += more.RetryDelay
			}
			if want := map[int64]string{0: "", 50: "0.05s", 1000: "1s", inFlightRetry.Milliseconds(): "2s"}[e.retryAfter.Milliseconds()]; waits != want {
				t.Errorf("to be retried after %q, want %q: %s", waits, want, w.Body)
			}
			if w.Header().Get("X-Request-Id") != "req_1" || w.Header().Get("Request-Id") != "" {
				t.Errorf("headers %v", w.Header())
			}
		})
	}
}
