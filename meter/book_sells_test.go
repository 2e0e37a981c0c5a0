package meter_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// What a list of models offers is what Quote admits: a row that names no endpoints prices a model at
// all of them, but only where it has a rate for what any call there is sure to use.
func TestSells(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [embedding], rates: {input: 1/1M}}
  - {models: [image], rates: {image: 1}}
  - {models: [chat], rates: {input: 1/1M, output: 2/1M}}
  - {models: [call], rates: {call: 1}}
  - {models: [voice], rates: {character: 1/10K}}
  - {models: [record], rates: {audio_ms: 1/1min}}
  - {models: [sized], endpoints: [images], when: {size: 512x512}, rates: {image: 1}}
  - {models: [either], upstreams: [one], rates: {input: 1/1M}}
  - {models: [either], upstreams: [two], rates: {input: 1/1M, output: 2/1M}}
  - {models: [tiered], tiers: [{output: "[0,1000)", rates: {input: 1/1M, output: 2/1M}}, {output: "[1000,)", rates: {input: 2/1M, output: 3/1M}}]}
  - {models: [chat-only], endpoints: [chat], rates: {input: 1/1M, output: 2/1M}}
  - {models: [over], endpoints: [chat], rates: {input: 1/1M, output: 2/1M}, until: 2026-01-01}
`)
	paths := []string{"/chat/completions", "/messages", "/embeddings", "/rerank", "/images/generations", "/moderations", "/audio/speech", "/audio/transcriptions"}
	for model, want := range map[string]string{
		"embedding": "/embeddings /rerank /moderations",
		"image":     "/images/generations",
		"call":      strings.Join(paths, " "),
		"voice":     "/audio/speech",
		"record":    "/audio/transcriptions",
		"sized":     "/images/generations",
		"chat-only": "/chat/completions /messages",
		"over":      "",
		"nobody":    "",
	} {
		var sold []string
		for _, path := range paths {
			if book.Sells(model, meter.FindEndpoint(path), "", noon) {
				sold = append(sold, path)
			}
		}
		if got := strings.Join(sold, " "); got != want {
			t.Errorf("%s is sold at %q, want %q", model, got, want)
		}
	}
	for _, model := range []string{"chat", "either", "tiered"} {
		if !book.Sells(model, meter.FindEndpoint("/chat/completions"), "", noon) {
			t.Errorf("%s is not sold at chat", model)
		}
	}
}

// Of an upstream that is named, only its own rows and those of all upstreams count.
func TestSellsAtAnUpstream(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [half], upstreams: [one], rates: {input: 1/1M, output: 2/1M}}
  - {models: [all], rates: {input: 1/1M, output: 2/1M}}
`)
	for sold, want := range map[[2]string]bool{
		{"half", "one"}: true, {"half", "two"}: false, {"half", ""}: true, {"all", "two"}: true,
	} {
		if got := book.Sells(sold[0], meter.FindEndpoint("/chat/completions"), sold[1], noon); got != want {
			t.Errorf("%s is sold at upstream %q: %v, want %v", sold[0], sold[1], got, want)
		}
	}
}

// A row of every endpoint can be sold by its own units, so none has a least call that cannot be priced.
func TestEveryEndpointSells(t *testing.T) {
	book := newBook(t, "currency: CNY\nprices: [{models: [m], rates: {call: 1, search: 1, video: 1}}]")
	unsold := slices.DeleteFunc(meter.Endpoints(), func(e *meter.Endpoint) bool { return book.Sells("m", e, "", noon) })
	for _, e := range unsold {
		t.Errorf("%s cannot be sold at all", e.Path)
	}
}

// A pattern of models has a price where a model could have both names, and tools are no models.
func TestPricesAny(t *testing.T) {
	book := newBook(t, "currency: CNY\nprices: [{models: [\"glm-4*\", one], rates: {input: 1}}, {tools: [web_search], rates: {search: 1}}]")
	for pattern, want := range map[string]bool{"*": true, "glm-*": true, "*-flash": true, "glm-4.6": true, "o*": true, "one": true, "glm-5*": false, "two": false, "web_search": false} {
		if book.PricesAny(pattern) != want {
			t.Errorf("%s: %t", pattern, !want)
		}
	}
}
