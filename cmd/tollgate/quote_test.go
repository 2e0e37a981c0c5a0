package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const quotePrices = `currency: CNY
prices:
  - models: [glm-test]
    endpoints: [chat]
    tiers:
      - {input: "[0,32000)", rates: {input: 2/1M, output: 8/1M, cached_input: 0.4/1M}}
      - {input: "[32000,)", rates: {input: 4/1M, output: 16/1M, cached_input: 0.8/1M}}
    until: 2027-01-01T00:00:00+08:00
  - models: [glm-test]
    endpoints: [chat]
    rates: {input: 20/1M, output: 80/1M}
    from: 2027-01-01T00:00:00+08:00
  - models: [draw-test]
    endpoints: [images]
    when: {quality: hd}
    rates: {image: 0.12}
  - models: [draw-test]
    endpoints: [images]
    rates: {image: 0.06}
  - models: [embed-test]
    endpoints: [embeddings]
    rates: {input: 0.5/1M}
`

func quoteConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "prices.yaml", quotePrices)
	return writeFile(t, dir, "c.yaml", "pricing: {currency: CNY, files: [prices.yaml]}\npolicy: {timezone: Asia/Shanghai}\n")
}

func TestQuote(t *testing.T) {
	path := quoteConfig(t)
	for _, tt := range []struct{ args, fee, endpoint string }{
		{"glm-test --input 800 --output 400 --at 2026-11-01", "0.0048", "chat"},
		{"glm-test --input 200 --usage cached_input=800 --output 100 --at 2026-11-01", "0.00152", "chat"},
		{"glm-test --input 31999 --usage cached_input=1 --at 2026-11-01", "0.1279968", "chat"}, // the dearer tier, by all input
		{"glm-test --input 1000000 --at 2026-12-31", "4", "chat"},                              // the end of that day in the policy's time zone
		{"glm-test --input 1000000 --at 2026-12-31T17:00:00Z", "20", "chat"},
		{"glm-test --usage output=1000000,input=1 --endpoint chat --at 2026-11-01", "8.000002", "chat"},
		{"draw-test --usage image=3", "0.18", "images"},
		{"draw-test --usage image=3 --when quality=hd,size=1024x1024", "0.36", "images"},
		{"embed-test --input 1000000", "0.5", "embeddings"},
	} {
		got := decode[quoted](t, runWith(t, nil, append([]string{"quote", "--json", "-c", path}, strings.Fields(tt.args)...)...))
		if got.Fee.String() != tt.fee || got.Currency != "CNY" || got.Endpoint != tt.endpoint || len(got.PriceVersion) != 12 {
			t.Errorf("quote %s = %+v, want fee %s at %s", tt.args, got, tt.fee, tt.endpoint)
		}
	}
}

// What is too much for one charge is told with the most that it may be.
func TestQuoteOfTooMuch(t *testing.T) {
	path := quoteConfig(t)
	for _, args := range []string{"glm-test --input 9007199254740991", "embed-test --input 9007199254740993", "draw-test --usage image=900000000"} {
		r := runWith(t, nil, append([]string{"quote", "-c", path}, strings.Fields(args)...)...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, "9007199.254740991") || !strings.Contains(r.stderr, "9007199254740991 units") {
			t.Errorf("quote %s: exit %d, %s", args, r.exit, r.stderr)
		}
	}
}

