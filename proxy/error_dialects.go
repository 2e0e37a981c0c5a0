package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// bodyFor is the error as the clients of an API read it.
func (e *apiError) bodyFor(api meter.API, requestID string) []byte {
	switch api {
	case meter.Anthropic:
		return e.anthropicBody(requestID)
	case meter.Gemini:
		return e.geminiBody()
	case meter.OpenAI, meter.Responses, meter.BigModel:
	}
	return e.body()
}

// geminiBody is Gemini's shape, with our code as the reason of its first detail, and our metadata as
// its, all of it text. The second is for clients that look for how long to wait there alone.
func (e *apiError) geminiBody() []byte {
	type detail struct {
		Type       string            `json:"@type"`
		Reason     string            `json:"reason,omitempty"`
		Domain     string            `json:"domain,omitempty"`
		Metadata   map[string]string `json:"metadata,omitempty"`
		RetryDelay string            `json:"retryDelay,omitempty"`
	}
	type inner struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Status  string   `json:"status"`
		Details []detail `json:"details"`
	}
	details := []detail{{Type: "type.googleapis.com/google.rpc.ErrorInfo", Reason: e.code, Domain: "tollgate", Metadata: e.metadata.texts()}}
	if e.retryAfter > 0 {
		delay := strconv.FormatFloat(e.retryAfter.Seconds(), 'f', -1, 64) + "s"
		details = append(details, detail{Type: "type.googleapis.com/google.rpc.RetryInfo", RetryDelay: delay})
	}
	body, err := json.Marshal(map[string]inner{"error": {e.status, e.message, e.geminiStatus(), details}})
	if err != nil {
		return []byte(`{"error":{"code":500,"message":"internal error","status":"INTERNAL","details":[{"reason":"internal_error"}]}}`)
	}
	return append(body, '\n')
}

// texts are the members as text.
func (m *metadata) texts() map[string]string {
	if m == nil {
		return nil
	}
	texts := map[string]string{"limit": m.Limit, "required": fmt.Sprint(m.Required), "available": fmt.Sprint(m.Available)}
	if m.Held != nil {
		texts["held"] = fmt.Sprint(m.Held)
	}
	if m.AffordableOutputTokens != nil {
		texts["affordable_output_tokens"] = strconv.FormatInt(*m.AffordableOutputTokens, 10)
	}
	if m.ResetsAt != nil {
		texts["resets_at"] = m.ResetsAt.Format(time.RFC3339)
	}
	return texts
}

// geminiStatus is what Google's APIs call an error of this status.
func (e *apiError) geminiStatus() string {
	if e.kind == kindQuota {
		return "RESOURCE_EXHAUSTED"
	}
	switch e.status {
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusInternalServerError:
		return "INTERNAL"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	}
	if e.status < http.StatusInternalServerError {
		return "INVALID_ARGUMENT"
	}
	return "UNAVAILABLE"
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

// anthropicType is what Anthropic calls an error of this status. Lack of quota has a type
// of its own there, apart from too many requests.
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
