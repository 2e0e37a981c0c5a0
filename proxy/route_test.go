package proxy

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// routed is a proxy without a ledger: enough for what is refused before a call.
func routed(t *testing.T) *Proxy {
	t.Helper()
	p := idleProxy()
	p.routing.Store(refusing(t, 429).routing)
	p.mux = p.routes()
	p.endpoints, p.modelEndpoints = callRoutes()
	return p
}

// The wrong method is told which is right, as OpenAI tells it: a mux alone would
// answer in plain text, without an id. What is no route is told so, whatever the method.
func TestWrongMethodsAndRoutes(t *testing.T) {
	p := routed(t)
	var told []Refused
	p.onRefusal = func(r Refused) { told = append(told, r) }
	for request, want := range map[string]struct {
		status      int
		code, allow string
	}{
		"GET /chat/completions":     {405, "method_not_allowed", "POST"},
		"PUT /embeddings":           {405, "method_not_allowed", "POST"},
		"GET /quote":                {405, "method_not_allowed", "POST"},
		"POST /models":              {405, "method_not_allowed", "GET"},
		"DELETE /models/a/b":        {405, "method_not_allowed", "GET"},
		"POST /key":                 {405, "method_not_allowed", "GET"},
		"POST /credits":             {405, "method_not_allowed", "GET"},
		"DELETE /receipts/x":        {405, "method_not_allowed", "GET"},
		"DELETE /async-result/x":    {405, "method_not_allowed", "GET"},
		"POST /bills/2026-11":       {405, "method_not_allowed", "GET"},
		"GET /receipts":             {404, "unknown_url", ""},
		"POST /files":               {404, "unknown_url", ""},
		"PUT /responses/resp_1":     {405, "method_not_allowed", "GET, DELETE"},
		"GET /responses/compact":    {405, "method_not_allowed", "POST"},
		"DELETE /responses/compact": {405, "method_not_allowed", "POST"},
		"POST /responses/resp_1":    {404, "unknown_url", ""}, // what OpenAI adds there is not known here
	} {
		method, path, _ := strings.Cut(request, " ")
		for _, prefix := range prefixes {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, prefix+path, http.NoBody))
			h, body := w.Header(), gjson.ParseBytes(w.Body.Bytes())
			if w.Code != want.status || body.Get("error.code").String() != want.code || h.Get("Allow") != want.allow {
				t.Errorf("%s: %d, allowed %q, %s", request, w.Code, h.Get("Allow"), body)
			}
			if body.Get("error.type").String() != kindInvalidRequest || !strings.Contains(body.Get("error.message").String(), method+" ") ||
				h.Get("X-Should-Retry") != "false" || h.Get("X-Tollgate-Cost") != "0" || h.Get("X-Tollgate-Currency") != "CNY" {
				t.Errorf("%s: %v %s", request, h, body)
			}
			if last := told[len(told)-1]; last.RequestID != h.Get("X-Request-Id") || last.Code != want.code {
				t.Errorf("%s: the observer was told %+v", request, last)
			}
		}
	}
}

