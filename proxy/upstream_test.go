package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

func emptyBook(t *testing.T) *meter.Book {
	t.Helper()
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY"})
	if err != nil {
		t.Fatal(err)
	}
	return book
}

func routingOf(t *testing.T, list ...Upstream) *routing {
	t.Helper()
	for i := range list {
		if list[i].BaseURL == "" {
			list[i].BaseURL = "http://upstream.example/v1"
		}
	}
	r, err := newRouting(emptyBook(t), list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCandidatesFollowPriorityAndPattern(t *testing.T) {
	r := routingOf(t,
		Upstream{Name: "spare", Models: []ModelRule{{Pattern: "glm-*"}}, Priority: 2},
		Upstream{Name: "first", Models: []ModelRule{{Pattern: "glm-4*", Rename: "four"}, {Pattern: "glm-4.6", Rename: "exact"}}, Priority: 1},
		Upstream{Name: "other", Models: []ModelRule{{Pattern: "gpt-*"}}},
		Upstream{Name: "foreign", Kind: "anthropic", Models: []ModelRule{{Pattern: "*"}}},
	)
	for model, want := range map[string]string{
		"glm-4.6":   "first:exact spare:glm-4.6", // the exact name before the pattern
		"glm-4.5":   "first:four spare:glm-4.5",
		"glm-5":     "spare:glm-5",
		"gpt-4o":    "other:gpt-4o",
		"claude-99": "", // a kind that does not serve this API is no candidate
	} {
		var got []string
		for _, c := range r.candidates(model, meter.OpenAI) {
			got = append(got, c.Name+":"+c.model)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("candidates(%q) = %v, want %q", model, got, want)
		}
	}
}

// A request goes to upstreams of a kind that has its endpoint, and one that names what is
// kept upstream only where that is everybody's.
func TestCandidatesServeTheRequest(t *testing.T) {
	all := []ModelRule{{Pattern: "*"}}
	r := routingOf(t,
		Upstream{Name: "bm", Kind: "bigmodel", Models: all, Priority: 1, SharedObjects: true},
		Upstream{Name: "oa", Models: all, Priority: 2},
		Upstream{Name: "az", Kind: "azure", Models: all, Priority: 3, SharedObjects: true},
	)
	for _, tt := range []struct{ path, members, want string }{
		{"/chat/completions", "", "bm oa az"},
		{"/responses", "", "oa az"},
		{"/responses", `,"previous_response_id":null`, "oa az"},
		{"/responses", `,"previous_response_id":"resp_1"`, "az"},
	} {
		request, err := meter.FindEndpoint(tt.path).ReadRequest("application/json", []byte(`{"model":"m"`+tt.members+`}`), meter.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range r.candidatesFor(request) {
			got = append(got, c.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s with %q goes to %v, want %s", tt.path, tt.members, got, tt.want)
		}
	}
}

func TestCandidatesServeTheAPI(t *testing.T) {
	r := routingOf(t,
		Upstream{Name: "plain", Models: []ModelRule{{Pattern: "*"}}},
		Upstream{Name: "bigmodel", Kind: "bigmodel", Models: []ModelRule{{Pattern: "*"}}},
		Upstream{Name: "azure", Kind: "azure", Models: []ModelRule{{Pattern: "*"}}},
		Upstream{Name: "claude", Kind: "anthropic", Models: []ModelRule{{Pattern: "*"}}},
		Upstream{Name: "gemini", Kind: "gemini", Models: []ModelRule{{Pattern: "*"}}},
	)
	for api, want := range map[meter.API][]string{
		meter.OpenAI: {"azure", "bigmodel", "plain"}, meter.Responses: {"azure", "plain"}, meter.Anthropic: {"claude"}, meter.Gemini: {"gemini"},
	} {
		var got []string
		for _, c := range r.candidates("m", api) {
			got = append(got, c.Name)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s is served by %v, want %v", api, got, want)
		}
	}
	for _, e := range meter.Endpoints() {
		if len(r.candidates("m", e.API)) == 0 {
			t.Errorf("nobody serves %s", e.Path)
		}
	}
}

func TestWeightSpreadsAmongEqualsOnly(t *testing.T) {
	r := routingOf(t,
		Upstream{Name: "light", Models: []ModelRule{{Pattern: "*"}}, Priority: 1}, // which is a weight of 1
		Upstream{Name: "heavy", Models: []ModelRule{{Pattern: "*"}}, Priority: 1, Weight: 3},
		Upstream{Name: "last", Models: []ModelRule{{Pattern: "*"}}, Priority: 3, Weight: 100},
		Upstream{Name: "spare", Models: []ModelRule{{Pattern: "*"}}, Priority: 2, Weight: 100},
	)
	first := map[string]int{}
	for range 4000 {
		c := r.candidates("m", meter.OpenAI)
		if len(c) != 4 || c[2].Name != "spare" || c[3].Name != "last" {
			t.Fatalf("candidates = %v, want the spare behind both, and then the last", c)
		}
		first[c[0].Name]++
	}
	// 3000 expected; ten standard deviations are 274.
	if first["heavy"] < 2700 || first["heavy"] > 3300 {
		t.Errorf("heavy went first %d times of 4000, want about 3000", first["heavy"])
	}
}

func TestRoutingSaysAllThatIsWrong(t *testing.T) {
	_, err := newRouting(emptyBook(t), []Upstream{
		{BaseURL: "http://a/v1", Models: []ModelRule{{Pattern: "*"}}},
		{Name: "b", BaseURL: "ftp://b", Models: []ModelRule{{Pattern: "*"}}},
		{Name: "n", BaseURL: "http:///v1", Models: []ModelRule{{Pattern: "*"}}},
		{Name: "c", BaseURL: "http://c/v1"},
		{Name: "d", BaseURL: "http://d/v1", Models: []ModelRule{{Pattern: "*"}}, Weight: -1},
		{Name: "e", BaseURL: "http://e/v1", Models: []ModelRule{{Pattern: "*"}}},
		{Name: "e", BaseURL: "http://e/v1", Models: []ModelRule{{Pattern: "*"}}},
		{Name: "f", BaseURL: "http://f/v1", Models: []ModelRule{{Pattern: "*"}}, APIKey: "sk\r\nX-Evil: 1"},
	})
	for _, want := range []string{
		"needs a name", `upstream b: base_url "ftp://b"`, `upstream n: base_url "http:///v1"`, "upstream c: models is empty", "upstream d: weight", "upstream e: the name is used twice", "upstream f: api_key",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

// Each kind is told by its own header who asks, and Anthropic's which version is meant.
func TestUpstreamsArePrepared(t *testing.T) {
	for kind, want := range map[string]string{
		"":          "authorization=Bearer sk anthropic-version=",
		"bigmodel":  "authorization=Bearer sk anthropic-version=",
		"azure":     "api-key=sk anthropic-version=",
		"anthropic": "x-api-key=sk anthropic-version=2023-06-01",
	} {
		u := routingOf(t, Upstream{Name: "u", Kind: kind, APIKey: "sk", Models: []ModelRule{{Pattern: "*"}}}).upstreams[0]
		h := http.Header{}
		u.prepare(h)
		header, version, _ := strings.Cut(want, " anthropic-version=")
		name, value, _ := strings.Cut(header, "=")
		if h.Get(name) != value || h.Get("Anthropic-Version") != version {
			t.Errorf("%q: %v, want %s", kind, h, want)
		}
		h = http.Header{"Anthropic-Version": {"2099-01-01"}}
		if u.prepare(h); h.Get("Anthropic-Version") != "2099-01-01" {
			t.Errorf("%q: the client's version became %v", kind, h)
		}
	}
}

func TestUpstreamAddressIsBasePlusTheClientsPath(t *testing.T) {
	r := routingOf(t, Upstream{Name: "a", BaseURL: "https://open.bigmodel.example/api/paas/v4/", Models: []ModelRule{{Pattern: "*"}}})
	if got := r.upstreams[0].url("/chat/completions", "x=1").String(); got != "https://open.bigmodel.example/api/paas/v4/chat/completions?x=1" {
		t.Errorf("url = %s", got)
	}
}

// Which models write more than they may is remembered for each, and told once.
func TestExcessIsLearntOnceForEachModel(t *testing.T) {
	r := routingOf(t,
		Upstream{Name: "first", Models: []ModelRule{{Pattern: "a"}, {Pattern: "b"}, {Pattern: "c"}, {Pattern: "glm-*"}}},
		Upstream{Name: "second", Models: []ModelRule{{Pattern: "*"}}},
	)
	first, second := r.upstreams[0], r.upstreams[1]
	for _, model := range []string{"a", "b", "glm-1"} {
		if r.exceedsLimit(first, model) || !r.learnExcess(first, model) || r.learnExcess(first, model) {
			t.Errorf("%s is not learnt just once", model)
		}
	}
	for model, want := range map[string]bool{"a": true, "b": true, "c": false, "glm-1": true, "glm-2": true} { // by the rule that serves them
		if got := r.exceedsLimit(first, model); got != want {
			t.Errorf("%s exceeds its limits: %t, want %t", model, got, want)
		}
	}
	if r.exceedsLimit(second, "a") {
		t.Error("what one upstream's model does is held against another's")
	}
}