// An attribute that is misspelt would be one that nobody has said.
func TestQuoteByNoAttribute(t *testing.T) {
	r := runWith(t, nil, "quote", "-c", quoteConfig(t), "draw-test", "--usage", "image=3", "--when", "qualty=hd,size=1024x1024")
	if r.exit != exitUsage || !strings.Contains(r.stderr, "--when qualty: no price goes by it; want batch, ") || !strings.Contains(r.stderr, " quality, ") {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// The shape that scripts rely on, key by key.
func TestQuoteJSON(t *testing.T) {
	r := runWith(t, nil, "quote", "glm-test", "--json", "-c", quoteConfig(t), "--input", "1000", "--output", "500", "--at", "2026-11-01")
	got := decode[map[string]any](t, r)
	lines, _ := json.Marshal(got["lines"])
	want := `[{"amount":"0.002","dimension":"input","quantity":1000,"rate":"2/1M"},{"amount":"0.004","dimension":"output","quantity":500,"rate":"8/1M"}]`
	if got["fee"] != "0.006" || got["currency"] != "CNY" || string(lines) != want {
		t.Errorf("quote = %s", r.stdout)
	}
}

func TestQuoteText(t *testing.T) {
	r := runWith(t, nil, "quote", "glm-test", "-c", quoteConfig(t), "--input", "1000", "--usage", "reasoning=500", "--at", "2026-11-01")
	for _, want := range []string{"DIMENSION", "input         1,000  2/1M", "billed as output", "fee 0.006 CNY"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q:\n%s", want, r.stdout)
		}
	}
}

func TestQuoteOfWhatHasNoPrice(t *testing.T) {
	path := quoteConfig(t)
	for args, want := range map[string]string{
		"glm-none --input 1":                        `no price for model "glm-none"`,
		"embed-test --input 1 --endpoint chat":      "it is priced at embeddings",
		"draw-test --usage image=1 --endpoint chat": "it is priced at images",
	} {
		r := runWith(t, nil, append([]string{"quote", "-c", path}, strings.Fields(args)...)...)
		if r.exit != exitFailed || !strings.Contains(r.stderr, want) {
			t.Errorf("quote %s: exit %d, %s, want %q", args, r.exit, r.stderr, want)
		}
	}
}

// The upstream is one of the configuration, or one that a price goes by.
func TestQuoteOfAnUpstream(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "prices.yaml", `currency: CNY
prices:
  - {models: [m], rates: {input: 1/1M}}
  - {models: [m], upstreams: [dear], rates: {input: 2/1M}}
  - {models: [theirs], upstreams: [dear], rates: {input: 3/1M}}
`)
	path := writeFile(t, dir, "c.yaml", `upstreams: [{name: cheap, base_url: "http://127.0.0.1:1/v1", api_key: k, models: [m]}]
pricing: {currency: CNY, files: [prices.yaml]}
`)
	for upstream, fee := range map[string]string{"cheap": "1", "dear": "2"} {
		got := decode[quoted](t, runWith(t, nil, "quote", "m", "--input", "1000000", "--upstream", upstream, "--json", "-c", path))
		if got.Fee.String() != fee {
			t.Errorf("by %s: fee %s, want %s", upstream, got.Fee, fee)
		}
	}
	r := runWith(t, nil, "quote", "theirs", "--input", "1", "-c", path) // not one that has no price, whose calls would be refused
	if r.exit != exitUsage || !strings.Contains(r.stderr, "--upstream: the price of theirs depends on who answers") {
		t.Errorf("exit %d, %s%s", r.exit, r.stdout, r.stderr)
	}
	r = runWith(t, nil, "quote", "m", "--input", "1", "--upstream", "nope", "-c", path)
	if r.exit != exitUsage || !strings.Contains(r.stderr, `there is no upstream "nope": want one of cheap, dear`) {
		t.Errorf("exit %d, %s", r.exit, r.stderr)
	}
}

// A hosted search is priced by the tool's own rows, as a call that searches is.
func TestQuoteOfASearch(t *testing.T) {
	for args, fee := range map[string]string{
		"--input 1000 --output 50 --usage search=1 --when engine=search_pro": "0.0324",
		"--usage search=2 --when engine=search_std":                          "0.02",
	} {
		r := runWith(t, nil, append([]string{"quote", "glm-4.6"}, strings.Fields(args)...)...)
		if r.exit != exitOK || !strings.Contains(r.stdout, "fee "+fee+" CNY") || !strings.Contains(r.stdout, "web_search") {
			t.Errorf("quote glm-4.6 %s: exit %d, want fee %s\n%s%s", args, r.exit, fee, r.stdout, r.stderr)
		}
	}
}

// Without a configuration the tables that are built in are asked, in their own currency.
func TestQuoteWithoutConfiguration(t *testing.T) {
	for model, currency := range map[string]string{"glm-4.5": "CNY", "gpt-4o": "USD"} {
		got := decode[quoted](t, runWith(t, nil, "quote", model, "--input", "1000", "--output", "500", "--json"))
		if got.Currency != currency || got.Fee <= 0 {
			t.Errorf("quote %s = %+v, want a fee in %s", model, got, currency)
		}
	}
}

// Counting a model's tokens is free; that is no price for calling it.
func TestQuoteTakesNoTokenizerForAPrice(t *testing.T) {
	r := runWith(t, nil, "quote", "glm-unheard-of", "--input", "1000")
	if r.exit != exitFailed || !strings.Contains(r.stderr, `no price for model "glm-unheard-of"`) {
		t.Errorf("exit %d: %s%s", r.exit, r.stdout, r.stderr)
	}
	if r := runWith(t, nil, "quote", "glm-4.6", "--input", "1000", "--endpoint", "tokenizer"); r.exit != exitOK || !strings.Contains(r.stdout, "fee 0 CNY") {
		t.Errorf("exit %d: %s%s", r.exit, r.stdout, r.stderr)
	}
}
