package proxy

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// The table of docs/errors.md, by what the ledger and the readers say.
func TestEveryRefusalHasItsAnswer(t *testing.T) {
	refusal := func(reason ledger.Reason) error {
		return &ledger.Refusal{Reason: reason, Limit: "balance", Required: 2e9, Available: 5e8}
	}
	for name, tc := range map[string]struct {
		err        error
		status     int
		code, kind string
		final      bool
		retryAfter string // and in ms
		param      any
		left       bool // what is left is told
	}{
		"no key":          {errNoKey(), 401, "invalid_api_key", "invalid_request_error", true, "", nil, false},
		"unknown key":     {refusal(ledger.KeyInvalid), 401, "invalid_api_key", "invalid_request_error", true, "", nil, false},
		"revoked":         {refusal(ledger.KeyRevoked), 401, "invalid_api_key", "invalid_request_error", true, "", nil, false},
		"expired":         {refusal(ledger.KeyExpired), 401, "invalid_api_key", "invalid_request_error", true, "", nil, false},
		"suspended":       {refusal(ledger.AccountSuspended), 403, "account_suspended", "invalid_request_error", true, "", nil, false},
		"network":         {refusal(ledger.NetworkNotAllowed), 403, "network_not_allowed", "invalid_request_error", true, "", nil, false},
		"model":           {refusal(ledger.ModelNotAllowed), 403, "model_not_allowed", "invalid_request_error", true, "", "model", true},
		"endpoint":        {refusal(ledger.EndpointNotAllowed), 403, "model_not_allowed", "invalid_request_error", true, "", nil, true},
		"funds":           {refusal(ledger.InsufficientFunds), 429, "insufficient_quota", "insufficient_quota", true, "", nil, true},
		"key spend":       {refusal(ledger.KeySpendExhausted), 429, "key_quota_exceeded", "insufficient_quota", true, "", nil, true},
		"in flight":       {refusal(ledger.InFlight), 429, "in_flight_quota_exhausted", "rate_limit_error", false, "2 2000", nil, true},
		"rate":            {&ledger.Refusal{Reason: ledger.RateLimited, Limit: "key.rpm", RetryAfter: 1500 * time.Millisecond}, 429, "rate_limit_exceeded", "requests", false, "2 1500", nil, true},
		"rate, room now":  {&ledger.Refusal{Reason: ledger.RateLimited, Limit: "key.rpm"}, 429, "rate_limit_exceeded", "requests", false, "1 50", nil, true},
		"token rate":      {&ledger.Refusal{Reason: ledger.RateLimited, Limit: "key.tpm", RetryAfter: 3 * time.Second}, 429, "rate_limit_exceeded", "tokens", false, "3 3000", nil, true},
		"parallel":        {refusal(ledger.TooManyParallel), 429, "rate_limit_exceeded", "requests", false, "1 1000", nil, true},
		"ledger away":     {ledger.ErrUnavailable, 503, "metering_unavailable", "server_error", false, "1 1000", nil, false},
		"clocks apart":    {ledger.ErrClock, 503, "metering_unavailable", "server_error", false, "1 1000", nil, false},
		"not booked":      {errUnbooked("req_1"), 503, "metering_unavailable", "server_error", false, "1 1000", nil, false},
		"shutting down":   {errDraining(), 503, "shutting_down", "server_error", false, "1 1000", nil, false},
		"unknown model":   {errUnknownModel("m"), 404, "model_not_found", "invalid_request_error", true, "", "model", false},
		"unpriced":        {meter.ErrUnpriced, 404, "model_not_found", "invalid_request_error", true, "", "model", false},
		"bad request":     {&meter.RequestError{Param: "n", Message: "no"}, 400, "invalid_request", "invalid_request_error", true, "", "n", false},
		"too dear":        {meter.ErrAmountRange, 400, "invalid_request", "invalid_request_error", true, "", nil, false},
		"too large":       {&http.MaxBytesError{Limit: 1}, 413, "request_too_large", "invalid_request_error", true, "", nil, false},
		"upstream away":   {errUpstreamAway("x"), 502, "upstream_unavailable", "server_error", false, "", nil, false},
		"upstream silent": {errUpstreamSlow(), 504, "upstream_timeout", "server_error", false, "", nil, false},
		"a fault of ours": {errors.New("x"), 500, "internal_error", "server_error", false, "", nil, false},
		"a new reason":    {refusal("moon"), 500, "internal_error", "server_error", false, "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := refusing(t, 429)
			w := httptest.NewRecorder()
			c.asAPIError(tc.err).write(w, "req_1", meter.OpenAI)
			var body struct {
				Error map[string]any `json:"error"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != tc.status || body.Error["code"] != tc.code || body.Error["type"] != tc.kind {
				t.Errorf("got %d %v, want %d %s (%s)", w.Code, body.Error, tc.status, tc.code, tc.kind)
			}
			if param, has := body.Error["param"]; !has || param != tc.param {
				t.Errorf("param is %v, want %v", param, tc.param)
			}
			if body.Error["message"] == "" {
				t.Error("it says nothing")
			}
			if got := w.Header().Get("X-Should-Retry") == "false"; got != tc.final {
				t.Errorf("x-should-retry: false is %v, want %v", got, tc.final)
			}
			h := w.Header()
			if got := strings.TrimSpace(h.Get("Retry-After") + " " + h.Get("Retry-After-Ms")); got != tc.retryAfter {
				t.Errorf("Retry-After and in ms = %q, want %q", got, tc.retryAfter)
			}
			if got := h.Get("X-Tollgate-Balance-Recharge") != ""; got != tc.left {
				t.Errorf("it tells what is left: %v, want %v", got, tc.left)
			}
			if h.Get("X-Request-Id") != "req_1" || h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
				t.Errorf("headers %v", h)
			}
		})
	}
}

func TestQuotaStatusIsTheOperators(t *testing.T) {
	c := refusing(t, 402)
	for reason, want := range map[ledger.Reason]int{ledger.InsufficientFunds: 402, ledger.KeySpendExhausted: 402, ledger.InFlight: 429} {
		if got := c.refusalError(&ledger.Refusal{Reason: reason}).status; got != want {
			t.Errorf("%s answers %d, want %d", reason, got, want)
		}
	}
}

func TestQuotaErrorExplainsItselfInNumbers(t *testing.T) {
	c := refusing(t, 429)
	e := c.refusalError(&ledger.Refusal{Reason: ledger.InsufficientFunds, Limit: "balance", Required: 2_000_000_000, Available: 500_000_000, Held: 1})
	var got struct {
		Error struct {
			Metadata map[string]any `json:"metadata"`
		} `json:"error"`
	}
	if err := json.Unmarshal(e.body(), &got); err != nil {
		t.Fatal(err)
	}
	m := got.Error.Metadata
	if m["limit"] != "balance" || m["required"] != "2" || m["available"] != "0.5" || m["held"] != "0.000000001" {
		t.Errorf("metadata = %v", m)
	}
	if at, has := m["resets_at"]; has {
		t.Errorf("a balance resets at %v", at)
	}
	daily := c.refusalError(&ledger.Refusal{Reason: ledger.KeySpendExhausted, Limit: "key.spend_daily", ResetsAt: time.Unix(0, 0).UTC()})
	if body := string(daily.body()); !strings.Contains(body, `"resets_at":"1970-01-01T00:00:00Z"`) || !strings.Contains(body, "It begins anew at 1970-01-01T00:00:00Z.") {
		t.Errorf("a day's limit says %s", body)
	}
	if strings.Contains(e.message, "anew") {
		t.Errorf("a balance says %s", e.message)
	}
}

// Who may not use a model or an endpoint is told which it is, and where those stand that it may.
func TestWhatAKeyMayNotUseIsNamed(t *testing.T) {
	c := refusing(t, 429)
	c.request = &meter.Request{Model: "gpt-4o"}
	for reason, want := range map[ledger.Reason]string{
		ledger.ModelNotAllowed:    "This API key may not use the model 'gpt-4o'. GET /v1/models lists those that it may.",
		ledger.EndpointNotAllowed: "This API key may not use the endpoint 'chat', which /v1/chat/completions is. GET /v1/key has its limits.",
	} {
		if got := c.refusalError(&ledger.Refusal{Reason: reason}).message; got != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
}

// What would fit is said in words too; that nothing would is no advice.
func TestQuotaMessageSaysWhatWouldFit(t *testing.T) {
	c := refusing(t, 429)
	var err error
	if c.request, err = c.endpoint.ReadRequest("application/json", []byte(`{"model":"m","max_tokens":100,"messages":[]}`), meter.ReadOptions{}); err != nil {
		t.Fatal(err)
	}
	c.candidates = []candidate{{upstream: &upstream{}}}
	for more, want := range map[int64]string{4: "max_tokens of at most 4 ", 0: "", -5: ""} {
		left := c.request.Ceiling[meter.Input] + more
		e := c.refusalError(&ledger.Refusal{Reason: ledger.KeySpendExhausted, Limit: "key.tokens", KeyTokensLeft: &left, Cash: meter.MaxCharge})
		if !strings.Contains(e.message, want) || strings.Contains(e.message, "max_tokens") != (want != "") {
			t.Errorf("with %d tokens more than the prompt: %s", more, e.message)
		}
	}
}

// A number without its unit is half an explanation.
func TestQuotaMessagesNameTheirUnits(t *testing.T) {
	c := refusing(t, 429)
	for want, refusal := range map[string]ledger.Refusal{
		"up to 2 CNY; available: 0.5 (limit: balance)":    {Reason: ledger.InsufficientFunds, Limit: "balance", Required: 2e9, Available: 5e8},
		"up to 2 CNY; available: 0.5 (limit: key.spend":   {Reason: ledger.KeySpendExhausted, Limit: "key.spend_total", Required: 2e9, Available: 5e8},
		"up to 4161 tokens; available: 3000 (limit: key.": {Reason: ledger.KeySpendExhausted, Limit: "key.tpm", Required: 4161, Available: 3000, Counted: true},
	} {
		if got := c.refusalError(&refusal).message; !strings.Contains(got, want) {
			t.Errorf("got %q, want it to say %q", got, want)
		}
	}
}

// A model that is served, and not priced as it was asked for, is another slip
// than one that is not there.
func TestUnpricedSaysWhatHasNoPrice(t *testing.T) {
	c := refusing(t, 429)
	c.endpoint = meter.FindEndpoint("/images/generations")
	c.request = &meter.Request{Model: "dall-e-2", Attributes: meter.Attributes{"size": "5x5", "quality": strings.Repeat("x", 1000)}}
	got := c.asAPIError(meter.ErrUnpriced).message
	if !strings.Contains(got, "'dall-e-2' has no price here for images with quality=xxx") || len(got) > 300 {
		t.Errorf("got %q", got)
	}
	c.request.Attributes["quality"] = "hd"
	if got := c.asAPIError(meter.ErrUnpriced).message; !strings.Contains(got, "for images with quality=hd, size=5x5,") {
		t.Errorf("got %q", got)
	}
	c.request.Attributes = nil
	if got := c.asAPIError(meter.ErrUnpriced).message; !strings.Contains(got, "for images,") {
		t.Errorf("got %q", got)
	}
}

// refusing is a chat call that comes to nothing.
func refusing(t *testing.T, quotaStatus int) *call {
	t.Helper()
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{
		Name: "p.yaml", Data: []byte("currency: CNY\nprices:\n  - {models: [m], rates: {input: 1, output: 1}}\n"),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return &call{
		proxy: &Proxy{policy: Policy{QuotaStatus: quotaStatus}}, routing: &routing{book: book},
		endpoint: meter.FindEndpoint("/chat/completions"),
	}
}

func TestCashBesidePacksIsTheLedgers(t *testing.T) {
	quote := &meter.Charge{Lines: []meter.Line{
		{Dimension: meter.Input, Quantity: 1000, Rate: meter.Rate{Pico: 2_000_000}, Amount: 1_900_000}, // its tier ends at 950
		{Dimension: meter.Output, Quantity: 500, Rate: meter.Rate{Pico: 8_000_000}, Amount: 4_000_001}, // a nano for roundings
		{Dimension: meter.Search, Quantity: 1, Amount: 10},
	}}
	for free, want := range map[int64]meter.Nano{0: 5_900_011, 300: 4_800_011, 1: 5_892_011, 30: 5_820_011, 1500: 10, 9999: 10} {
		if got := cashBesidePacks(quote, 1500, free); got != want {
			t.Errorf("with %d of packs: %d, want %d", free, got, want)
		}
	}
}

// LiteLLM takes an invalid_request_error for a BadRequestError, unless it says
// this: its users catch AuthenticationError.
func TestABadKeyIsToldInOpenAIsWords(t *testing.T) {
	c := refusing(t, 429)
	for name, err := range map[string]error{
		"none, or none of ours": errNoKey(),
		"unknown":               &ledger.Refusal{Reason: ledger.KeyInvalid},
		"revoked":               &ledger.Refusal{Reason: ledger.KeyRevoked},
		"expired":               &ledger.Refusal{Reason: ledger.KeyExpired},
	} {
		if e := c.asAPIError(err); !strings.HasPrefix(e.message, "Incorrect API key provided") {
			t.Errorf("%s: %q", name, e.message)
		}
	}
}
