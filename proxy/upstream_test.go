package proxy

import (
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
		"claude-99": "", // a kind that does not serve these routes is no candidate
	} {
		var got []string
		for _, c := range r.candidates(model) {
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

func TestWeightSpreadsAmongEqualsOnly(t *testing.T) {
	r := routingOf(t,
		Upstream{Name: "heavy", Models: []ModelRule{{Pattern: "*"}}, Priority: 1, Weight: 3},
		Upstream{Name: "light", Models: []ModelRule{{Pattern: "*"}}, Priority: 1, Weight: 1},
		Upstream{Name: "spare", Models: []ModelRule{{Pattern: "*"}}, Priority: 2, Weight: 100},
	)
	first := map[string]int{}
	for range 4000 {
		c := r.candidates("m")
		if len(c) != 3 || c[2].Name != "spare" {
			t.Fatalf("candidates = %v, want the spare last", c)
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
		{Name: "c", BaseURL: "http://c/v1"},
		{Name: "d", BaseURL: "http://d/v1", Models: []ModelRule{{Pattern: "*"}}, Weight: -1},
	})
	for _, want := range []string{"needs a name", `upstream b: base_url "ftp://b"`, "upstream c: models is empty", "upstream d: weight"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
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
