package proxy

import (
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// What is quoted need not say which endpoint it is for: its members do, and for what model it has a price.
func TestEndpointOfWhatIsQuoted(t *testing.T) {
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "p.yaml", Data: []byte(`currency: CNY
prices:
  - {models: [all], rates: {input: 1, output: 1, image: 1, video: 1, call: 1}}
  - {models: [text, claude], endpoints: [chat], rates: {input: 1, output: 1}}
  - {models: [image], endpoints: [images], rates: {image: 1}}
  - {models: [video], endpoints: [videos], rates: {video: 1}}
  - {models: [vector], endpoints: [embeddings], rates: {input: 1}}
  - {models: [guard], endpoints: [moderations], rates: {input: 1}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	routing, err := newRouting(book, []Upstream{
		{Name: "a", BaseURL: "http://a.example/v1", Models: []ModelRule{{Pattern: "all"}, {Pattern: "text"}}},
		{Name: "b", Kind: "anthropic", BaseURL: "http://b.example/v1", Models: []ModelRule{{Pattern: "all"}, {Pattern: "claude"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{proxy: idleProxy(), routing: routing}
	for body, want := range map[string]string{
		`{"model":"all","messages":[]}`:                "/chat/completions",
		`{"model":"none","messages":[]}`:               "/chat/completions",
		`{"model":"claude","messages":[]}`:             "/messages",
		`{"model":"all","contents":[]}`:                "/models/{model}:generateContent",
		`{"model":"all","content":{}}`:                 "/models/{model}:embedContent",
		`{"model":"all","requests":[]}`:                "/models/{model}:batchEmbedContents",
		`{"model":"all","documents":[],"query":"x"}`:   "/rerank",
		`{"model":"all","input":"x","voice":"alloy"}`:  "/audio/speech",
		`{"model":"all","input":"x"}`:                  "/embeddings",
		`{"model":"vector","input":"x"}`:               "/embeddings",
		`{"model":"text","input":"x"}`:                 "/responses",
		`{"model":"guard","input":"x"}`:                "/moderations",
		`{"model":"all","prompt":"x"}`:                 "/images/generations",
		`{"model":"image","prompt":"x"}`:               "/images/generations",
		`{"model":"video","prompt":"x"}`:               "/videos/generations",
		`{"model":"text","prompt":"x"}`:                "/completions",
		`{"model":"all","prompt":"x","max_tokens":10}`: "/completions",
	} {
		if e := c.endpointOf([]byte(body)); e == nil || e.Path != want {
			t.Errorf("%s is for %v, want %s", body, e, want)
		}
	}
}
