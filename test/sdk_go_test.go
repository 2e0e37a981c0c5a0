package e2e

import (
	"errors"
	"io"
	"strings"
	"testing"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

// goClient is go-openai pointed at the proxy.
func goClient(p *process, key string) *openai.Client {
	config := openai.DefaultConfig(key)
	config.BaseURL = p.url + "/v1"
	return openai.NewClientWithConfig(config)
}

func goChat(directive string) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{
		Model: "gpt-4o", User: "mock:" + directive,
		Messages: []openai.ChatCompletionMessage{{Role: openai.ChatMessageRoleUser, Content: "Hello"}},
	}
}

func TestGoSDKChat(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	answer, err := goClient(p, key).CreateChatCompletion(t.Context(), goChat("usage=100,50;cached=40"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "total tokens", answer.Usage.TotalTokens, 150)
	equal(t, "cached tokens", answer.Usage.PromptTokensDetails.CachedTokens, 40)
	h := answer.Header()
	requireHeaders(t, h,
		"x-tollgate-cost", "0.0023", "x-tollgate-currency", "CNY",
		"x-tollgate-usage-input", "100", "x-tollgate-usage-cached-input", "40",
		"x-tollgate-usage-output", "50", "x-tollgate-usage-total", "150", "x-tollgate-usage-source", "upstream",
		"x-tollgate-paid-bonus", "0", "x-tollgate-paid-recharge", "0.0023",
		"x-tollgate-balance-recharge", "9.9977", "x-tollgate-balance-bonus", "0",
		"x-upstream-request-id", "req_mock1",
	)
	if id := h.Get("x-request-id"); !strings.HasPrefix(id, "req_") || id == "req_mock1" {
		t.Errorf("x-request-id is %q", id)
	}
	charge := w.onlyCharge("acme")
	equal(t, "request id", charge.Get("request_id").String(), h.Get("x-request-id"))
	equal(t, "fee", charge.Get("fee").String(), "0.0023")
	equal(t, "usage", charge.Get("usage").Raw, `{"cached_input":40,"input":60,"output":50}`)
	equal(t, "balance", w.balance("acme"), "9.9977")
}

func TestGoSDKStream(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	for _, asked := range []bool{false, true} {
		request := goChat("usage=100,50")
		if asked {
			request.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
		}
		text, used, bare := readGoStream(t, goClient(p, key), request)
		if !strings.HasPrefix(text, "Hello from the simulated upstream") {
			t.Errorf("asked %v: text %q", asked, text)
		}
		if asked {
			equal(t, "chunks without choices, asked", bare, 1)
			equal(t, "total tokens", used.TotalTokens, 150)
		} else {
			equal(t, "chunks without choices, not asked", bare, 0)
			equal(t, "usage, not asked", used, openai.Usage{})
		}
	}
	w.requireSettled("acme")
	equal(t, "balance", w.balance("acme"), "9.995")
}

// readGoStream reads a stream to its end: text, usage, and how many chunks had no choices.
func readGoStream(t *testing.T, api *openai.Client, request openai.ChatCompletionRequest) (text string, used openai.Usage, bare int) {
	t.Helper()
	stream, err := api.CreateChatCompletionStream(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return text, used, bare
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(chunk.Choices) == 0 {
			bare++
		}
		for _, choice := range chunk.Choices {
			text += choice.Delta.Content
		}
		if chunk.Usage != nil {
			used = *chunk.Usage
		}
	}
}

func TestGoSDKEmbeddingsAndImages(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	api := goClient(w.serve(), key)
	vectors, err := api.CreateEmbeddings(t.Context(), openai.EmbeddingRequest{
		Model: "text-embedding-3-small", Input: []string{"one", "two"}, User: "mock:usage=1000,0;dims=4",
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "vectors", len(vectors.Data), 2)
	requireHeaders(t, vectors.Header(), "x-tollgate-cost", "0.0005", "x-tollgate-usage-input", "1000", "x-tollgate-usage-output", "0")
	images, err := api.CreateImage(t.Context(), openai.ImageRequest{Model: "dall-e-3", Prompt: "A cat", N: 1})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "images", len(images.Data), 1)
	requireHeaders(t, images.Header(), "x-tollgate-cost", "0.3", "x-tollgate-usage-source", "derived", "x-tollgate-balance-recharge", "9.6995")
	fewer, err := api.CreateImage(t.Context(), openai.ImageRequest{Model: "dall-e-2", Prompt: "A cat", N: 3, User: "mock:images=2"})
	if err != nil {
		t.Fatal(err)
	}
	requireHeaders(t, fewer.Header(), "x-tollgate-cost", "0.6", "x-tollgate-balance-recharge", "9.0995")
	w.requireSettled("acme")
}

// The final numbers of a stream come as trailers, and stay readable as a receipt.
func TestStreamTrailers(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	r := p.post(chatPath, key, chat("gpt-4o", "usage=100,50", streamed, `"max_tokens":1000`))
	r.requireStatus(t, 200)
	if hold := r.header.Get("x-tollgate-hold"); hold == "" || hold == "0" {
		t.Errorf("the head says that %q is held", hold)
	}
	if free := r.header.Get("x-tollgate-balance-recharge"); free == "" || free == "10" {
		t.Errorf("the head says that %q is free after the hold", free)
	}
	requireHeaders(t, r.trailer,
		"x-tollgate-cost", "0.0025", "x-tollgate-usage-total", "150", "x-tollgate-usage-source", "upstream",
		"x-tollgate-paid-recharge", "0.0025", "x-tollgate-balance-recharge", "9.9975",
	)
	receipt := p.get("/v1/receipts/"+r.header.Get("x-request-id"), key)
	receipt.requireStatus(t, 200)
	equal(t, "fee", receipt.get("fee").String(), "0.0025")
	equal(t, "type", receipt.get("type").String(), "charge")
	equal(t, "hold", receipt.get("hold").String(), r.header.Get("x-tollgate-hold"))
	equal(t, "paid", receipt.get("paid.0.from").String(), "recharge")
}

// Wallets share a fee in proportion; a pack goes before them, for as far as it reaches.
func TestWhoPays(t *testing.T) {
	w := newWorld(t)
	w.account("split", "80")
	w.verb("topup", "split", "20", "--wallet", "bonus")
	key, _ := w.key("split")
	w.account("packed", "10")
	w.verb("pack", "grant", "packed", "--unit", "token", "--quantity", "75", "--models", "gpt-4o")
	packed, _ := w.key("packed")
	p := w.serve()
	requireHeaders(t, p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).header,
		"x-tollgate-cost", "0.0025", "x-tollgate-paid-recharge", "0.002", "x-tollgate-paid-bonus", "0.0005",
		"x-tollgate-balance-recharge", "79.998", "x-tollgate-balance-bonus", "19.9995")
	requireHeaders(t, p.post(chatPath, packed, chat("gpt-4o", "usage=100,50")).header,
		"x-tollgate-cost", "0.00125", "x-tollgate-paid-pack", "75", "x-tollgate-paid-recharge", "0.00125", "x-tollgate-pack-remaining", "0")
	w.requireSettled("split")
	w.requireSettled("packed")
}