// The key is taken from where SDKs put it, and from nowhere else.
func TestCredential(t *testing.T) {
	key, other := "tg-acme-"+strings.Repeat("x", 40), "tg-acme-"+strings.Repeat("y", 40)
	for name, c := range map[string]struct {
		headers []string
		known   bool
	}{
		"bearer":                          {[]string{"Authorization", "Bearer " + key}, true},
		"bearer in small letters, blanks": {[]string{"Authorization", "bearer  " + key + " "}, true},
		"x-api-key":                       {[]string{"X-Api-Key", key}, true},
		"api-key":                         {[]string{"Api-Key", key}, true},
		"x-goog-api-key":                  {[]string{"X-Goog-Api-Key", key}, true},
		"bearer before the others":        {[]string{"Authorization", "Bearer " + key, "X-Api-Key", other}, true},
		"x-api-key before api-key":        {[]string{"X-Api-Key", key, "Api-Key", other, "X-Goog-Api-Key", other}, true},
		"another scheme, and x-api-key":   {[]string{"Authorization", "Basic dXNlcjpwYXNz", "X-Api-Key", key}, true},
		"no scheme, and x-api-key":        {[]string{"Authorization", "dXNlcjpwYXNz", "X-Api-Key", key}, true},
		"another scheme":                  {[]string{"Authorization", "Basic " + key}, false},
		"no scheme":                       {[]string{"Authorization", key}, false},
		"the scheme alone":                {[]string{"Authorization", "Bearer"}, false},
		"a cookie":                        {[]string{"Cookie", key}, false},
		"none":                            {nil, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", http.NoBody)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		var want ledger.Credential
		if c.known {
			want, _ = ledger.ParseCredential(key)
		}
		if got, known := credential(r, meter.OpenAI); known != c.known || got != want {
			t.Errorf("%s: found %v, known %v", name, got, known)
		}
	}
}

// Google's clients may put the key into the query; nobody else's is looked for there, where logs would keep it.
func TestCredentialInTheQuery(t *testing.T) {
	key, other := "tg-acme-"+strings.Repeat("x", 40), "tg-acme-"+strings.Repeat("y", 40)
	for name, c := range map[string]struct {
		api    meter.API
		header string
		want   string
	}{
		"of the Gemini API":               {meter.Gemini, "", key},
		"of the Gemini API, and a header": {meter.Gemini, other, other},
		"of OpenAI's":                     {meter.OpenAI, "", ""},
		"of Anthropic's":                  {meter.Anthropic, "", ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/x?key="+key, http.NoBody)
		if c.header != "" {
			r.Header.Set("X-Goog-Api-Key", c.header)
		}
		want, known := ledger.ParseCredential(c.want)
		if got, is := credential(r, c.api); is != known || got != want {
			t.Errorf("%s: found %v, known %t", name, got, is)
		}
	}
}

// P8, and no key of ours goes to a provider, whichever way clients write it.
func TestUpstreamQuery(t *testing.T) {
	for query, want := range map[string]string{
		"":                      "",
		"b=2&a=1":               "a=1&b=2",
		"key=x&KEY=x&%6bey=x":   "",
		"api_key=x&Api_Key=x":   "",
		"api-key=x&API-Key=x":   "",
		"x-api-key=x&a=1":       "a=1",
		"model=o1-pro&Model=o1": "",
		"a=1&a=2&keys=3":        "a=1&a=2&keys=3",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions?"+query, http.NoBody)
		if got := upstreamQuery(r, meter.FindEndpoint("/chat/completions")); got != want {
			t.Errorf("%q: %q goes upstream, want %q", query, got, want)
		}
	}
}

// An SDK adds what its own vendor's base_url lacks: who gets it wrong is told by what they seem to use.
func TestWrongBaseURLs(t *testing.T) {
	p := routed(t)
	for asked, want := range map[string]string{
		"/v1/v1/chat/completions":   "Did you mean /v1/chat/completions? The base_url of an SDK ends in /v1, once.",
		"/v1/v1/messages":           "Did you mean /v1/messages? The base_url of Anthropic's SDKs is the address alone: they add /v1 themselves; others' ends in /v1.",
		"/messages":                 "Did you mean /v1/messages? The base_url of Anthropic's SDKs is the address alone: they add /v1 themselves; others' ends in /v1.",                      // the AI SDK's
		"/models/m:generateContent": "Did you mean /v1/models/m:generateContent? The base_url of Google's SDKs is the address alone: they add /v1beta themselves; others' ends in /v1beta.", // LiteLLM's
		"/chat/completions":         "Did you mean /v1/chat/completions? The base_url of an SDK ends in /v1, once.",
		"/models":                   "Did you mean /v1/models? The base_url of an SDK ends in /v1, once.",
		"/v1//chat/completions":     "Did you mean /v1/chat/completions? The base_url of an SDK ends in /v1, once.",
		"/v1/chat/completions/":     "Did you mean /v1/chat/completions? The base_url of an SDK ends in /v1, once.",
		"//chat/./completions":      "Did you mean /v1/chat/completions? The base_url of an SDK ends in /v1, once.",
		"/v1/moon":                  "Unmetered routes are not passed on.",
		"/v1betamax/models":         "Unmetered routes are not passed on.",
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, asked, http.NoBody))
		body := gjson.ParseBytes(w.Body.Bytes())
		code := cmp.Or(body.Get("error.details.0.reason").String(), body.Get("error.code").String()) // Gemini's code is the status
		if got := body.Get("error.message").String(); w.Code != 404 || code != "unknown_url" || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %d %s, want %q", asked, w.Code, body, want)
		}
	}
}

// Of the Gemini API's query goes upstream what is known to change nothing that is metered.
func TestQueryOfTheGeminiAPI(t *testing.T) {
	e := meter.FindEndpoint("/models/{model}:streamGenerateContent")
	for query, want := range map[string]struct {
		sent string
		ok   bool
	}{
		"":                           {"", true},
		"alt=sse&key=tg-a-b":         {"alt=sse", true},
		"alt=json&fields=candidates": {"alt=json", true},
		"$alt=proto&$.xgafv=2&callback=f&access_token=x&Alt=proto": {"", true},
		"alt=proto":       {"", false},
		"alt=sse&alt=sse": {"", false},
		"alt":             {"", false},
		"%61lt=media":     {"", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1beta/models/m:streamGenerateContent?"+query, http.NoBody)
		if err := checkQuery(r, e); (err == nil) != want.ok || err == nil && upstreamQuery(r, e) != want.sent {
			t.Errorf("%s: %v, sent %q", query, err, upstreamQuery(r, e))
		}
	}
}

// The routes of one API are not those of another behind the wrong prefix.
func TestRoutesKeepToTheirPrefixes(t *testing.T) {
	p := routed(t)
	for path, known := range map[string]bool{
		"/v1beta/models/m:generateContent": true, "/v1/models/m:generateContent": true, "/api/paas/v4/models/m:generateContent": false,
		"/v1beta/chat/completions": false, "/v1/models/m": false, "/v1/models/m:predict": false, "/v1/chat/completions": true, "/v1beta/v1beta/models/m:generateContent": false,
	} {
		if e, _ := p.endpoint(path); (e != nil) != known {
			t.Errorf("%s: known %t", path, !known)
		}
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1beta/models", http.NoBody))
	if body := gjson.ParseBytes(w.Body.Bytes()); w.Code != 405 || w.Header().Get("Allow") != "GET" || body.Get("error.code").Int() != 405 {
		t.Errorf("POST /v1beta/models: %d, allowed %q, %s", w.Code, w.Header().Get("Allow"), body)
	}
	for path, want := range map[string]string{
		"/v1/v1beta/models/m:generateContent": "Did you mean /v1beta/models/m:generateContent", "/v1beta/corpora": ":streamGenerateContent",
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, http.NoBody))
		if body := gjson.ParseBytes(w.Body.Bytes()); w.Code != 404 || body.Get("error.status").Str != "NOT_FOUND" || !strings.Contains(body.Get("error.message").Str, want) {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
	}
}
