package proxy

import (
	"encoding/json"
	"net/http"

	"github.com/tollgate/tollgate/meter"
)

// bodyFor is the error as the clients of an API read it.
func (e *apiError) bodyFor(api meter.API, requestID string) []byte {
	if api == meter.Anthropic {
		return e.anthropicBody(requestID)
	}
	return e.body()
}

// anthropicBody is Anthropic's shape, with our code and metadata in its error.
func (e *apiError) anthropicBody(requestID string) []byte {
	type inner struct {
		Type     string    `json:"type"`
		Message  string    `json:"message"`
		Code     string    `json:"code"`
		Metadata *metadata `json:"metadata,omitempty"`
	}
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Error     inner  `json:"error"`
		RequestID string `json:"request_id"`
	}{"error", inner{e.anthropicType(), e.message, e.code, e.metadata}, requestID})
	if err != nil {
		return []byte(`{"type":"error","error":{"type":"api_error","message":"internal error","code":"internal_error"}}`)
	}
	return append(body, '\n')
}

// anthropicType is what Anthropic calls an error of this status, but for a lack of quota,
// which it knows apart from too many requests.
func (e *apiError) anthropicType() string {
	if e.kind == kindQuota {
		return "billing_error"
	}
	switch e.status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	}
	if e.status < http.StatusInternalServerError {
		return "invalid_request_error"
	}
	return "api_error"
}