// Who wishes it finds the cost in the usage object too, and nowhere else anything new.
func TestCostInBody(t *testing.T) {
	w := newWorld(t)
	w.account("acme", "10")
	key, _ := w.key("acme")
	p := w.serve()
	plain := p.post(chatPath, key, chat("gpt-4o", "usage=100,50"))
	equal(t, "body without the wish", plain.body, string(w.up.lastSent()))
	wished := p.post(chatPath, key, chat("gpt-4o", "usage=100,50"), "x-tollgate-receipt", "body")
	equal(t, "cost", wished.get("usage.cost").String(), "0.0025")
	if !wished.get("usage.cost_details").IsObject() || wished.get("usage.total_tokens").Int() != 150 {
		t.Errorf("usage %s", wished.get("usage").Raw)
	}
	stream := p.post(chatPath, key, chat("gpt-4o", "usage=100,50", streamed), "x-tollgate-receipt", "body")
	if cost := gjson.Get(lastData(stream.body), "usage.cost"); cost.String() != "0.0025" {
		t.Errorf("the stream's usage chunk: %s", lastData(stream.body))
	}
}

// lastData is the payload of a stream's last data line before [DONE].
func lastData(stream string) (last string) {
	for line := range strings.Lines(stream) {
		if data, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "data: "); ok && data != "[DONE]" {
			last = data
		}
	}
	return last
}

func TestGoSDKBadKey(t *testing.T) {
	w := newWorld(t)
	p := w.serve()
	_, err := goClient(p, "tg-nobody-0000000000000000000000000000000000000000").CreateChatCompletion(t.Context(), goChat("usage=1,1"))
	var refused *openai.APIError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	equal(t, "status", refused.HTTPStatusCode, 401)
	equal(t, "code", refused.Code.(string), "invalid_api_key")
	equal(t, "type", refused.Type, "invalid_request_error")
	equal(t, "requests that reached the upstream", w.up.Stats().Requests, 0)
}

func TestGoSDKResponses(t *testing.T) {
	w, p, key := acme(t)
	request := openai.CreateResponseRequest{Model: "gpt-4o", Input: "Hello", User: "mock:usage=100,50;cached=40"}
	answer, err := goClient(p, key).CreateResponse(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "total tokens", answer.Usage.TotalTokens, 150)
	equal(t, "cost", answer.Header().Get("x-tollgate-cost"), "0.0023")
	stream, err := goClient(p, key).CreateResponseStream(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	text, last := "", openai.ResponseStreamEvent{}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text += event.Delta
		last = event
	}
	equal(t, "text", text, answer.GetOutputText())
	equal(t, "last event", last.Type, openai.ResponseStreamEventCompleted)
	equal(t, "total tokens of the stream", last.Response.Usage.TotalTokens, 150)
	request.PreviousResponseID = "resp_1"
	_, err = goClient(p, key).CreateResponse(t.Context(), request)
	var refused *openai.APIError
	if !errors.As(err, &refused) || refused.HTTPStatusCode != 404 || refused.Code != "object_not_found" {
		t.Errorf("got %v, want object_not_found", err)
	}
	w.requireSettled("acme")
	equal(t, "balance", w.balance("acme"), "9.9954")
}
