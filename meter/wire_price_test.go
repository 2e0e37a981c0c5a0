package meter

import (
	"errors"
	"testing"
	"time"
)

// TestFromBytesToMoney goes all the way from a request and an answer to what
// is held and what is due, where the two halves of the package meet.
func TestFromBytesToMoney(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "test.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [gpt-4o], rates: {input: 2.5/1M, cached_input: 1.25/1M, output: 10/1M}}
  - {models: [gpt-4o-search-preview], rates: {input: 2.5/1M, output: 10/1M, search: 0.03}}
  - {models: [text-embedding-3-small], rates: {input: 0.02/1M}}
  - {models: [dall-e-3], when: {quality: standard, size: 1024x1024}, rates: {image: 0.04}}
  - {models: [dall-e-3], when: {quality: hd}, rates: {image: 0.12}}
  - {models: [gpt-image-1], rates: {input: 5/1M, input_image: 10/1M, output_image: 40/1M}}
  - {models: [by-both], rates: {image: 0.06, input: 5/1M, output: 40/1M}}
  - {models: [by-tier], tiers: [{output: "[0,1000)", rates: {image: 0.01}}, {output: "[1000,)", rates: {image: 0.06}}]}
  - {models: [by-call], rates: {call: 0.5}}
  - {tools: [web_search], when: {engine: search_pro}, rates: {search: 0.03}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, path, request, answer, due string }{
		{
			"chat", "/chat/completions", `{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"Hello, hello, hello, hello?"}]}`,
			`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":20,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":8}}}`, "0.00104",
		},
		{
			"search", "/chat/completions", `{"model":"gpt-4o","max_tokens":1,"tools":[{"type":"web_search","web_search":{"search_engine":"search_pro"}}]}`,
			`{"choices":[{"message":{"content":"x"}}],"web_search":[{"link":"x"}],"usage":{"prompt_tokens":4000,"completion_tokens":1}}`, "0.04001",
		},
		{
			"a model that searches for every answer", "/chat/completions", `{"model":"gpt-4o-search-preview","messages":[]}`,
			`{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":20,"completion_tokens":100}}`, "0.03105",
		},
		{"a model that searches, but fails", "/chat/completions", `{"model":"gpt-4o-search-preview","messages":[]}`, `{"error":{"message":"x"}}`, "0"},
		{"embeddings", "/embeddings", `{"model":"text-embedding-3-small","input":"Hello, hello?"}`, `{"data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}`, "0.00000016"},
		{"images by the image", "/images/generations", `{"model":"dall-e-3","n":2,"prompt":"a fox"}`, `{"data":[{"url":"x"}]}`, "0.04"},
		{"images of the usual quality, asked for by its name", "/images/generations", `{"model":"dall-e-3","quality":"auto","prompt":"a fox"}`, `{"data":[{"url":"x"}]}`, "0.04"},
		{"images of a quality", "/images/generations", `{"model":"dall-e-3","quality":"hd","prompt":"a fox"}`, `{"data":[{"url":"x"}]}`, "0.12"},
		{
			"images by the token", "/images/generations", `{"model":"gpt-image-1","prompt":"a fox"}`,
			`{"data":[{"b64_json":"x"}],"usage":{"input_tokens":10,"output_tokens":4000,"total_tokens":4010}}`, "0.16005",
		},
		{ // 3 tokens of input, 2 × 4160 × 1.5 of output
			"images by the token, without usage", "/images/generations", `{"model":"gpt-image-1","prompt":"a fox","n":2,"size":"1024x1536"}`,
			`{"data":[{"b64_json":"x"},{"b64_json":"y"}]}`, "0.499215, estimated",
		},
		{
			"images by the token, of little quality", "/images/generations", `{"model":"gpt-image-1","prompt":"a fox","quality":"high"}`,
			`{"data":[{"b64_json":"x"}],"quality":"low","size":"1024x1024"}`, "0.010895, estimated",
		},
		{ // what the usage leaves out is 4160 of output
			"images by the token, a usage without them", "/images/generations", `{"model":"gpt-image-1","prompt":"a fox"}`,
			`{"data":[{"b64_json":"x"}],"usage":{"input_tokens":12}}`, "0.16646, estimated",
		},
		{
			"images by the image beside the token", "/images/generations", `{"model":"by-both","prompt":"a fox","n":2}`,
			`{"data":[{"b64_json":"x"},{"b64_json":"y"}]}`, "0.12",
		},
		{
			"images by the image beside the token, of a usage", "/images/generations", `{"model":"by-both","prompt":"a fox"}`,
			`{"data":[{"b64_json":"x"}],"usage":{"input_tokens":1000,"output_tokens":1000}}`, "0.105",
		},
		{"images by the image, in tiers", "/images/generations", `{"model":"by-tier","prompt":"a fox"}`, `{"data":[{"b64_json":"x"}]}`, "0.01"},
		{"images by the call", "/images/generations", `{"model":"by-call","prompt":"a fox","n":2}`, `{"data":[{"url":"x"},{"url":"y"}]}`, "0.5"},
		{"images by the token, but none", "/images/generations", `{"model":"gpt-image-1","prompt":"a fox"}`, `{"data":[]}`, "0"},
		{
			"no input said", "/chat/completions", `{"model":"gpt-4o","messages":[{"role":"user","content":"Hello, hello, hello, hello?"}]}`,
			`{"choices":[{"message":{"content":"x"}}],"usage":{"completion_tokens":100}}`, "0.001035",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := mustRead(t, FindEndpoint(c.path), c.request)
			query := PriceQuery{Model: r.Model, Class: r.Endpoint.Class, Attributes: r.Attributes, At: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
			quote, err := book.Quote(query, &r.Ceiling, r.Tools)
			if err != nil {
				t.Fatal(err)
			}
			tap := r.NewTap("application/json")
			tap.Pass(nil, []byte(c.answer))
			u := tap.Usage()
			charge, err := book.Charge(query, &u)
			if err != nil {
				t.Fatal(err)
			}
			due := charge.Fee.String()
			if charge.TokensEstimated {
				due += ", estimated"
			}
			if due != c.due || charge.Fee > quote.Fee {
				t.Errorf("due %s, want %s; held %s", due, c.due, quote.Fee)
			}
			for _, line := range charge.Lines {
				if line.Unpriced {
					t.Errorf("%s is unpriced", line.Dimension)
				}
			}
		})
	}
}

// Images that are billed by estimated tokens are not free where these are beyond all bounds, and
// stay what they are where not all of their tokens have a price.
func TestImagesInTokensThatCannotBeCharged(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "test.yaml", Data: []byte(`
currency: USD
prices:
  - {models: [dear], rates: {input: 1/1M, output_image: 9000000}}
  - {models: [half], rates: {input: 1/1M}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	charged := func(model string) (Charge, error) {
		r := mustRead(t, FindEndpoint("/images/generations"), `{"model":"`+model+`","prompt":"a fox"}`)
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(`{"data":[{"url":"x"}]}`))
		u := tap.Usage()
		return book.Charge(PriceQuery{Model: model, Class: "images"}, &u)
	}
	if c, err := charged("dear"); !errors.Is(err, ErrAmountRange) {
		t.Errorf("dear: %s, %v, want ErrAmountRange", c.Fee, err)
	}
	c, err := charged("half")
	if err != nil || len(c.Lines) != 1 || c.Lines[0].Dimension != Image || !c.Lines[0].Unpriced || c.TokensEstimated {
		t.Errorf("half: %+v, %v", c, err)
	}
}
