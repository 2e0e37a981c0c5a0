package proxy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// apiError is an answer in OpenAI's error shape, {"error":{message,type,param,code}}, or
// in that of the API whose route was asked (error_dialects.go).
type apiError struct {
	status         int
	code, kind     string
	message, param string
	metadata       *metadata
	retryAfter     time.Duration // 0: none
	final          bool          // tells SDKs not to retry: x-should-retry: false
	standing       *ledger.Standing
}

// metadata explains a quota refusal in numbers. Required, Available and Held
// are decimal strings for money, numbers for what is counted.
type metadata struct {
	Limit                  string     `json:"limit"`
	Required               any        `json:"required"`
	Available              any        `json:"available"`
	Held                   any        `json:"held,omitempty"`
	AffordableOutputTokens *int64     `json:"affordable_output_tokens"`
	ResetsAt               *time.Time `json:"resets_at,omitempty"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

// write sends the error, as an API has it. It is the only place where an error of ours becomes bytes.
func (e *apiError) write(w http.ResponseWriter, requestID string, api meter.API) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	writeRequestID(h, requestID, api)
	if e.final {
		h.Set("X-Should-Retry", "false")
	}
	if e.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.retryAfter.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(e.retryAfter.Milliseconds(), 10))
	}
	if e.standing != nil {
		writeStanding(h, e.standing)
	}
	body := e.bodyFor(api, requestID)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	_, _ = w.Write(body)
}

func (e *apiError) body() []byte {
	type inner struct {
		Message  string    `json:"message"`
		Type     string    `json:"type"`
		Param    *string   `json:"param"`
		Code     string    `json:"code"`
		Metadata *metadata `json:"metadata,omitempty"`
	}
	in := inner{Message: e.message, Type: e.kind, Code: e.code, Metadata: e.metadata}
	if e.param != "" {
		in.Param = &e.param
	}
	body, err := json.Marshal(map[string]inner{"error": in})
	if err != nil {
		return []byte(`{"error":{"message":"internal error","type":"server_error","param":null,"code":"internal_error"}}`)
	}
	return append(body, '\n')
}

const (
	kindInvalidRequest = "invalid_request_error"
	kindQuota          = "insufficient_quota"
	kindRateLimit      = "rate_limit_error"
	kindServer         = "server_error"

	codeInvalidKey    = "invalid_api_key"
	codeUpstreamError = "upstream_error" // see errUpstreamsOwn
	codeUnavailable   = "metering_unavailable"
	codeModelNotFound = "model_not_found"
	codeNetwork       = "network_not_allowed"
)

// errInvalidKey begins as OpenAI's does: LiteLLM recognizes an error about the key by
// these words.
func errInvalidKey(why string) *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: codeInvalidKey, kind: kindInvalidRequest, final: true,
		message: "Incorrect API key provided" + why,
	}
}

func errNoKey() *apiError {
	return errInvalidKey(", or none. Send it as 'Authorization: Bearer tg-…'; keys are made by your administrator.")
}

func errInvalidRequest(param, message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "invalid_request", kind: kindInvalidRequest, param: param, message: message, final: true}
}

func errTooLarge(limit int64) *apiError {
	return &apiError{
		status: http.StatusRequestEntityTooLarge, code: "request_too_large", kind: kindInvalidRequest, final: true,
		message: fmt.Sprintf("The request body is larger than the %d bytes that this gateway takes.", limit),
	}
}

func errUnknownModel(model string) *apiError {
	return &apiError{
		status: http.StatusNotFound, code: codeModelNotFound, kind: kindInvalidRequest, param: "model", final: true,
		message: fmt.Sprintf("The model '%s' does not exist here. GET /v1/models lists those that you may use.", model),
	}
}

func errNotServed(model string, asked, served *meter.Endpoint) *apiError {
	e := errUnknownModel(model)
	e.message = fmt.Sprintf("The model '%s' is not served at %s here: its provider has %s.", model, routeOf(asked, model), routeOf(served, model))
	return e
}

// routeOf is where clients find an endpoint.
func routeOf(e *meter.Endpoint, model string) string { return prefixesOf(e.API)[0] + e.PathFor(model) }

// errNoObject is about an object that the account does not have, or not where it would have to be. An object of
// another account is answered like one that does not exist.
func errNoObject(param, message string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "object_not_found", kind: kindInvalidRequest, param: param, message: message, final: true}
}

// errStored is about an object that is not known to be the account's.
func errStored(what *meter.RequestError) *apiError { return errNoObject(what.Param, what.Message) }

// errNotMade is about a task or a response that the account has not made.
func errNotMade(what string) *apiError {
	return errNoObject("", "The "+what+" does not exist, or no longer.")
}

// errKeptElsewhere is about an answer that none of those who serve the model have.
func errKeptElsewhere(model string) *apiError {
	return errNoObject("previous_response_id",
		fmt.Sprintf("The response is kept by another provider than that of the model '%s'. Go on with the model that gave it.", model))
}

// errKeptApart is about answers, or items of such, that no one upstream has.
func errKeptApart() *apiError {
	return errNoObject("", "The responses and items that are named by their ids are kept by different providers. Name those of one, and send the others as they are.")
}

// errUnpriced is about a model that is served, but not priced as it was asked for.
func (c *call) errUnpriced() *apiError {
	what := c.endpoint.Name
	if c.request != nil && len(c.request.Attributes) > 0 {
		what += fmt.Sprintf(" with %.100s", c.request.Attributes)
	}
	if tools := c.unpricedTools(); len(tools) > 0 {
		what += " with the hosted tools " + strings.Join(tools, ", ")
	}
	return errNoPrice(c.model(), what)
}

// unpricedTools are the hosted tools of the request without which it would have a price.
func (c *call) unpricedTools() (names []string) {
	if c.request == nil {
		return nil
	}
	for _, use := range c.request.Tools {
		for i := range c.candidates {
			_, err := c.routing.book.Quote(c.priceQuery(c.candidates[i].Name), &meter.Quantities{}, []meter.ToolUse{use})
			if errors.Is(err, meter.ErrUnpriced) && c.routing.book.Priced(c.model(), c.endpoint.Class, c.at) {
				names = append(names, use.Tool)
				break
			}
		}
	}
	return names
}

func errNoPrice(model, what string) *apiError {
	e := errUnknownModel(model)
	e.message = fmt.Sprintf("The model '%s' has no price here for %s, and what has no price is refused. GET /v1/models lists models and prices.", model, what)
	return e
}

func errUnknownRoute(r *http.Request, meant string, api meter.API) *apiError {
	why := "Unmetered routes are not passed on."
	switch {
	case api == meter.Gemini && meant != "":
		why = fmt.Sprintf("Did you mean %s? The base_url of Google's SDKs is the address alone: they add %s themselves; others' ends in %[2]s.", meant, geminiPrefixes[0])
	case api == meter.Gemini:
		why = "Of the Gemini API there are POST " + geminiPrefixes[0] + "/models/{model}:generateContent, :streamGenerateContent, :embedContent, :batchEmbedContents and " +
			":countTokens, for models by their names alone, and GET " + geminiPrefixes[0] + "/models. " + why
	case meant == "":
	case api == meter.Anthropic:
		why = fmt.Sprintf("Did you mean %s? The base_url of Anthropic's SDKs is the address alone: they add %s themselves; others' ends in %[2]s.", meant, prefixes[0])
	default:
		why = fmt.Sprintf("Did you mean %s? The base_url of an SDK ends in %s, once.", meant, prefixes[0])
	}
	return &apiError{
		status: http.StatusNotFound, code: "unknown_url", kind: kindInvalidRequest, final: true,
		message: fmt.Sprintf("Unknown request URL: %s %s. %s", r.Method, r.URL.Path, why),
	}
}

func errMethod(r *http.Request, allowed string) *apiError {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "method_not_allowed", kind: kindInvalidRequest, final: true,
		message: fmt.Sprintf("%s is not allowed for %s: use %s.", r.Method, r.URL.Path, allowed),
	}
}

func errMetering() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: codeUnavailable, kind: kindServer, retryAfter: time.Second,
		message: "The metering ledger is not available at the moment, so no call can be admitted. This says nothing about your balance.",
	}
}

// errUnbooked is for a call that was made: its charge could not be booked, so
// its answer, or the rest of it, is withheld. A charge that is booked all the same has
// its receipt by the id of the request that it is of.
func errUnbooked(id string) *apiError {
	e := errMetering()
	e.message = "The upstream answered, but the charge could not be booked because the metering ledger is not available at the moment; so the answer is withheld. Should it be charged all the same, there is a receipt of request " + id + ". This says nothing about your balance."
	return e
}

func errDraining() *apiError {
	return &apiError{
		status: http.StatusServiceUnavailable, code: "shutting_down", kind: kindServer, retryAfter: time.Second,
		message: "This gateway is shutting down; please send the request again.",
	}
}

func errUpstreamAway(reason string) *apiError {
	return &apiError{
		status: http.StatusBadGateway, code: "upstream_unavailable", kind: kindServer,
		message: "The model's provider could not be reached or broke off: " + reason + ". Nothing was charged.",
	}
}

func errUpstreamSlow() *apiError {
	return &apiError{
		status: http.StatusGatewayTimeout, code: "upstream_timeout", kind: kindServer,
		message: "The model's provider did not answer in time. Nothing was charged.",
	}
}

// errUpstreamsOwn stands for an upstream's own error, which is passed on as it is: in log, metrics and
// observers.
func errUpstreamsOwn(status int) *apiError {
	return &apiError{status: status, code: codeUpstreamError, message: "the upstream's own error"}
}

func errInternal() *apiError {
	return &apiError{status: http.StatusInternalServerError, code: "internal_error", kind: kindServer, message: "Internal error."}
}

// asAPIError maps what went wrong before the call was forwarded. Reading the
// request, pricing it and the ledger each have their own errors; here they meet HTTP.
func (c *call) asAPIError(err error) *apiError {
	var (
		refusal *ledger.Refusal
		bad     *meter.RequestError
		big     *http.MaxBytesError
		ours    *apiError
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &refusal):
		return c.refusalError(refusal)
	case errors.As(err, &bad):
		return errInvalidRequest(bad.Param, bad.Message)
	case errors.As(err, &big):
		return errTooLarge(big.Limit)
	case errors.Is(err, meter.ErrUnpriced):
		return c.errUnpriced()
	case errors.Is(err, meter.ErrAmountRange):
		return errInvalidRequest("", "The request could cost more than one request can be charged; lower "+c.limitName()+" or the number of choices.")
	case errors.Is(err, ledger.ErrInvalid):
		return errInvalidRequest("", "The request cannot be paid for as it is: "+err.Error()+".")
	case errors.Is(err, ledger.ErrUnavailable), errors.Is(err, ledger.ErrClock):
		return errMetering()
	}
	return errInternal()
}

// refusalError is the table of refusals in docs/errors.md.
func (c *call) refusalError(r *ledger.Refusal) *apiError {
	forbidden := func(code, param, message string, left *ledger.Standing) *apiError {
		return &apiError{status: http.StatusForbidden, code: code, kind: kindInvalidRequest, param: param, message: message, final: true, standing: left}
	}
	switch r.Reason {
	case ledger.KeyInvalid:
		return errInvalidKey(".")
	case ledger.KeyRevoked:
		return errInvalidKey(": it has been revoked.")
	case ledger.KeyExpired:
		return errInvalidKey(": it has expired.")
	case ledger.AccountSuspended:
		return forbidden("account_suspended", "", "This account is suspended. Please ask its administrator.", nil)
	case ledger.NetworkNotAllowed:
		return forbidden(codeNetwork, "", "This API key may not be used from your network address.", nil)
	case ledger.ModelNotAllowed:
		return forbidden("model_not_allowed", "model", fmt.Sprintf("This API key may not use the model '%s'. GET /v1/models lists those that it may.", c.model()), &r.Standing)
	case ledger.EndpointNotAllowed:
		return forbidden("model_not_allowed", "",
			fmt.Sprintf("This API key may not use the endpoint '%s', which %s is. GET /v1/key has its limits.", c.endpoint.Name, routeOf(c.endpoint, c.model())), &r.Standing)
	case ledger.RateLimited, ledger.TooManyParallel:
		return rateLimitError(r)
	case ledger.InsufficientFunds, ledger.KeySpendExhausted, ledger.InFlight:
		return c.quotaError(r)
	}
	return errInternal()
}

func rateLimitError(r *ledger.Refusal) *apiError {
	e := &apiError{
		status: http.StatusTooManyRequests, code: "rate_limit_exceeded", kind: "requests",
		retryAfter: max(r.RetryAfter, 50*time.Millisecond), standing: &r.Standing,
	}
	switch {
	case r.Reason == ledger.TooManyParallel:
		e.retryAfter = time.Second
		e.message = fmt.Sprintf("This API key has as many requests in flight as it may have at once: %d. Please try again when one has ended.", r.Held)
	case r.Limit == "key.tpm":
		e.kind = "tokens"
		e.message = fmt.Sprintf("Rate limit reached for tokens per minute: limit %d, requested %d. Please try again in %s.",
			r.Standing.Tokens.Limit, r.Required, e.retryAfter.Round(time.Millisecond))
	default:
		e.message = fmt.Sprintf("Rate limit reached for requests per minute: limit %d. Please try again in %s.",
			r.Standing.Requests.Limit, e.retryAfter.Round(time.Millisecond))
	}
	return e
}

// limitName is what the client calls the limit of its output.
func (c *call) limitName() string { return cmp.Or(c.endpoint.Limit, "max_tokens") }

// inFlightRetry is short enough for every official SDK to honour.
const inFlightRetry = 2 * time.Second

func (c *call) quotaError(r *ledger.Refusal) *apiError {
	m := &metadata{Limit: r.Limit, Required: meter.Nano(r.Required), Available: meter.Nano(r.Available), Held: meter.Nano(r.Held)}
	unit := c.currency()
	if r.Counted {
		m.Required, m.Available, m.Held = r.Required, r.Available, r.Held
		unit = "tokens"
	}
	if !r.ResetsAt.IsZero() {
		m.ResetsAt = &r.ResetsAt
	}
	m.AffordableOutputTokens = c.affordableOutput(r)
	need := fmt.Sprintf("It needs up to %v %s; available: %v (limit: %s).", m.Required, unit, m.Available, r.Limit)
	if m.ResetsAt != nil {
		need += " It begins anew at " + m.ResetsAt.Format(time.RFC3339) + "."
	}
	if n := m.AffordableOutputTokens; n != nil && *n > 0 {
		need += fmt.Sprintf(" With %s of at most %d it would fit.", c.limitName(), *n)
	}
	e := &apiError{metadata: m, standing: &r.Standing}
	switch r.Reason {
	case ledger.InFlight:
		e.status, e.code, e.kind, e.retryAfter = http.StatusTooManyRequests, "in_flight_quota_exhausted", kindRateLimit, inFlightRetry
		e.message = "Your quota covers this request, but for what your own requests in flight hold. Please try again when they have ended. " + need
	case ledger.KeySpendExhausted:
		e.status, e.code, e.kind, e.final = c.proxy.policy.QuotaStatus, "key_quota_exceeded", kindQuota, true
		e.message = "A limit of this API key's own does not cover this request. " + need
	default:
		e.status, e.code, e.kind, e.final = c.proxy.policy.QuotaStatus, "insufficient_quota", kindQuota, true
		e.message = "You exceeded your current quota: balance and packs do not cover this request. " + need
	}
	return e
}
