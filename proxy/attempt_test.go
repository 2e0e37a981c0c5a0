package proxy

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// Whatever the client says in Content-Type, and how often: the upstream is told
// once, what the body was read as here.
func TestTheUpstreamReadsTheBodyAsWeDid(t *testing.T) {
	const body = `{"model":"m"}`
	for name, types := range map[string][]string{
		"none": nil, "ours": {"application/json"}, "twice": {"application/json", "text/plain"}, "another": {"text/plain"},
		"with a charset": {"application/json; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", strings.NewReader(body))
			r.Header = http.Header{"Authorization": {"Bearer theirs"}}
			if types != nil {
				r.Header["Content-Type"] = types
			}
			request, err := meter.FindEndpoint("/chat/completions").ReadRequest(r.Header.Get("Content-Type"), []byte(body), meter.ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			rt := routingOf(t, Upstream{Name: "a", APIKey: "ours", Models: []ModelRule{{Pattern: "*"}}})
			got, _, err := (&call{r: r, request: request}).upstreamRequest(rt.candidates("m", meter.OpenAI)[0], false)
			if err != nil {
				t.Fatal(err)
			}
			if want := (http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer ours"}}); !reflect.DeepEqual(got.Header, want) {
				t.Errorf("sent: %v\nwant: %v", got.Header, want)
			}
		})
	}
}

func TestCredentialsGoInTheWayOfTheKind(t *testing.T) {
	for _, c := range []struct {
		kind, key string
		header    http.Header
	}{
		{"", "k", http.Header{"Authorization": {"Bearer k"}}},
		{"bigmodel", "k", http.Header{"Authorization": {"Bearer k"}}},
		{"azure", "k", http.Header{"Api-Key": {"k"}}},
		{"anthropic", "k", http.Header{"X-Api-Key": {"k"}, "Anthropic-Version": {"2023-06-01"}}},
		{"gemini", "k", http.Header{"X-Goog-Api-Key": {"k"}}},
		{"openai", "", http.Header{}},
	} {
		u, err := newUpstream(&Upstream{Name: "u", Kind: c.kind, BaseURL: "https://u.example", APIKey: c.key, Models: []ModelRule{{Pattern: "*"}}})
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		if u.prepare(header); !reflect.DeepEqual(header, c.header) {
			t.Errorf("kind %q: %v", c.kind, header)
		}
	}
}
