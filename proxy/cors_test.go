package proxy

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
)

// What a browser is told, and what a cache in between: only a page that may call is told anything, and only an OPTIONS that asks
// for a method is a preflight.
func TestCrossOrigin(t *testing.T) {
	const page = "https://chat.example.com"
	told := func(vary string, more ...string) http.Header {
		h := http.Header{"Vary": {vary}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	may := told("Origin", "Access-Control-Allow-Origin", page, "Access-Control-Expose-Headers", "*")
	preflight := told("Origin, Access-Control-Request-Headers", "Access-Control-Allow-Origin", page, "Access-Control-Expose-Headers", "*",
		"Access-Control-Allow-Methods", "GET, POST, DELETE", "Access-Control-Allow-Headers", "authorization", "Access-Control-Max-Age", "7200")
	for name, c := range map[string]struct {
		allowed             []string
		method, origin, ask string
		want                http.Header
		preflight           bool
	}{
		"nobody may":                          {nil, "OPTIONS", page, "POST", http.Header{}, false},
		"a call from no page":                 {[]string{"*"}, "POST", "", "", http.Header{}, false},
		"an OPTIONS from no page":             {[]string{"*"}, "OPTIONS", "", "POST", http.Header{}, false},
		"another page":                        {[]string{"https://a.example"}, "OPTIONS", page, "POST", told("Origin"), false},
		"a page whose name begins so":         {[]string{page}, "POST", page + ".evil.example", "", told("Origin"), false},
		"a call":                              {[]string{"https://a.example", page}, "POST", page, "", may, false},
		"a call of any page":                  {[]string{"*"}, "POST", page, "", may, false},
		"a preflight":                         {[]string{"https://a.example", page}, "OPTIONS", page, "POST", preflight, true},
		"an OPTIONS that asks for nothing":    {[]string{page}, "OPTIONS", page, "", may, false},
		"a call that has a preflight's words": {[]string{page}, "POST", page, "POST", may, false},
	} {
		p := &Proxy{policy: Policy{CORSOrigins: c.allowed}}
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/v1/chat/completions", http.NoBody)
		for header, value := range map[string]string{"Origin": c.origin, "Access-Control-Request-Method": c.ask, "Access-Control-Request-Headers": "authorization"} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		h := http.Header{}
		if is := p.crossOrigin(h, r); is != c.preflight || !reflect.DeepEqual(h, c.want) {
			t.Errorf("%s: preflight %t, told %v, want %v", name, is, h, c.want)
		}
	}
}
