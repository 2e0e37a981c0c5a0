package mockai

import (
	"fmt"
	"net/http"
	"strconv"
)

// A problem is an error answer, in either style.
type problem struct {
	status            int
	message           string
	kind, param, code string // OpenAI's; param and code may be empty, printed as null
	bigModelCode      string
	bigModelStatus    int // where BigModel's differs
}

var (
	errBadKey = &problem{
		status: http.StatusUnauthorized, message: "Incorrect API key provided.",
		kind: "invalid_request_error", code: "invalid_api_key", bigModelCode: "1002",
	}
	errStreamOptions = &problem{
		status: http.StatusBadRequest, message: "Unrecognized request argument supplied: stream_options",
		kind: "invalid_request_error", param: "stream_options", code: "unknown_parameter", bigModelCode: "1210",
	}
	errNotJSON = &problem{
		status: http.StatusBadRequest, message: "We could not parse the JSON body of your request.",
		kind: "invalid_request_error", bigModelCode: "1210",
	}
	errNotMultipart = &problem{
		status: http.StatusBadRequest, message: "We could not parse the multipart body of your request.",
		kind: "invalid_request_error", bigModelCode: "1210",
	}
)

var errNoTask = &problem{
	status: http.StatusNotFound, message: "The task does not exist.",
	kind: "invalid_request_error", code: "task_not_found", bigModelCode: "1214", bigModelStatus: http.StatusBadRequest,
}

func errMissing(param string) *problem {
	return &problem{
		status: http.StatusBadRequest, message: fmt.Sprintf("Missing required parameter: '%s'.", param),
		kind: "invalid_request_error", param: param, code: "missing_required_parameter", bigModelCode: "1213",
	}
}

func errInvalid(param, want string) *problem {
	return &problem{
		status: http.StatusBadRequest, message: fmt.Sprintf("Invalid value for '%s': expected %s.", param, want),
		kind: "invalid_request_error", param: param, code: "invalid_value", bigModelCode: "1214",
	}
}

func errNoRoute(method, path string) *problem {
	return &problem{
		status: http.StatusNotFound, message: fmt.Sprintf("Invalid URL (%s %s)", method, path),
		kind: "invalid_request_error", bigModelCode: "1222",
	}
}

func errMethod(method string) *problem {
	return &problem{
		status: http.StatusMethodNotAllowed, message: fmt.Sprintf("Not allowed to %s on this path", method),
		kind: "invalid_request_error", code: "method_not_supported", bigModelCode: "1212",
	}
}

func errNoModel(model string) *problem {
	return &problem{
		status: http.StatusNotFound, message: fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", model),
		kind: "invalid_request_error", code: "model_not_found", bigModelCode: "1211", bigModelStatus: http.StatusBadRequest,
	}
}

func errBadDirective(err error) *problem {
	return &problem{
		status: http.StatusBadRequest, message: err.Error(),
		kind: "invalid_request_error", param: "user", code: "invalid_mock_directive", bigModelCode: "1214",
	}
}

// errStatus is the error that a directive asked for.
func errStatus(status int) *problem {
	p := &problem{status: status, message: "The simulated upstream was told to fail: " + http.StatusText(status) + "."}
	switch {
	case status == http.StatusTooManyRequests:
		p.kind, p.code, p.bigModelCode = "requests", "rate_limit_exceeded", "1302"
	case status == http.StatusUnauthorized:
		p.kind, p.code, p.bigModelCode = "invalid_request_error", "invalid_api_key", "1002"
	case status >= http.StatusInternalServerError:
		p.kind, p.bigModelCode = "server_error", "500"
	default:
		p.kind, p.bigModelCode = "invalid_request_error", "1210"
	}
	return p
}

// append writes the error's JSON, in the style of the request. Messages are quoted as JSON, not as Go.
func (p *problem) append(dst []byte, r *request, requestID string) []byte {
	switch {
	case r.anthropic:
		return p.appendAnthropic(dst, requestID)
	case r.array:
		return append(p.appendGemini(append(dst, '[')), ']')
	case r.gemini:
		return p.appendGemini(dst)
	}
	if r.bigModel {
		dst = append(dst, `{"error":{"code":`...)
		dst = appendJSON(dst, p.bigModelCode)
		dst = append(dst, `,"message":`...)
		dst = appendJSON(dst, p.message)
		dst = append(dst, `},"request_id":`...)
		dst = appendJSON(dst, requestID)
		return append(dst, '}')
	}
	dst = append(dst, `{"error":{"message":`...)
	dst = appendJSON(dst, p.message)
	dst = append(dst, `,"type":`...)
	dst = appendJSON(dst, p.kind)
	dst = append(dst, `,"param":`...)
	dst = appendOrNull(dst, p.param)
	dst = append(dst, `,"code":`...)
	dst = appendOrNull(dst, p.code)
	return append(dst, "}}"...)
}

// refuse answers with an error.
func (a *answer) refuse(p *problem) {
	status := p.status
	if a.request.bigModel && p.bigModelStatus != 0 {
		status = p.bigModelStatus
	}
	body := p.append(nil, &a.request, a.id())
	a.head(status, "application/json", len(body))
	if _, err := a.w.Write(body); err != nil {
		a.server.counts.aborted.Add(1)
	}
}

func appendOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendJSON(dst, s)
}

// appendJSON quotes s for JSON.
func appendJSON(dst []byte, s string) []byte {
	plain := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		dst = append(dst, '"')
		dst = append(dst, s...)
		return append(dst, '"')
	}
	return appendEscaped(dst, s)
}

func appendEscaped(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			dst = append(dst, `\u00`...)
			if r < 0x10 {
				dst = append(dst, '0')
			}
			dst = strconv.AppendInt(dst, int64(r), 16)
		default:
			dst = append(dst, string(r)...)
		}
	}
	return append(dst, '"')
}
