package proxy

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// What a model is known for, it does under another name too, and another model
// under its name does not.
func TestRenamedModelKeepsItsTraits(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "USD", Files: []meter.PriceFile{{Name: "p.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [gpt-4o-search-preview, news], rates: {input: 2.5/1M, output: 10/1M, search: 25/1K}}
  - {models: [gpt-4o-mini, small], rates: {input: 0.15/1M, output: 0.6/1M}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	routing, err := newRouting(book, []Upstream{
		{Name: "first", BaseURL: "http://upstream.example/v1", Models: []ModelRule{
			{Pattern: "gpt-*"}, {Pattern: "news", Rename: "gpt-4o-search-preview"}, {Pattern: "small", Rename: "gpt-4o-mini"},
		}},
		{Name: "second", BaseURL: "http://upstream.example/v1", Models: []ModelRule{{Pattern: "*", Rename: "other"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	fees := func(model, messages, upstream string) (held, due meter.Nano) {
		t.Helper()
		c := &call{
			proxy: &Proxy{}, routing: routing, endpoint: meter.FindEndpoint("/chat/completions"),
			r: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", http.NoBody),
		}
		if err := c.understand([]byte(`{"model":"` + model + `","max_tokens":10,"messages":` + messages + `}`)); err != nil {
			t.Fatal(err)
		}
		c.choose(c.candidates[slices.IndexFunc(c.candidates, func(u candidate) bool { return u.Name == upstream })])
		tap := c.request.NewTap("application/json")
		tap.Pass(nil, []byte(`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":100,"completion_tokens":10}}`))
		tap.End()
		u := tap.Usage()
		charge, err := book.Charge(c.priceQuery(c.upstream.Name), &u)
		if err != nil {
			t.Fatal(err)
		}
		return c.quote.Fee, charge.Fee
	}
	const text, image = `[{"role":"user","content":"news?"}]`, `[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]`
	_, due := fees("gpt-4o-search-preview", text, "first")
	if _, renamed := fees("news", text, "first"); renamed != due {
		t.Errorf("a search model under another name costs %s, want %s", renamed, due)
	}
	if _, other := fees("news", text, "second"); other >= due/2 {
		t.Errorf("a model that does not search costs %s under the name of one that does", other)
	}
	held, _ := fees("gpt-4o-mini", image, "first")
	if renamed, _ := fees("small", image, "first"); renamed < held/2 {
		t.Errorf("an image for gpt-4o-mini under another name is held for with %s, want about %s", renamed, held)
	}
}
