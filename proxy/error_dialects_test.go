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
